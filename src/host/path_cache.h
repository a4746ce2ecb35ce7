// PathCache: what is known of the way to each peer address, shared by all connections to it: the
// router's answer, and the path MTU learned since (RFC 1191, 8201).
//
// A connection holds a reference to its entry. The router's answer is kept as long as the router's
// generation stands; a learned MTU for ten minutes, then a larger packet is tried again (RFC 1191
// §6.3). Bound: max_paths; at the bound entries nobody refers to are evicted, oldest first.
#pragma once

#include <cstdint>
#include <optional>

#include "base/hash_index.h"
#include "base/intrusive_list.h"
#include "base/latest_hasher.h"
#include "base/object_pool.h"
#include "base/result.h"
#include "base/time.h"
#include "host/counters.h"
#include "port/path.h"

namespace fairlead::host {

struct UnusedTag {};

struct PathEntry : ListHook<UnusedTag> {
  explicit PathEntry(const IpAddress& address) : remote(address) {}

  IpAddress remote;
  port::Path path;
  uint64_t generation = 0;
  Time learned_mtu_expires{};
  uint32_t references = 0;
  uint16_t learned_mtu = 0;  // 0: none
  bool resolved = false;
};

class PathCache {
 public:
  static constexpr Duration kLearnedMtuLifetime = minutes(10);

  PathCache(port::Router& router, size_t capacity, SipKey secret, Counters& counters);
  ~PathCache();

  /// A reference to the entry for `remote`; nullptr when all entries are referred to.
  PathEntry* acquire(const IpAddress& remote);
  void release(PathEntry* entry);

  /// Makes entry.path current. Errors as Router::resolve.
  Result<void> refresh(PathEntry& entry) {
    if (entry.resolved && entry.generation == router_.generation()) return {};
    return resolve(entry);
  }

  /// Largest IP packet that may be sent along `entry` now.
  uint16_t mtu(const PathEntry& entry, Time now) const;
  /// Likewise of a path that nobody may be using. nullopt: no route.
  std::optional<uint16_t> mtu(const IpAddress& remote, Time now) const;
  /// A router said that packets above `mtu` do not pass. True when that is news. Values below the
  /// floor are raised to it.
  bool learn_mtu(PathEntry& entry, uint32_t mtu, Time now);

 private:
  Result<void> resolve(PathEntry& entry);
  static uint16_t least(uint16_t of_route, const PathEntry& entry, Time now);
  static const IpAddress& key_of(const PathEntry& entry) { return entry.remote; }

  port::Router& router_;
  Counters& counters_;
  ObjectPool<PathEntry> pool_;
  HashIndex<PathEntry, IpAddress, key_of, LatestHasher<IpAddress>> index_;
  IntrusiveList<PathEntry, UnusedTag> unused_;  // oldest first
};

}  // namespace fairlead::host
