#include "port/interface_info.h"

#include <linux/if.h>
#include <linux/if_arp.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>

#include <algorithm>
#include <array>

#include "fmt/format.h"
#include "port/netlink_attributes.h"
#include "port/netlink_socket.h"

namespace fairlead::port {
namespace {

/// What one RTM_NEWLINK says.
struct LinkMessage {
  InterfaceInfo info;
  bool ethernet = false;
};

LinkMessage parse_link(const nlmsghdr& message, const std::string& name) {
  const auto* header = static_cast<const ifinfomsg*>(mnl_nlmsg_get_payload(&message));
  LinkMessage link;
  link.info.name = name;
  link.info.index = header->ifi_index;
  link.info.up = (header->ifi_flags & IFF_UP) != 0;
  link.ethernet = header->ifi_type == ARPHRD_ETHER || header->ifi_type == ARPHRD_LOOPBACK;
  for_each_attribute(
      message_attributes(message, sizeof(ifinfomsg)), [&](uint16_t type, const nlattr& attribute) {
        if (type == IFLA_ADDRESS) {
          link.info.mac = attribute_mac(attribute).value_or(MacAddress());
        } else if (type == IFLA_MTU) {
          link.info.mtu =
              static_cast<uint16_t>(std::min(attribute_u32(attribute).value_or(1500), 65535u));
        } else if (type == IFLA_GSO_MAX_SIZE) {
          link.info.gso_max_size = attribute_u32(attribute).value_or(65536);
        }
      });
  return link;
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

  LinkMessage link;
  const Result<void> answered = socket->ask(*request, [&](const nlmsghdr& message) {
    if (message.nlmsg_type == RTM_NEWLINK) link = parse_link(message, name);
  });
  if (!answered && answered.error().code == Errc::kNoDevice) {
    return fail(Errc::kNoDevice, fmt::format("interface {}: no such interface", name));
  }
  if (!answered) {
    return fail(answered.error().code,
                fmt::format("interface {}: {}", name, answered.error().to_string()));
  }
  if (!link.ethernet) {
    return fail(Errc::kNotSupported, fmt::format("interface {}: not an Ethernet interface", name));
  }
  return link.info;
}

}  // namespace fairlead::port
