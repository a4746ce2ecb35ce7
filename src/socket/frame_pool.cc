#include "socket/frame_pool.h"

namespace fairlead {

FramePool::~FramePool() {
  for (Class& c : classes_) {
    while (Free* block = c.head) {
      c.head = block->next;
      ::operator delete(block);
    }
  }
}

FramePool& FramePool::make_current() {
  static thread_local FramePool pool;
  current_ = &pool;
  return pool;
}

void* FramePool::allocate_new(size_t index) {
  ++counters_.from_heap;
  return ::operator new(index * kUnit);
}

}  // namespace fairlead
