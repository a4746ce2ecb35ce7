#include "port/interface_info.h"

#include <ifaddrs.h>
#include <linux/ethtool.h>
#include <linux/if.h>
#include <linux/if_arp.h>
#include <linux/if_link.h>
#include <linux/if_packet.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <memory>
#include <optional>
#include <set>

#include "base/unique_fd.h"
#include "fmt/format.h"
#include "port/netlink_messages.h"
#include "port/netlink_socket.h"

namespace fairlead::port {
namespace {

bool is_ethernet(const sockaddr& address) {
  return address.sa_family == AF_PACKET &&
         reinterpret_cast<const sockaddr_ll&>(address).sll_hatype == ARPHRD_ETHER;
}

bool is_routable(const sockaddr& address) {
  if (address.sa_family == AF_INET) return true;
  return address.sa_family == AF_INET6 &&
         !IN6_IS_ADDR_LINKLOCAL(&reinterpret_cast<const sockaddr_in6&>(address).sin6_addr);
}

}  // namespace

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

namespace {

/// `value`: one of ethtool's structures, which it fills.
Result<void> ask_ethtool(const std::string& name, void* value) {
  const UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  name.copy(request.ifr_name, IFNAMSIZ - 1);
  request.ifr_data = static_cast<char*>(value);
  if (socket && ::ioctl(socket.get(), SIOCETHTOOL, &request) == 0) return {};
  return fail(errc_from_errno(errno),
              fmt::format("interface {}: ethtool: {}", name, std::strerror(errno)));
}

}  // namespace

Result<bool> has_receive_offload(const std::string& name) {
  ethtool_value value{.cmd = ETHTOOL_GGRO, .data = 0};
  if (auto asked = ask_ethtool(name, &value); !asked) return std::unexpected(asked.error());
  return value.data != 0;
}

bool is_veth(const std::string& name) {
  ethtool_drvinfo value{};
  value.cmd = ETHTOOL_GDRVINFO;
  return ask_ethtool(name, &value) && std::string_view(value.driver) == "veth";
}

Result<std::vector<std::string>> addressed_interfaces() {
  ifaddrs* first = nullptr;
  if (::getifaddrs(&first) != 0) {
    return fail(errc_from_errno(errno), "the kernel does not name its interfaces");
  }
  const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> all(first, &::freeifaddrs);
  std::set<std::string> ethernet, routable;
  for (const ifaddrs* entry = all.get(); entry != nullptr; entry = entry->ifa_next) {
    if (entry->ifa_addr == nullptr || (entry->ifa_flags & IFF_UP) == 0) continue;
    if (is_ethernet(*entry->ifa_addr)) ethernet.insert(entry->ifa_name);
    if (is_routable(*entry->ifa_addr)) routable.insert(entry->ifa_name);
  }
  std::vector<std::string> names;
  std::ranges::set_intersection(ethernet, routable, std::back_inserter(names));
  return names;
}

}  // namespace fairlead::port
