// ObjectPool: objects of one type from slabs, up to a bound.
//
// create() and destroy() are a free-list pop and push. Slabs are allocated as they are needed and
// kept; under AddressSanitizer a free slot is poisoned, so that a use after destroy() is reported
// as one after free() would be.
#pragma once

#include <cstddef>
#include <memory>
#include <new>
#include <utility>
#include <vector>

#include "base/check.h"

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
    for (auto& slab : slabs_) ASAN_UNPOISON_MEMORY_REGION(slab.get(), kSlabObjects * sizeof(Slot));
  }
  ObjectPool(const ObjectPool&) = delete;
  ObjectPool& operator=(const ObjectPool&) = delete;

  size_t live() const { return live_; }
  size_t capacity() const { return capacity_; }

  /// Allocates the slabs of all `capacity` objects, so that create() never does.
  void allocate_all() {
    while (slabs_.size() * kSlabObjects < capacity_) grow();
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
  static constexpr size_t kSlabBytes = 64 * 1024;
  union Slot {
    Slot* next;
    alignas(T) unsigned char storage[sizeof(T)];
  };
  static constexpr size_t kSlabObjects = kSlabBytes / sizeof(Slot) > 0 ? kSlabBytes / sizeof(Slot)
                                                                       : 1;

  void grow() {
    slabs_.push_back(std::make_unique_for_overwrite<Slot[]>(kSlabObjects));
    for (size_t i = kSlabObjects; i-- > 0;) release(&slabs_.back()[i]);
  }
  void release(Slot* slot) {
    slot->next = free_;
    free_ = slot;
    ASAN_POISON_MEMORY_REGION(slot, sizeof(Slot));
  }

  size_t capacity_;
  size_t live_ = 0;
  Slot* free_ = nullptr;
  std::vector<std::unique_ptr<Slot[]>> slabs_;
};

}  // namespace fairlead
