// X-Forwarded-For: tells a server which address a request came from, by adding it to the request's
// head: at the end of the last such field if there is one (each proxy adds to the list), else as a
// new last field. Nothing else changes by a byte.
#pragma once

#include <cstddef>
#include <optional>

#include "base/bytes.h"
#include "service/switch/protocol/http_head.h"
#include "wire/address.h"

namespace fairlead::protocol {

/// The most a head grows: the field, the longest address, CRLF. 64 leaves room.
inline constexpr size_t kForwardedForRoom = 64;

/// Writes the head in `bytes` (whose first head.size bytes it is, of which `head` was parsed) into
/// `out`, with `client` added. Returns the bytes written; none if `out` is too small, for which
/// head.size + kForwardedForRoom never is.
std::optional<size_t> write_with_forwarded_for(ByteSpan bytes, const HttpHead& head,
                                               const IpAddress& client, MutableByteSpan out);

}  // namespace fairlead::protocol
