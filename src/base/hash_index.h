// HashIndex: an open-addressing hash table of pointers to objects that hold their own key.
//
// Linear probing over 16-byte slots (hash, pointer); deletion shifts back what follows, so there
// are no tombstones and a lookup that misses ends at the first hole. Grows by doubling at 3/4 full;
// the keyed hash (SipHash-1-3) keeps chosen keys from piling up. The owner bounds the number of
// objects.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/huge_pages.h"
#include "base/siphash.h"

namespace fairlead {

/// SipHash-1-3 of a key without padding. Where a hasher is wanted, its secret will do.
template <typename Key>
class SipHasher {
 public:
  SipHasher(SipKey secret) : secret_(secret) {}  // NOLINT(google-explicit-constructor)
  uint64_t operator()(const Key& key) const { return siphash13(secret_, key); }

 private:
  SipKey secret_;
};

/// KeyOf(const T&) -> const Key&. Key has operator==. Hasher(const Key&) -> uint64_t, keyed.
template <typename T, typename Key, const Key& (*KeyOf)(const T&), typename Hasher = SipHasher<Key>>
class HashIndex {
 public:
  /// Allocates nothing more up to `expected` objects.
  explicit HashIndex(Hasher hasher, size_t expected = 48)
      : hasher_(std::move(hasher)), slots_(std::bit_ceil(expected * 4 / 3 + 1)) {}

  size_t size() const { return size_; }
  size_t slots() const { return slots_.size(); }

  T* find(const Key& key) const { return size_ == 0 ? nullptr : find(key, hash_of(key)); }
  /// With a hash_of(key) that the caller has.
  T* find(const Key& key, uint64_t hash) const {
    for (size_t i = hash & mask();; i = (i + 1) & mask()) {
      const Slot& slot = slots_[i];
      if (slot.object == nullptr) return nullptr;
      if (slot.hash == hash && KeyOf(*slot.object) == key) return slot.object;
    }
  }

  // For many look-ups at a time: the memory for one is fetched while others are under way. Whoever
  // asks in these steps, with other work in between, finds what find() needs in the cache.
  uint64_t hash_of(const Key& key) const { return hasher_(key); }
  void prefetch(uint64_t hash) const { __builtin_prefetch(&slots_[hash & mask()]); }
  /// What find() would return for the key with this hash, or for another with the same.
  T* guess(uint64_t hash) const {
    size_t i = hash & mask();
    while (slots_[i].object != nullptr && slots_[i].hash != hash) i = (i + 1) & mask();
    return slots_[i].object;
  }

  /// The key must not be in the table.
  void insert(T& object) {
    if ((size_ + 1) * 4 > slots_.size() * 3) grow();
    place({hash_of(KeyOf(object)), &object});
    ++size_;
  }

  /// The object must be in the table.
  void erase(const T& object) {
    size_t i = hash_of(KeyOf(object)) & mask();
    while (slots_[i].object != &object) {
      CHECK(slots_[i].object != nullptr);
      i = (i + 1) & mask();
    }
    // Knuth 6.4 algorithm R: move back whatever may not stand behind a hole.
    for (size_t j = (i + 1) & mask(); slots_[j].object != nullptr; j = (j + 1) & mask()) {
      size_t home = slots_[j].hash & mask();
      if (((j - home) & mask()) < ((j - i) & mask())) continue;
      slots_[i] = slots_[j];
      i = j;
    }
    slots_[i] = {};
    --size_;
  }

  /// visit must not change the table.
  template <typename Visit>
  void for_each(Visit&& visit) const {
    for (const Slot& slot : slots_) {
      if (slot.object != nullptr) visit(*slot.object);
    }
  }

 private:
  struct Slot {
    uint64_t hash = 0;
    T* object = nullptr;
  };
  using Slots = std::vector<Slot, HugePageAllocator<Slot>>;

  size_t mask() const { return slots_.size() - 1; }
  void place(const Slot& entry) {
    size_t i = entry.hash & mask();
    while (slots_[i].object != nullptr) i = (i + 1) & mask();
    slots_[i] = entry;
  }
  void grow() {
    Slots old(slots_.size() * 2);
    old.swap(slots_);
    for (const Slot& slot : old) {
      if (slot.object != nullptr) place(slot);
    }
  }

  Hasher hasher_;
  size_t size_ = 0;
  Slots slots_;
};

}  // namespace fairlead
