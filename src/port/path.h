// How packets get to an address: Path (what the host stack needs to know) and Router (who knows
// it).
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "base/result.h"
#include "wire/address.h"

namespace fairlead::port {

/// The way to one remote address: interface, link addresses, size limit.
struct Path {
  IpAddress source;      // the local address the route prefers
  MacAddress local_mac;  // Ethernet source
  MacAddress next_hop;   // Ethernet destination
  IpAddress gateway;     // whose link address that is: a router's, or the destination itself
  uint16_t mtu = 1500;   // largest IP packet on this interface/route, bytes
  uint8_t port_index = 0;
};

/// Routes and neighbours. The kernel's, read over netlink, in a daemon; a fixed table in a
/// simulation. Must answer at once and never block.
class Router {
 public:
  virtual ~Router() = default;

  /// The path to `remote`. EHOSTUNREACH/ENETUNREACH: no route. EAGAIN: the neighbour's link address
  /// is being resolved; ask again in a little while.
  virtual Result<Path> resolve(const IpAddress& remote) = 0;

  /// The local address the route to `remote` prefers; known also while resolve() says EAGAIN.
  /// nullopt: no route.
  virtual std::optional<IpAddress> source_for(const IpAddress& remote) = 0;

  /// The largest IP packet that route takes, bytes, likewise. nullopt: no route.
  virtual std::optional<uint16_t> mtu_for(const IpAddress& remote) const = 0;

  /// Changes whenever an earlier answer may have become wrong. Paths are cached under it.
  virtual uint64_t generation() const = 0;

  /// True when `address` is one of this machine's on an interface of ours.
  virtual bool is_local(const IpAddress& address) const = 0;
};

}  // namespace fairlead::port
