#include "port/source_address.h"

#include <bit>
#include <tuple>

namespace fairlead::port {
namespace {

bool is_link_local(const IpAddress& address) {
  if (address.is_v4()) return address.v4_value() >> 16 == 0xa9fe;  // RFC 3927: 169.254/16
  return address.bytes()[0] == 0xfe && (address.bytes()[1] & 0xc0) == 0x80;
}

int common_prefix_bits(const IpAddress& a, const IpAddress& b) {
  for (size_t i = 0; i < a.bytes().size(); ++i) {
    const auto difference = static_cast<uint8_t>(a.bytes()[i] ^ b.bytes()[i]);
    if (difference != 0) return static_cast<int>(8 * i) + std::countl_zero(difference);
  }
  return 128;
}

/// Compared member by member, larger is better.
auto merit(const AddressMessage& address, const SourceQuery& query) {
  const bool same_scope = is_link_local(address.address) == is_link_local(query.remote);
  const bool on_subnet =
      Prefix::of(address.address, address.prefix_length).contains(query.next_hop);
  return std::tuple(same_scope, !address.deprecated, !address.secondary && on_subnet, on_subnet,
                    common_prefix_bits(address.address, query.remote));
}

}  // namespace

std::optional<IpAddress> choose_source(std::span<const AddressMessage> addresses,
                                       const SourceQuery& query) {
  const AddressMessage* best = nullptr;
  for (const AddressMessage& address : addresses) {
    if (address.interface_index != query.interface_index || !address.usable) continue;
    if (address.address.is_v4() != query.remote.is_v4()) continue;
    if (best == nullptr || merit(address, query) > merit(*best, query)) best = &address;
  }
  return best == nullptr ? std::nullopt : std::optional(best->address);
}

}  // namespace fairlead::port
