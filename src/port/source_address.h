// Which of an interface's addresses a connection is opened from.
#pragma once

#include <optional>
#include <span>

#include "port/netlink_messages.h"
#include "wire/address.h"

namespace fairlead::port {

struct SourceQuery {
  int interface_index = 0;
  IpAddress remote;
  IpAddress next_hop;
};

/// The best of the addresses of that interface and family, nullopt when there is none. As the
/// kernel does for IPv4 (the primary address on the next hop's subnet) and RFC 6724 §5 for IPv6
/// (rules 2, 3 and 8: same scope, not deprecated, longest common prefix).
std::optional<IpAddress> choose_source(std::span<const AddressMessage> addresses,
                                       const SourceQuery& query);

}  // namespace fairlead::port
