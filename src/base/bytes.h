// The two spans everything that touches packet or stream bytes speaks in.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace fairlead {

using ByteSpan = std::span<const uint8_t>;
using MutableByteSpan = std::span<uint8_t>;

}  // namespace fairlead
