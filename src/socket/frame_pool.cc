#include "socket/frame_pool.h"

#include <new>

namespace fairlead {

FramePool::~FramePool() {
  for (Class& c : classes_) {
    while (Free* block = c.head) {
      c.head = block->next;
      ::operator delete(block);
    }
  }
}

FramePool& FramePool::current() {
  static thread_local FramePool pool;
  return pool;
}

void* FramePool::allocate(size_t size) {
  size_t index = (size + kUnit - 1) / kUnit;
  if (index < classes_.size() && classes_[index].head != nullptr) {
    Class& c = classes_[index];
    Free* block = c.head;
    c.head = block->next;
    --c.count;
    ++counters_.reused;
    return block;
  }
  ++counters_.from_heap;
  return ::operator new(index * kUnit);
}

void FramePool::release(void* block, size_t size) {
  size_t index = (size + kUnit - 1) / kUnit;
  if (index >= classes_.size() || classes_[index].count == kMaxFree) {
    ::operator delete(block);
    return;
  }
  Class& c = classes_[index];
  c.head = new (block) Free{c.head};
  ++c.count;
}

}  // namespace fairlead
