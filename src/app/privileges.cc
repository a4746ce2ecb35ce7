#include "app/privileges.h"

#include <fmt/format.h>
#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

namespace fairlead::app {
namespace {

struct Needed {
  unsigned capability;
  std::string_view name;
};
constexpr Needed kNeeded[] = {
    {CAP_NET_ADMIN, "CAP_NET_ADMIN"}, {CAP_NET_RAW, "CAP_NET_RAW"}, {CAP_BPF, "CAP_BPF"}};

}  // namespace

Result<void> check_privileges() {
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> data{};
  if (::syscall(SYS_capget, &header, data.data()) != 0) {
    return fail(errc_from_errno(errno),
                fmt::format("can't read capabilities: {}", std::strerror(errno)));
  }
  const auto has = [&](unsigned capability) {
    return (data[CAP_TO_INDEX(capability)].effective & CAP_TO_MASK(capability)) != 0;
  };
  std::vector<std::string_view> missing;
  for (const Needed& needed : kNeeded) {
    // CAP_SYS_ADMIN includes what CAP_BPF allows (capabilities(7)).
    const bool included = needed.capability == CAP_BPF && has(CAP_SYS_ADMIN);
    if (!has(needed.capability) && !included) missing.push_back(needed.name);
  }
  if (missing.empty()) return {};
  return fail(Errc::kPermission,
              fmt::format("missing privilege: {}; run as root", fmt::join(missing, ", ")));
}

}  // namespace fairlead::app
