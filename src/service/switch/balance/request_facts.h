// RequestFacts: what is known about a new connection or request when its server is chosen.
//
// Whoever parses the head (HTTP, TLS ClientHello) fills in what its protocol has; everything else
// stays empty, and an empty fact matches no rule. All are views into the caller's buffers.
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "wire/address.h"

namespace fairlead::balance {

/// The field lines of one request head. Names are compared without case (RFC 9110 §5.1).
class HeaderLookup {
 public:
  virtual ~HeaderLookup() = default;
  /// The value of the first field line of that name, without white space around it.
  virtual std::optional<std::string_view> header(std::string_view name) const = 0;
  /// The value of the first cookie of that name (RFC 6265 §4.2; cookie names do have case).
  virtual std::optional<std::string_view> cookie(std::string_view name) const = 0;
};

struct RequestFacts {
  IpAddress source;         // the client's, after accept_proxy
  std::string_view host;    // the request's authority, with or without a port (RFC 9112 §3.3)
  std::string_view target;  // the request target as it came: "/a?b", "http://host/a", "*"
  std::string_view sni;     // of the ClientHello
  std::span<const std::string_view> alpn;  // protocols the ClientHello offers
  const HeaderLookup* headers = nullptr;   // null: no HTTP
};

/// `host` without its port and without the root's dot: "example.org." of "example.org.:80" is
/// "example.org". An IPv6 literal keeps its brackets.
std::string_view host_name(std::string_view host);

/// The path of a request target in any of its forms (RFC 9112 §3.2), without the query:
/// "/a" of "/a?b" and of "http://host/a?b". Neither decoded nor normalised: what the server gets is
/// what was compared.
std::string_view target_path(std::string_view target);

}  // namespace fairlead::balance
