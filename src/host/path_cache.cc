#include "host/path_cache.h"

#include <algorithm>

#include "wire/icmp.h"

namespace fairlead::host {

PathCache::PathCache(port::Router& router, size_t capacity, SipKey secret, Counters& counters)
    : router_(router), counters_(counters), pool_(capacity), index_(secret) {}

PathCache::~PathCache() {
  while (PathEntry* entry = unused_.pop_front()) {
    index_.erase(*entry);
    pool_.destroy(entry);
  }
}

PathEntry* PathCache::acquire(const IpAddress& remote) {
  PathEntry* entry = index_.find(remote);
  if (entry == nullptr) {
    entry = pool_.create(remote);
    if (entry == nullptr) {
      PathEntry* evicted = unused_.pop_front();
      if (evicted == nullptr) {
        ++counters_.drop_path_table_full;
        return nullptr;
      }
      ++counters_.paths_evicted;
      index_.erase(*evicted);
      pool_.destroy(evicted);
      entry = pool_.create(remote);
    }
    index_.insert(*entry);
  } else if (entry->references == 0) {
    unused_.erase(*entry);
  }
  ++entry->references;
  return entry;
}

void PathCache::release(PathEntry* entry) {
  if (--entry->references == 0) unused_.push_back(*entry);
}

Result<void> PathCache::resolve(PathEntry& entry) {
  entry.resolved = false;
  Result<port::Path> path = router_.resolve(entry.remote);
  if (!path) return std::unexpected(path.error());
  entry.path = *path;
  entry.generation = router_.generation();
  entry.resolved = true;
  return {};
}

uint16_t PathCache::least(uint16_t of_route, const PathEntry& entry, Time now) {
  bool learned = entry.learned_mtu != 0 && now < entry.learned_mtu_expires;
  return learned ? std::min(of_route, entry.learned_mtu) : of_route;
}

uint16_t PathCache::mtu(const PathEntry& entry, Time now) const {
  return least(entry.path.mtu, entry, now);
}

std::optional<uint16_t> PathCache::mtu(const IpAddress& remote, Time now) const {
  const std::optional<uint16_t> of_route = router_.mtu_for(remote);
  const PathEntry* entry = index_.find(remote);
  return of_route && entry != nullptr ? least(*of_route, *entry, now) : of_route;
}

bool PathCache::learn_mtu(PathEntry& entry, uint32_t mtu_value, Time now) {
  uint32_t floor = entry.remote.is_v4() ? wire::kMinPathMtuV4 : wire::kMinPathMtuV6;
  uint32_t value = std::max(mtu_value, floor);
  if (value >= mtu(entry, now)) return false;
  entry.learned_mtu = static_cast<uint16_t>(value);
  entry.learned_mtu_expires = now + kLearnedMtuLifetime;
  ++counters_.path_mtu_reductions;
  return true;
}

}  // namespace fairlead::host
