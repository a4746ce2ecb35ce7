#include "port/route_table.h"

#include <algorithm>
#include <cstring>
#include <functional>

namespace fairlead::port {
namespace {

constexpr uint8_t kMappedBits = 96;

}  // namespace

IpAddress mask(const IpAddress& address, uint8_t bits) {
  std::array<uint8_t, 16> bytes = address.bytes();
  for (size_t i = 0; i < bytes.size(); ++i) {
    const size_t kept = std::clamp<size_t>(bits > 8 * i ? bits - 8 * i : 0, 0, 8);
    bytes[i] = static_cast<uint8_t>(bytes[i] & (0xff00u >> kept));
  }
  return IpAddress::v6(bytes);
}

Prefix Prefix::of(const IpAddress& address, uint8_t length) {
  const auto bits =
      static_cast<uint8_t>(address.is_v4() ? kMappedBits + std::min<uint8_t>(length, 32)
                                           : std::min<uint8_t>(length, 128));
  return {.address = mask(address, bits), .bits = bits};
}

bool Prefix::contains(const IpAddress& other) const { return mask(other, bits) == address; }

bool Route::same_entry(const Route& other) const {
  return destination == other.destination && metric == other.metric && kind == other.kind &&
         interface_index == other.interface_index && type_of_service == other.type_of_service &&
         gateway == other.gateway;
}

size_t RouteTable::AddressHash::operator()(const IpAddress& address) const {
  uint64_t words[2];
  std::memcpy(words, address.bytes().data(), sizeof words);
  // Routes come from this machine's administrator and routing daemons: no need for a keyed hash.
  return static_cast<size_t>((words[0] ^ words[1] * 0x9e3779b97f4a7c15u) * 0xbf58476d1ce4e5b9u >>
                             7);
}

bool RouteTable::add(const Route& route) {
  remove(route);
  if (size_ >= capacity_) return false;
  Candidates& candidates = lengths_[route.destination.bits][route.destination.address];
  const auto place = std::ranges::upper_bound(candidates, route.metric, {}, &Route::metric);
  candidates.insert(place, route);
  ++size_;
  return true;
}

bool RouteTable::remove(const Route& route) {
  const auto length = lengths_.find(route.destination.bits);
  if (length == lengths_.end()) return false;
  const auto entry = length->second.find(route.destination.address);
  if (entry == length->second.end()) return false;
  const auto removed = static_cast<size_t>(
      std::erase_if(entry->second, [&](const Route& other) { return other.same_entry(route); }));
  size_ -= removed;
  if (entry->second.empty()) length->second.erase(entry);
  if (length->second.empty()) lengths_.erase(length);
  return removed > 0;
}

void RouteTable::clear() {
  lengths_.clear();
  size_ = 0;
}

const Route* RouteTable::find(const IpAddress& destination) const {
  for (const auto& [bits, routes] : lengths_) {
    // The default route of IPv6 is a prefix of the mapped addresses, too.
    if (destination.is_v4() && bits < kMappedBits) break;
    const auto entry = routes.find(mask(destination, bits));
    if (entry == routes.end()) continue;
    const auto best = std::ranges::find(entry->second, 0, &Route::type_of_service);
    if (best != entry->second.end()) return &*best;
  }
  return nullptr;
}

}  // namespace fairlead::port
