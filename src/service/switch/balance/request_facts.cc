#include "service/switch/balance/request_facts.h"

namespace fairlead::balance {

std::string_view host_name(std::string_view host) {
  // A colon inside brackets belongs to an IPv6 address.
  const size_t bracket = host.rfind(']');
  const size_t colon = host.find(':', bracket == std::string_view::npos ? 0 : bracket);
  host = host.substr(0, colon);
  if (host.ends_with('.')) host.remove_suffix(1);
  return host;
}

std::string_view target_path(std::string_view target) {
  const size_t scheme_end = target.find("://");
  // A "://" behind the first slash or in the query belongs to these.
  if (scheme_end != std::string_view::npos && scheme_end < target.find_first_of("/?")) {
    const size_t path = target.find_first_of("/?", scheme_end + 3);
    target = path == std::string_view::npos ? "" : target.substr(path);
    // RFC 9110 §4.2.3: an empty path is "/".
    if (!target.starts_with('/')) return "/";
  }
  return target.substr(0, target.find('?'));
}

}  // namespace fairlead::balance
