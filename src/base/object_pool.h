// ObjectPool: objects of one type from slabs, up to a bound.
//
// create() and destroy() are a free-list pop and push. Slabs are allocated as they are needed and
// kept, the first of 64 KiB, each next one twice as large, up to a huge page; under
// AddressSanitizer a free slot is poisoned, so that a use after destroy() is reported as one after
// free() would be.
#pragma once

#include <algorithm>
#include <cstddef>
#include <new>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/huge_pages.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#include <sanitizer/asan_interface.h>
#endif
#endif
#ifndef ASAN_POISON_MEMORY_REGION
#define ASAN_POISON_MEMORY_REGION(address, size) (static_cast<void>(address))
#define ASAN_UNPOISON_MEMORY_REGION(address, size) (static_cast<void>(address))
#endif

namespace fairlead {

template <typename T>
class ObjectPool {
 public:
  /// At most `capacity` objects live at once.
  explicit ObjectPool(size_t capacity) : capacity_(capacity) {}
  ~ObjectPool() {
    CHECK(live_ == 0);
    for (const Slab& slab : slabs_) {
      ASAN_UNPOISON_MEMORY_REGION(slab.slots, slab.objects * sizeof(Slot));
      HugePageAllocator<Slot>().deallocate(slab.slots, slab.objects);
    }
  }
  ObjectPool(const ObjectPool&) = delete;
  ObjectPool& operator=(const ObjectPool&) = delete;

  size_t live() const { return live_; }
  size_t capacity() const { return capacity_; }

  /// Allocates the slabs of all `capacity` objects, so that create() never does.
  void allocate_all() {
    while (allocated_ < capacity_) grow();
  }
  size_t slabs() const { return slabs_.size(); }

  /// nullptr at the bound.
  template <typename... Args>
  T* create(Args&&... args) {
    if (live_ == capacity_) return nullptr;
    if (free_ == nullptr) grow();
    Slot* slot = free_;
    ASAN_UNPOISON_MEMORY_REGION(slot, sizeof(Slot));
    free_ = slot->next;
    ++live_;
    return new (slot->storage) T(std::forward<Args>(args)...);
  }

  void destroy(T* object) {
    CHECK(live_ > 0);
    object->~T();
    --live_;
    release(reinterpret_cast<Slot*>(object));
  }

 private:
  static constexpr size_t kFirstSlab = 64 * 1024;
  union Slot {
    Slot* next;
    alignas(T) unsigned char storage[sizeof(T)];
  };
  struct Slab {
    Slot* slots;
    size_t objects;
  };

  /// Of the next slab. An object that is large by itself has one of its own: its pages are taken as
  /// they are used.
  size_t next_objects() const {
    if (sizeof(Slot) > kFirstSlab) return 1;
    const size_t bytes = std::min(kFirstSlab << std::min<size_t>(slabs_.size(), 8), kHugePage);
    return (bytes + sizeof(Slot) - 1) / sizeof(Slot);
  }
  void grow() {
    const size_t objects = next_objects();
    slabs_.push_back({HugePageAllocator<Slot>().allocate(objects), objects});
    allocated_ += objects;
    for (size_t i = objects; i-- > 0;) release(&slabs_.back().slots[i]);
  }
  void release(Slot* slot) {
    slot->next = free_;
    free_ = slot;
    ASAN_POISON_MEMORY_REGION(slot, sizeof(Slot));
  }

  size_t capacity_;
  size_t live_ = 0;
  size_t allocated_ = 0;  // objects in all slabs
  Slot* free_ = nullptr;
  std::vector<Slab> slabs_;
};

}  // namespace fairlead
