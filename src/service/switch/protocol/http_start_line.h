// The start line of a message (RFC 9112 §3, §4), judged as a whole before the parser sees it, and
// the four forms of a request target (§3.2).
//
// One space between the parts, not several (§3: lenient splitting is allowed and is what request
// smuggling uses). HTTP/1.0 and 1.1 are known; another minor version, which RFC 9110 §2.5 would
// read as 1.1, is refused like another major one: nobody sends it, and it could not be forwarded as
// is.
#pragma once

#include <expected>
#include <optional>
#include <string_view>

#include "service/switch/protocol/http_fault.h"

namespace fairlead::protocol {

/// `line` is without its CRLF and of field value characters only.
std::optional<HttpFault> check_request_line(std::string_view line);
std::optional<HttpFault> check_status_line(std::string_view line);

struct HttpTarget {
  std::string_view authority{};  // of absolute-form and of authority-form, else empty
  std::string_view path{};       // without query
};

/// kTarget for one of no form, or of one that the method does not go with.
std::expected<HttpTarget, HttpFault> split_target(std::string_view method, std::string_view target);

/// uri-host [ ":" port ] (RFC 9110 §7.2). Empty is allowed, userinfo is not (RFC 9110 §4.2.4).
bool is_valid_host(std::string_view host);

}  // namespace fairlead::protocol
