#include "control/socket/unix_address.h"

#include <fmt/format.h>

#include <algorithm>

namespace fairlead::control {

Result<sockaddr_un> unix_address(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof(address.sun_path)) {
    return fail(Errc::kInvalidArgument,
                fmt::format("control socket \"{}\": expected a path of 1 to {} bytes", path,
                            sizeof(address.sun_path) - 1));
  }
  std::ranges::copy(path, address.sun_path);
  return address;
}

}  // namespace fairlead::control
