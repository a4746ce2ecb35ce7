#include "port/interface_info.h"

#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>

#include <algorithm>
#include <array>
#include <optional>

#include "fmt/format.h"
#include "port/netlink_messages.h"
#include "port/netlink_socket.h"

namespace fairlead::port {
Result<InterfaceInfo> query_interface(const std::string& name) {
  if (name.empty() || name.size() >= IFNAMSIZ) {
    return fail(Errc::kNoDevice, fmt::format("interface {}: no such interface", name));
  }
  Result<NetlinkSocket> socket = NetlinkSocket::open(0);
  if (!socket) return std::unexpected(socket.error());

  alignas(nlmsghdr) std::array<char, 256> buffer{};
  nlmsghdr* request = mnl_nlmsg_put_header(buffer.data());
  request->nlmsg_type = RTM_GETLINK;
  request->nlmsg_flags = NLM_F_REQUEST;
  mnl_nlmsg_put_extra_header(request, sizeof(ifinfomsg));
  mnl_attr_put_strz(request, IFLA_IFNAME, name.c_str());

  std::optional<LinkMessage> link;
  const Result<void> answered =
      socket->ask(*request, [&](const nlmsghdr& message) { link = parse_link_message(message); });
  if (!answered && answered.error().code == Errc::kNoDevice) {
    return fail(Errc::kNoDevice, fmt::format("interface {}: no such interface", name));
  }
  if (!answered) {
    return fail(answered.error().code,
                fmt::format("interface {}: {}", name, answered.error().to_string()));
  }
  if (!link || !link->ethernet) {
    return fail(Errc::kNotSupported, fmt::format("interface {}: not an Ethernet interface", name));
  }
  return InterfaceInfo{.name = name,
                       .index = link->index,
                       .mac = link->mac,
                       .mtu = static_cast<uint16_t>(std::min(link->mtu, 65535u)),
                       .gso_max_size = link->gso_max_size,
                       .up = link->up};
}

}  // namespace fairlead::port
