#include "port/netlink_messages.h"

#include <linux/if.h>
#include <linux/if_arp.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "port/netlink_attributes.h"

namespace fairlead::port {
namespace {

/// The header of a message of one of the two types, nullptr for any other.
template <typename Header>
const Header* header_of(const nlmsghdr& message, uint16_t added, uint16_t removed) {
  if (message.nlmsg_type != added && message.nlmsg_type != removed) return nullptr;
  if (mnl_nlmsg_get_payload_len(&message) < sizeof(Header)) return nullptr;
  return static_cast<const Header*>(mnl_nlmsg_get_payload(&message));
}

std::optional<IpAddress> address_of(ByteSpan bytes) {
  if (bytes.size() == 4) {
    return IpAddress::v4(uint32_t{bytes[0]} << 24 | uint32_t{bytes[1]} << 16 |
                         uint32_t{bytes[2]} << 8 | bytes[3]);
  }
  std::array<uint8_t, 16> address;
  if (bytes.size() != address.size()) return std::nullopt;
  std::ranges::copy(bytes, address.begin());
  return IpAddress::v6(address);
}

bool is_ip(uint8_t family) { return family == AF_INET || family == AF_INET6; }

RouteKind kind_of(uint8_t type) {
  if (type == RTN_UNICAST) return RouteKind::kUnicast;
  if (type == RTN_LOCAL || type == RTN_ANYCAST) return RouteKind::kLocal;
  return type == RTN_THROW ? RouteKind::kThrow : RouteKind::kUnreachable;
}

/// RTA_VIA: a gateway of the other family. The address follows two bytes of family.
std::optional<IpAddress> via_address(ByteSpan bytes) {
  return bytes.size() > 2 ? address_of(bytes.subspan(2)) : std::nullopt;
}

void read_route_attribute(uint16_t type, const nlattr& attribute, Route& route);

/// RTA_MULTIPATH: the first next hop; spreading connections over several is left to the kernel's
/// own traffic.
void read_first_next_hop(ByteSpan bytes, Route& route) {
  rtnexthop hop;
  if (bytes.size() < sizeof hop) return;
  std::memcpy(&hop, bytes.data(), sizeof hop);
  if (hop.rtnh_len < sizeof hop || hop.rtnh_len > bytes.size()) return;
  route.interface_index = hop.rtnh_ifindex;
  for_each_attribute(bytes.subspan(sizeof hop, hop.rtnh_len - sizeof hop),
                     [&](uint16_t type, const nlattr& attribute) {
                       if (type == RTA_GATEWAY || type == RTA_VIA) {
                         read_route_attribute(type, attribute, route);
                       }
                     });
}

void read_metrics(ByteSpan bytes, Route& route) {
  for_each_attribute(bytes, [&](uint16_t type, const nlattr& attribute) {
    if (type == RTAX_MTU) route.mtu = attribute_u32(attribute).value_or(0);
  });
}

void read_route_attribute(uint16_t type, const nlattr& attribute, Route& route) {
  const ByteSpan bytes = attribute_bytes(attribute);
  switch (type) {
    case RTA_OIF:
      route.interface_index = static_cast<int>(attribute_u32(attribute).value_or(0));
      break;
    case RTA_GATEWAY:
      route.gateway = address_of(bytes);
      break;
    case RTA_VIA:
      route.gateway = via_address(bytes);
      break;
    case RTA_PREFSRC:
      route.preferred_source = address_of(bytes);
      break;
    case RTA_PRIORITY:
      route.metric = attribute_u32(attribute).value_or(0);
      break;
    case RTA_METRICS:
      read_metrics(bytes, route);
      break;
    case RTA_MULTIPATH:
      read_first_next_hop(bytes, route);
      break;
    default:
      break;
  }
}

NeighbourState state_of(uint16_t nud) {
  if ((nud & (NUD_PERMANENT | NUD_NOARP | NUD_REACHABLE)) != 0) return NeighbourState::kReachable;
  // DELAY and PROBE: being confirmed, usable meanwhile.
  if ((nud & (NUD_STALE | NUD_DELAY | NUD_PROBE)) != 0) return NeighbourState::kStale;
  return (nud & NUD_FAILED) != 0 ? NeighbourState::kFailed : NeighbourState::kUnknown;
}

}  // namespace

std::optional<LinkMessage> parse_link_message(const nlmsghdr& message) {
  const auto* header = header_of<ifinfomsg>(message, RTM_NEWLINK, RTM_DELLINK);
  // Bridge ports are announced a second time, with family AF_BRIDGE and less in them.
  if (header == nullptr || header->ifi_family != AF_UNSPEC) return std::nullopt;
  LinkMessage link;
  link.removed = message.nlmsg_type == RTM_DELLINK;
  link.index = header->ifi_index;
  link.up = (header->ifi_flags & IFF_UP) != 0;
  link.ethernet = header->ifi_type == ARPHRD_ETHER || header->ifi_type == ARPHRD_LOOPBACK;
  for_each_attribute(message_attributes(message, sizeof *header),
                     [&](uint16_t type, const nlattr& attribute) {
                       if (type == IFLA_ADDRESS) {
                         link.mac = attribute_mac(attribute).value_or(MacAddress());
                       } else if (type == IFLA_MTU) {
                         link.mtu = attribute_u32(attribute).value_or(0);
                       } else if (type == IFLA_GSO_MAX_SIZE) {
                         link.gso_max_size = attribute_u32(attribute).value_or(link.gso_max_size);
                       } else if (type == IFLA_IFNAME) {
                         link.name = attribute_text(attribute);
                       }
                     });
  return link;
}

std::optional<AddressMessage> parse_address_message(const nlmsghdr& message) {
  const auto* header = header_of<ifaddrmsg>(message, RTM_NEWADDR, RTM_DELADDR);
  if (header == nullptr || !is_ip(header->ifa_family)) return std::nullopt;
  uint32_t flags = header->ifa_flags;
  std::optional<IpAddress> address;
  std::optional<IpAddress> local;
  for_each_attribute(message_attributes(message, sizeof *header),
                     [&](uint16_t type, const nlattr& attribute) {
                       if (type == IFA_LOCAL) local = address_of(attribute_bytes(attribute));
                       if (type == IFA_ADDRESS) address = address_of(attribute_bytes(attribute));
                       if (type == IFA_FLAGS) flags = attribute_u32(attribute).value_or(flags);
                     });
  // On point-to-point links IFA_ADDRESS is the peer's; IFA_LOCAL, where it is there, is ours.
  if (local) address = local;
  if (!address) return std::nullopt;
  const bool unusable = (flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED)) != 0;
  return AddressMessage{.removed = message.nlmsg_type == RTM_DELADDR,
                        .interface_index = static_cast<int>(header->ifa_index),
                        .address = *address,
                        .prefix_length = header->ifa_prefixlen,
                        .secondary = (flags & IFA_F_SECONDARY) != 0,
                        .deprecated = (flags & IFA_F_DEPRECATED) != 0,
                        // RFC 4429: an optimistic address may be used before detection is through.
                        .usable = !unusable || (flags & IFA_F_OPTIMISTIC) != 0};
}

std::optional<RouteMessage> parse_route_message(const nlmsghdr& message) {
  const auto* header = header_of<rtmsg>(message, RTM_NEWROUTE, RTM_DELROUTE);
  if (header == nullptr || !is_ip(header->rtm_family)) return std::nullopt;
  // Cloned: the kernel's own cache of path-MTU discoveries, not a route.
  if ((header->rtm_flags & RTM_F_CLONED) != 0 || header->rtm_src_len != 0) return std::nullopt;
  RouteMessage out;
  out.removed = message.nlmsg_type == RTM_DELROUTE;
  out.route.kind = kind_of(header->rtm_type);
  out.route.type_of_service = header->rtm_tos;
  uint32_t table = header->rtm_table;
  IpAddress destination = header->rtm_family == AF_INET ? IpAddress::v4(0) : IpAddress();
  for_each_attribute(message_attributes(message, sizeof *header),
                     [&](uint16_t type, const nlattr& attribute) {
                       if (type == RTA_TABLE) table = attribute_u32(attribute).value_or(table);
                       if (type == RTA_DST) {
                         destination = address_of(attribute_bytes(attribute)).value_or(destination);
                       }
                       read_route_attribute(type, attribute, out.route);
                     });
  if (table != RT_TABLE_LOCAL && table != RT_TABLE_MAIN) return std::nullopt;
  out.table = table == RT_TABLE_LOCAL ? RouteTableName::kLocal : RouteTableName::kMain;
  out.route.destination = Prefix::of(destination, header->rtm_dst_len);
  return out;
}

std::optional<NeighbourMessage> parse_neighbour_message(const nlmsghdr& message) {
  const auto* header = header_of<ndmsg>(message, RTM_NEWNEIGH, RTM_DELNEIGH);
  if (header == nullptr || !is_ip(header->ndm_family)) return std::nullopt;
  // A proxy entry says whom we answer for, not where anybody is.
  if ((header->ndm_flags & NTF_PROXY) != 0) return std::nullopt;
  NeighbourMessage out;
  out.removed = message.nlmsg_type == RTM_DELNEIGH;
  out.interface_index = header->ndm_ifindex;
  out.state = state_of(header->ndm_state);
  std::optional<IpAddress> address;
  bool has_mac = false;
  for_each_attribute(message_attributes(message, sizeof *header),
                     [&](uint16_t type, const nlattr& attribute) {
                       if (type == NDA_DST) address = address_of(attribute_bytes(attribute));
                       if (type == NDA_LLADDR) {
                         const std::optional<MacAddress> mac = attribute_mac(attribute);
                         has_mac = mac.has_value();
                         out.mac = mac.value_or(MacAddress());
                       }
                     });
  if (!address) return std::nullopt;
  out.address = *address;
  const bool usable =
      out.state == NeighbourState::kReachable || out.state == NeighbourState::kStale;
  if (usable && !has_mac) out.state = NeighbourState::kUnknown;
  return out;
}

}  // namespace fairlead::port
