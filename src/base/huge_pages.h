// Memory for tables and pools that are visited at random: from huge pages, once it is large enough
// to fill one.
//
// A look-up in a table of many small pages misses the processor's TLB nearly each time, and a miss
// is a walk through page tables that have left the cache, too; in a virtual machine through two
// sets of them. 2 MiB are one entry. The kernel gives them as it can (madvise); without, all is the
// same, only slower.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <new>

namespace fairlead {

/// Of x86-64, and of AArch64 with pages of 4 KiB.
inline constexpr size_t kHugePage = size_t{2} << 20;

/// An allocator for std::vector and the like.
template <typename T>
struct HugePageAllocator {
  using value_type = T;

  HugePageAllocator() = default;
  template <typename U>
  HugePageAllocator(const HugePageAllocator<U>&) {}  // NOLINT(google-explicit-constructor)

  T* allocate(size_t count) {
    const size_t size = count * sizeof(T);
    if (size < kHugePage) return static_cast<T*>(::operator new(size, alignment(size)));
    void* const memory = ::operator new(size, alignment(size));
    ::madvise(memory, size / kHugePage * kHugePage, MADV_HUGEPAGE);
    return static_cast<T*>(memory);
  }
  void deallocate(T* memory, size_t count) {
    ::operator delete(memory, alignment(count * sizeof(T)));
  }
  friend bool operator==(const HugePageAllocator&, const HugePageAllocator&) { return true; }

 private:
  static std::align_val_t alignment(size_t size) {
    return std::align_val_t{size < kHugePage ? alignof(T) : kHugePage};
  }
};

}  // namespace fairlead
