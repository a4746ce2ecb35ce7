// What a name or path in HTTP and TLS may look like, so that a configured one that could never
// occur, or would break a request it is written into, is refused.
#pragma once

#include <string_view>

namespace fairlead::control {

/// A field or cookie name: a token of RFC 9110 §5.6.2.
bool is_token(std::string_view text);

/// A path without a query: "/" and then printable ASCII but "?" and "#" (RFC 3986 §3.3).
bool is_path(std::string_view text);

/// A host name, "*." and a host name, or an IP address (IPv6 in brackets); without a port.
bool is_host_pattern(std::string_view text);

}  // namespace fairlead::control
