// ReplayCache: which handshakes have made a connection already, so that a late copy of the ACK that
// proved one does not make another, with the same request in it.
//
// Nothing in a cookie can tell the second use from the first, so this is remembered, for as long as
// the cookie is valid: 8 bytes, of its hash and of the time, in buckets of a cache line. Which
// bucket the ISN says, which the ACK shows before anything is hashed, and a seed, so that nobody
// sees which cookies share one.
//
// Bound: the number of entries. In a full bucket the oldest is forgotten; insert() says so when its
// cookie was still valid, since then a copy of its ACK would pass.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <vector>

#include "base/huge_pages.h"
#include "nic/setup/setup_cookie.h"

namespace fairlead::nic {

class ReplayCache {
 public:
  /// Rounded up to a power of two, at least a bucket; 8 bytes each, from the first insert() on.
  ReplayCache(size_t entries, uint64_t seed)
      : count_(std::bit_ceil(std::max(entries, kBucket)) / kBucket), seed_(seed | 1) {}

  /// `hash`: a cookie's, all 64 bits.
  bool contains(uint64_t hash) const {
    if (buckets_.empty()) return false;
    const uint64_t wanted = (hash & kHashMask) | kUsed | kTimeMask;
    return std::ranges::any_of(buckets_[index_of(hash)].entries,
                               [&](uint64_t entry) { return (entry | kTimeMask) == wanted; });
  }

  /// Brings what contains() and insert() need for the cookie with this ISN into the processor's
  /// cache.
  void prefetch(uint32_t isn) const {
    if (!buckets_.empty()) __builtin_prefetch(&buckets_[index_of(isn >> FL_COOKIE_HASH_SHIFT)], 1);
  }

  /// At a time in FL_COOKIE_UNITs. False: forgot one whose cookie is still valid.
  bool insert(uint64_t hash, uint32_t units) {
    if (buckets_.empty()) buckets_.resize(count_);
    auto& entries = buckets_[index_of(hash)].entries;
    const uint64_t oldest = entries.back();
    std::shift_right(entries.begin(), entries.end(), 1);
    entries.front() = (hash & kHashMask) | kUsed | (units & kTimeMask);
    return oldest == 0 || ((units - oldest) & kTimeMask) > FL_COOKIE_WINDOW;
  }

 private:
  static constexpr size_t kBucket = 8;
  // An entry: hash, 56 bits · used · time, 7 bits. Time counts from the use, not from the making.
  static constexpr uint64_t kHashMask = ~uint64_t{0xff};
  static constexpr uint64_t kUsed = 0x80;
  static constexpr uint64_t kTimeMask = 0x7f;

  struct alignas(64) Bucket {
    std::array<uint64_t, kBucket> entries{};  // the youngest first
  };

  // Of what an ISN shows of a hash. Multiply-shift hashing (Dietzfelbinger et al. 1997): the
  // product's highest bits.
  size_t index_of(uint64_t hash) const {
    constexpr uint64_t kShown = ~uint32_t{0} >> FL_COOKIE_HASH_SHIFT;
    return static_cast<size_t>(((hash & kShown) * seed_ >> 32) * count_ >> 32);
  }

  size_t count_;
  uint64_t seed_;
  std::vector<Bucket, HugePageAllocator<Bucket>> buckets_;
};

}  // namespace fairlead::nic
