// RouteTable: longest-prefix match over the kernel's routes.
//
// One hash table per prefix length, tried from the longest in use to the shortest: a look-up costs
// one probe per distinct length, however many routes there are. Both families share the tables: an
// IPv4 prefix of n bits is a prefix of 96 + n bits of the mapped address.
//
// Among routes to one prefix the lowest metric wins, and of equal ones the first added, which is
// what the kernel does.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <unordered_map>
#include <vector>

#include "wire/address.h"

namespace fairlead::port {

struct Prefix {
  IpAddress address;  // bits beyond `bits` are zero
  uint8_t bits = 0;   // 0-128; of the mapped address for IPv4: 96-128

  /// Of an address and its prefix length as people write it (0-32 for IPv4); clears the host bits.
  static Prefix of(const IpAddress& address, uint8_t length);
  bool contains(const IpAddress& other) const;
  friend bool operator==(const Prefix&, const Prefix&) = default;
};

enum class RouteKind : uint8_t {
  kUnicast,
  kLocal,        // an address of this machine
  kUnreachable,  // unreachable, blackhole, prohibit, broadcast, multicast: not for TCP
  kThrow,        // "not in this table"
};

struct Route {
  Prefix destination;
  RouteKind kind = RouteKind::kUnicast;
  int interface_index = 0;
  uint32_t metric = 0;
  uint8_t type_of_service = 0;       // only 0 is looked up
  std::optional<IpAddress> gateway;  // absent: the destination is on the link
  std::optional<IpAddress> preferred_source;
  uint32_t mtu = 0;  // 0: the interface's

  /// True when both are the same entry of the kernel's table, maybe with other attributes.
  bool same_entry(const Route& other) const;
};

class RouteTable {
 public:
  explicit RouteTable(size_t capacity) : capacity_(capacity) {}

  /// Adds, or replaces the same entry. False when the table is full.
  bool add(const Route& route);
  /// False when it was not there.
  bool remove(const Route& route);
  void clear();
  /// The best route, nullptr for none. Valid until the next change.
  const Route* find(const IpAddress& destination) const;
  size_t size() const { return size_; }

 private:
  struct AddressHash {
    size_t operator()(const IpAddress& address) const;
  };
  /// The routes to one prefix, best first.
  using Candidates = std::vector<Route>;
  using Length = std::unordered_map<IpAddress, Candidates, AddressHash>;

  size_t capacity_;
  size_t size_ = 0;
  std::map<uint8_t, Length, std::greater<>> lengths_;
};

/// `address` with all but its first `bits` bits (of 128) cleared.
IpAddress mask(const IpAddress& address, uint8_t bits);

}  // namespace fairlead::port
