// FramePool: memory for coroutine frames and the small objects of a socket, so that the steady path
// allocates nothing.
//
// Size classes of 64 bytes; a freed block goes to its class's list and serves the next of that
// size. One pool per thread (thread_local): coroutines live and die on their shard's thread, and a
// promise's operator new has no argument through which a pool could be handed in.
//
// Bounds: blocks above kMaxPooled come from the heap each time; a class keeps at most kMaxFree
// blocks and returns others to the heap.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <new>
#include <utility>

namespace fairlead {

class FramePool {
 public:
  static constexpr size_t kUnit = 64;
  static constexpr size_t kMaxPooled = 4096;
  static constexpr size_t kMaxFree = 16384;

  struct Counters {
    uint64_t from_heap = 0;
    uint64_t reused = 0;
  };

  FramePool() = default;
  ~FramePool();
  FramePool(const FramePool&) = delete;
  FramePool& operator=(const FramePool&) = delete;

  /// This thread's pool.
  static FramePool& current() { return current_ != nullptr ? *current_ : make_current(); }

  void* allocate(size_t size) {
    const size_t index = class_of(size);
    if (index >= classes_.size() || classes_[index].head == nullptr) return allocate_new(index);
    Class& c = classes_[index];
    --c.count;
    ++counters_.reused;
    return std::exchange(c.head, c.head->next);
  }
  /// `size` as given to allocate().
  void release(void* block, size_t size) {
    const size_t index = class_of(size);
    if (index >= classes_.size() || classes_[index].count == kMaxFree) {
      return ::operator delete(block);
    }
    Class& c = classes_[index];
    c.head = new (block) Free{c.head};
    ++c.count;
  }
  const Counters& counters() const { return counters_; }

 private:
  struct Free {
    Free* next;
  };
  struct Class {
    Free* head = nullptr;
    size_t count = 0;
  };

  static size_t class_of(size_t size) { return (size + kUnit - 1) / kUnit; }
  static FramePool& make_current();
  void* allocate_new(size_t index);

  static inline constinit thread_local FramePool* current_ = nullptr;

  std::array<Class, kMaxPooled / kUnit + 1> classes_{};
  Counters counters_;
};

/// Base of what is allocated from the thread's FramePool.
struct Pooled {
  static void* operator new(size_t size) { return FramePool::current().allocate(size); }
  static void operator delete(void* block, size_t size) {
    FramePool::current().release(block, size);
  }
};

}  // namespace fairlead
