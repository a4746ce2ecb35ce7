// RxBuffer: memory a port receives one frame into, which whoever reads the frame may keep.
//
//   port   [slot 0] ─▶ RxBuffer   lent with the RxPacket until release()
//          [slot 1] ─▶ RxBuffer ──take()──▶ the receive queue, or another connection's send queue
//                      a fresh one takes its place in the slot
//
// A frame's payload lies in one buffer and a buffer holds one frame, so there is one owner and
// nothing is counted: bulk data goes from the socket that received it to the packet that sends it
// without a copy of ours in between. It pays for large frames only (kWorthTaking), because a buffer
// is 68 KiB whatever it holds.
//
// Bound: a pool's capacity. When all buffers are taken, take() fails and the reader copies.
#pragma once

#include <array>
#include <cstdint>
#include <utility>

#include "base/bytes.h"
#include "base/object_pool.h"

namespace fairlead::port {

class RxBufferPool;

/// Bytes [begin, end) of `data`, in a singly linked list. One owner.
struct Buffer {
  explicit Buffer(RxBufferPool* p) : pool(p) {}

  Buffer* next = nullptr;
  uint8_t* data = nullptr;
  RxBufferPool* pool;  // nullptr: not an RxBuffer
  uint32_t begin = 0;
  uint32_t end = 0;

  uint32_t size() const { return end - begin; }
  ByteSpan bytes() const { return {data + begin, size()}; }
};

struct RxBuffer : Buffer {
  /// Ethernet 14, 802.1Q 4, IP packet 65,535, rounded up to pages.
  static constexpr size_t kCapacity = 68 * 1024;
  /// Payload below this, bytes, is better copied.
  static constexpr size_t kWorthTaking = 16 * 1024;

  explicit RxBuffer(RxBufferPool& p) : Buffer(&p) { data = storage.data(); }

  std::array<uint8_t, kCapacity> storage;  // deliberately left as it is
};

class RxBufferPool {
 public:
  /// Runs shorter than `worth_taking` bytes are not given away.
  explicit RxBufferPool(size_t capacity, size_t worth_taking = RxBuffer::kWorthTaking)
      : pool_(capacity), worth_taking_(worth_taking) {}

  /// nullptr at the bound.
  RxBuffer* create() { return pool_.create(*this); }
  void give_back(Buffer& buffer) { pool_.destroy(static_cast<RxBuffer*>(&buffer)); }
  size_t live() const { return pool_.live(); }
  size_t worth_taking() const { return worth_taking_; }

 private:
  ObjectPool<RxBuffer> pool_;
  size_t worth_taking_;
};

/// Takes the buffer in `slot` (nullptr: there is none to take) with `bytes`, which lie in it, and
/// puts a fresh one there. nullptr: the bytes must be copied.
inline Buffer* take_buffer(RxBuffer** slot, ByteSpan bytes) {
  if (slot == nullptr || bytes.size() < (*slot)->pool->worth_taking()) return nullptr;
  RxBuffer* fresh = (*slot)->pool->create();
  if (fresh == nullptr) return nullptr;
  RxBuffer* taken = std::exchange(*slot, fresh);
  taken->begin = static_cast<uint32_t>(bytes.data() - taken->data);
  taken->end = taken->begin + static_cast<uint32_t>(bytes.size());
  return taken;
}

}  // namespace fairlead::port
