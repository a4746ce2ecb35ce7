// rtnetlink's messages about links, addresses, routes and neighbours, as plain values.
//
// The kernel is trusted, its version is not known: attributes we do not know are skipped, a message
// without one we need gives nothing.
#pragma once

#include <libmnl/libmnl.h>

#include <cstdint>
#include <optional>
#include <string>

#include "port/route_table.h"
#include "wire/address.h"

namespace fairlead::port {

struct LinkMessage {
  bool removed = false;
  int index = 0;
  std::string name;
  MacAddress mac;
  uint32_t mtu = 0;
  uint32_t gso_max_size = 65536;  // bytes; the kernel's default where it does not say
  bool up = false;
  bool ethernet = false;  // frames are Ethernet's: Ethernet and loopback interfaces
};

struct AddressMessage {
  bool removed = false;
  int interface_index = 0;
  IpAddress address;
  uint8_t prefix_length = 0;  // as people write it: 0-32 for IPv4
  bool secondary = false;     // IPv4: not the subnet's first; IPv6: temporary (RFC 8981)
  bool deprecated = false;
  bool usable = true;  // false: duplicate address detection is not through, or failed
};

enum class RouteTableName : uint8_t { kLocal, kMain };

struct RouteMessage {
  bool removed = false;
  RouteTableName table = RouteTableName::kMain;
  Route route;
};

enum class NeighbourState : uint8_t {
  kUnknown,  // being resolved
  kReachable,
  kStale,  // has a link address nobody confirmed for a while
  kFailed,
};

struct NeighbourMessage {
  bool removed = false;
  int interface_index = 0;
  IpAddress address;
  NeighbourState state = NeighbourState::kUnknown;
  MacAddress mac;
};

/// Each gives nullopt for a message of another type, or one that is of no use to us (another
/// table, a cloned route, a neighbour without an address).
std::optional<LinkMessage> parse_link_message(const nlmsghdr& message);
std::optional<AddressMessage> parse_address_message(const nlmsghdr& message);
std::optional<RouteMessage> parse_route_message(const nlmsghdr& message);
std::optional<NeighbourMessage> parse_neighbour_message(const nlmsghdr& message);

}  // namespace fairlead::port
