// SpscRing: a bounded queue between exactly two threads, one that pushes and one that pops, without
// locks.
//
//            producer's cache line          consumer's cache line
//            ┌──────────────────────┐       ┌──────────────────────┐
//            │ tail_   cached_head_ │       │ head_   cached_tail_ │
//            └──────────────────────┘       └──────────────────────┘
//    slots:  . . . [head_ … tail_) . . .    indices only grow, slot = index & mask
//
// Each side writes its own index with release order and reads the other's with acquire order. It
// keeps a copy of the other's index and reads the real one only when the copy says full (or empty),
// so that in steady flow the two cache lines move between the cores once per burst, not per object.
// Indices are 64 bits wide and never wrap, so a full ring and an empty one can't be confused and
// every slot is used.
#pragma once

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <type_traits>
#include <utility>

#include "base/check.h"
#include "base/prefetch.h"

namespace fairlead {

template <typename T>
  requires std::is_nothrow_default_constructible_v<T> && std::is_nothrow_move_assignable_v<T>
class SpscRing {
 public:
  /// Room for `capacity` objects, a power of two.
  explicit SpscRing(size_t capacity)
      : mask_(capacity - 1), slots_(std::make_unique<T[]>(capacity)) {
    CHECK(std::has_single_bit(capacity));
  }
  SpscRing(const SpscRing&) = delete;
  SpscRing& operator=(const SpscRing&) = delete;

  size_t capacity() const { return mask_ + 1; }

  /// Producer. False when full; then `value` is as it was.
  bool push(T&& value) { return push_burst({&value, 1}) == 1; }
  bool push(const T& value) { return push(T(value)); }

  /// Producer. Moves objects in from the front of `values` as far as there is room; returns how
  /// many. The consumer sees them all at once.
  size_t push_burst(std::span<T> values) {
    const uint64_t tail = producer_.index.load(std::memory_order_relaxed);
    if (room(tail) < values.size()) {
      producer_.other = consumer_.index.load(std::memory_order_acquire);
    }
    const size_t count = std::min(values.size(), room(tail));
    for (size_t i = 0; i < count; ++i) slots_[(tail + i) & mask_] = std::move(values[i]);
    producer_.index.store(tail + count, std::memory_order_release);
    return count;
  }

  /// Consumer. False when empty.
  bool pop(T& value) { return pop_burst({&value, 1}) == 1; }

  /// Consumer. Moves the oldest objects out into the front of `values`; returns how many. A slot
  /// keeps the moved-from object until it is written again.
  size_t pop_burst(std::span<T> values) {
    const uint64_t head = consumer_.index.load(std::memory_order_relaxed);
    if (consumer_.other - head < values.size()) {
      consumer_.other = producer_.index.load(std::memory_order_acquire);
    }
    const size_t count = std::min<size_t>(values.size(), consumer_.other - head);
    for (size_t i = 0; i < count; ++i) values[i] = std::move(slots_[(head + i) & mask_]);
    consumer_.index.store(head + count, std::memory_order_release);
    return count;
  }

  /// Either side. For the other side's part already out of date when it returns: the producer may
  /// rely on "at most", the consumer on "at least".
  size_t size() const {
    const uint64_t head = consumer_.index.load(std::memory_order_acquire);
    return producer_.index.load(std::memory_order_acquire) - head;
  }
  bool empty() const { return size() == 0; }

 private:
  struct alignas(kCacheLine) Side {
    std::atomic<uint64_t> index{0};
    uint64_t other = 0;  // the other side's index when last looked at
  };

  size_t room(uint64_t tail) const { return capacity() - (tail - producer_.other); }

  Side producer_;  // index: where the next push goes
  Side consumer_;  // index: where the next pop comes from
  alignas(kCacheLine) const size_t mask_;
  const std::unique_ptr<T[]> slots_;
};

}  // namespace fairlead
