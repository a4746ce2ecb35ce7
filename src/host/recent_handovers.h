// RecentHandovers: connections that a NIC stack elsewhere was given a moment ago. Packets that it
// had sent up before are still on their way, and the host, which has forgotten the connection,
// would answer them by RST.
//
// 8 bytes each, found by hash. Bound: the number of entries; another connection with the same place
// takes it, and what still comes of the one before is reset, as it always is without this.
#pragma once

#include <bit>
#include <cstdint>
#include <vector>

#include "base/time.h"

namespace fairlead::host {

class RecentHandovers {
 public:
  /// Longer than any packet is under way between the two.
  static constexpr Duration kRecent = seconds(1);

  /// Rounded up to a power of two.
  explicit RecentHandovers(size_t entries) : entries_(std::bit_ceil(entries)) {}

  /// `hash`: of the connection's addresses.
  void insert(uint64_t hash, Time now) { entry(hash) = {tag(hash), milliseconds_of(now)}; }
  bool contains(uint64_t hash, Time now) const {
    const Entry& found = entries_[hash & (entries_.size() - 1)];
    return found.tag == tag(hash) && milliseconds_of(now) - found.at < kRecent / milliseconds(1);
  }

 private:
  struct Entry {
    uint32_t tag = 0;  // 0: none
    uint32_t at = 0;   // ms
  };

  static uint32_t tag(uint64_t hash) { return static_cast<uint32_t>(hash >> 32) | 1; }
  static uint32_t milliseconds_of(Time time) {
    return static_cast<uint32_t>(time.time_since_epoch() / milliseconds(1));
  }
  Entry& entry(uint64_t hash) { return entries_[hash & (entries_.size() - 1)]; }

  std::vector<Entry> entries_;
};

}  // namespace fairlead::host
