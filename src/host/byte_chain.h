// ByteChain: stream bytes in a singly linked list of buffers: 4 KiB chunks from the stack's pool,
// into which bytes are copied, and received buffers taken from a port as they are.
//
//   head                      tail
//   [..####] -> [######] -> [###...]      bytes are appended at the tail, dropped at the head
//
// Send and receive queues are chains. An empty chain holds no chunk, so an idle connection holds no
// buffer memory. A buffer may begin or end part-filled anywhere in the list, which is what lets two
// chains be joined, and buffers move from one connection to another, without copying.
//
// Rejected: a ring buffer per connection. It must be sized for the largest window or copied to
// grow, and 100,000 idle connections would pin memory they do not use.
#pragma once

#include <cstdint>
#include <utility>

#include "base/bytes.h"
#include "host/chunk_pool.h"

namespace fairlead::host {

/// How much to move from one chain to another.
struct MoveSize {
  uint32_t room;   // about as many; a whole buffer more where that saves a copy
  uint32_t limit;  // never more

  uint32_t copied() const { return room < limit ? room : limit; }
};

class ByteChain {
 public:
  ByteChain() = default;
  ByteChain(ByteChain&& other) noexcept
      : head_(std::exchange(other.head_, nullptr)),
        tail_(std::exchange(other.tail_, nullptr)),
        size_(std::exchange(other.size_, 0)) {}
  ByteChain& operator=(ByteChain&&) = delete;

  uint32_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  /// The first contiguous run of bytes; empty when the chain is.
  ByteSpan front() const { return head_ ? head_->bytes() : ByteSpan(); }
  const Buffer* head() const { return head_; }

  /// Copies bytes to the end; returns how many, fewer than asked only when the pool is at its
  /// bound.
  uint32_t append(ByteSpan bytes, ChunkPool& pool) {
    return append(bytes, pool, &ChunkPool::create);
  }
  /// Copies bytes for which the pool has promised room.
  void append_promised(ByteSpan bytes, ChunkPool& pool) {
    append(bytes, pool, &ChunkPool::create_promised);
  }
  /// Drops n <= size() bytes from the front.
  void drop_front(uint32_t n, ChunkPool& pool);
  /// Drops n <= size() bytes from the end. Walks the list.
  void drop_back(uint32_t n, ChunkPool& pool);
  /// Puts a buffer that is in no list at the end.
  void link(Buffer* buffer);
  /// Copies the first bytes, as many as there are or `into` takes.
  size_t copy_front(MutableByteSpan into) const;
  /// Moves bytes of the first buffer of `other`, which has some, to the end of this chain. Returns
  /// how many; 0 when nothing is wanted or the pool is at its bound.
  uint32_t move_front_of(ByteChain& other, MoveSize wanted, ChunkPool& pool);
  /// Moves all bytes of `other` to the end of this chain, without copying.
  void join(ByteChain&& other);
  void clear(ChunkPool& pool) { drop_front(size_, pool); }

 private:
  uint32_t append(ByteSpan bytes, ChunkPool& pool, Chunk* (ChunkPool::*create)());
  void release(Buffer* buffer, ChunkPool& pool);

  Buffer* head_ = nullptr;
  Buffer* tail_ = nullptr;
  uint32_t size_ = 0;
};

}  // namespace fairlead::host
