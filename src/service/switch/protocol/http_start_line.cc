#include "service/switch/protocol/http_start_line.h"

#include "service/switch/protocol/http_text.h"

namespace fairlead::protocol {
namespace {

constexpr std::string_view kVersionPrefix = "HTTP/";
constexpr size_t kVersionSize = 8;  // HTTP/1.1
constexpr size_t kStatusSize = 3;
constexpr unsigned kMaxPort = 65535;

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_hex(char c) { return is_digit(c) || (to_lower(c) >= 'a' && to_lower(c) <= 'f'); }
bool is_alpha(char c) { return to_lower(c) >= 'a' && to_lower(c) <= 'z'; }

/// HTTP-version (RFC 9112 §2.3); case-sensitive.
std::optional<HttpFault> check_version(std::string_view text) {
  const bool well_formed = text.size() == kVersionSize && text.starts_with(kVersionPrefix) &&
                           is_digit(text[5]) && text[6] == '.' && is_digit(text[7]);
  if (!well_formed) return HttpFault::kStartLine;
  if (text[5] != '1' || text[7] > '1') return HttpFault::kVersion;
  return std::nullopt;
}

/// IP-literal (RFC 3986 §3.2.2), as far as its characters go.
bool is_ip_literal(std::string_view text) {
  return text.size() > 2 && text.front() == '[' && text.back() == ']' &&
         std::ranges::all_of(text.substr(1, text.size() - 2),
                             [](char c) { return is_hex(c) || c == ':' || c == '.'; });
}

bool is_port(std::string_view digits) {  // RFC 3986 §3.2.3: may be empty
  if (digits.size() > 5 || !std::ranges::all_of(digits, is_digit)) return false;
  unsigned value = 0;
  for (char c : digits) value = value * 10 + static_cast<unsigned>(c - '0');
  return value <= kMaxPort;
}

/// RFC 3986 §3.1
bool is_scheme(std::string_view text) {
  return !text.empty() && is_alpha(text.front()) && std::ranges::all_of(text, [](char c) {
    return is_alpha(c) || is_digit(c) || c == '+' || c == '-' || c == '.';
  });
}

}  // namespace

std::optional<HttpFault> check_request_line(std::string_view line) {
  const size_t first = line.find(' ');
  const size_t last = line.rfind(' ');
  if (first == std::string_view::npos || first == last) return HttpFault::kStartLine;
  const std::string_view method = line.substr(0, first);
  const std::string_view target = line.substr(first + 1, last - first - 1);
  if (method.empty() || !all_of_class(method, kTokenChar)) return HttpFault::kStartLine;
  if (target.empty() || target.contains(' ')) return HttpFault::kStartLine;
  if (auto fault = check_version(line.substr(last + 1))) return fault;
  // RFC 3986 §2, §3.5: bytes above 0x7f must be percent-encoded, a fragment is never sent. What
  // browsers do send against §2 ('|', '"', '{') is let through: no two servers split a line there.
  if (!all_of_class(target, kTargetChar)) return HttpFault::kTarget;
  return std::nullopt;
}

std::optional<HttpFault> check_status_line(std::string_view line) {
  if (line.size() < kVersionSize + 1 + kStatusSize || line[kVersionSize] != ' ') {
    return HttpFault::kStartLine;
  }
  if (auto fault = check_version(line.substr(0, kVersionSize))) return fault;
  const std::string_view status = line.substr(kVersionSize + 1, kStatusSize);
  if (!std::ranges::all_of(status, is_digit) || status[0] == '0') return HttpFault::kStartLine;
  // RFC 9112 §4 wants a space also before an empty reason phrase; many servers leave it out.
  const std::string_view reason = line.substr(kVersionSize + 1 + kStatusSize);
  if (!reason.empty() && reason[0] != ' ') return HttpFault::kStartLine;
  return std::nullopt;
}

std::expected<HttpTarget, HttpFault> split_target(std::string_view method,
                                                  std::string_view target) {
  const std::unexpected invalid(HttpFault::kTarget);
  const auto path_of = [](std::string_view path_and_query) {
    return path_and_query.substr(0, path_and_query.find('?'));
  };
  if (method == "CONNECT") {  // authority-form, §3.2.3: host and port, both there
    const size_t colon = target.rfind(':');
    if (colon == std::string_view::npos || colon == 0 || colon + 1 == target.size() ||
        !is_valid_host(target)) {
      return invalid;
    }
    return HttpTarget{.authority = target};
  }
  if (target.starts_with('/')) return HttpTarget{.path = path_of(target)};  // §3.2.1
  if (target == "*") {                                                      // §3.2.4
    if (method != "OPTIONS") return invalid;
    return HttpTarget{.path = target};
  }
  const size_t scheme_end = target.find("://");  // absolute-form, §3.2.2
  if (scheme_end == std::string_view::npos || !is_scheme(target.substr(0, scheme_end))) {
    return invalid;
  }
  const std::string_view rest = target.substr(scheme_end + 3);
  const size_t authority_end = std::min(rest.find_first_of("/?"), rest.size());
  const std::string_view authority = rest.substr(0, authority_end);
  if (authority.empty() || !is_valid_host(authority)) return invalid;  // RFC 9110 §4.2.1
  const std::string_view path = path_of(rest.substr(authority_end));
  return HttpTarget{.authority = authority, .path = path.empty() ? "/" : path};
}

bool is_valid_host(std::string_view host) {
  const size_t literal_end = host.starts_with('[') ? host.find(']') : 0;
  if (literal_end == std::string_view::npos) return false;
  const size_t colon = std::min(host.find(':', literal_end), host.size());
  const std::string_view name = host.substr(0, colon);
  const std::string_view port = colon < host.size() ? host.substr(colon + 1) : "";
  if (name.empty() && !host.empty()) return false;
  return is_port(port) && (literal_end > 0 ? is_ip_literal(name) : all_of_class(name, kHostChar));
}

}  // namespace fairlead::protocol
