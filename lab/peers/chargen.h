// The stream a character generator sends: RFC 864's pattern, lines of 72 printing characters that
// begin one character further each time.
#pragma once

#include <cstddef>
#include <span>

namespace fairlead::lab {

/// Any number of bytes of the stream from `offset` on, which the caller advances by what it sent: a
/// view of a table, at least 60 KiB.
std::span<const std::byte> chargen_at(size_t offset);

}  // namespace fairlead::lab
