#include "host/byte_chain.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"

namespace fairlead::host {

uint32_t ByteChain::append(ByteSpan bytes, ChunkPool& pool, Chunk* (ChunkPool::*create)()) {
  uint32_t copied = 0;
  while (!bytes.empty()) {
    // A received buffer is never appended to: its pages need not be touched again.
    if (tail_ == nullptr || tail_->pool != nullptr || tail_->end == Chunk::kCapacity) {
      Chunk* chunk = (pool.*create)();
      if (chunk == nullptr) break;
      link(chunk);
    }
    size_t n = std::min<size_t>(bytes.size(), Chunk::kCapacity - tail_->end);
    std::memcpy(tail_->data + tail_->end, bytes.data(), n);
    tail_->end += static_cast<uint32_t>(n);
    bytes = bytes.subspan(n);
    copied += static_cast<uint32_t>(n);
  }
  size_ += copied;
  return copied;
}

void ByteChain::link(Buffer* buffer) {
  buffer->next = nullptr;
  (tail_ ? tail_->next : head_) = buffer;
  tail_ = buffer;
  size_ += buffer->size();
}

size_t ByteChain::copy_front(MutableByteSpan into) const {
  size_t copied = 0;
  for (const Buffer* b = head_; b != nullptr && copied < into.size(); b = b->next) {
    const size_t n = std::min<size_t>(b->size(), into.size() - copied);
    std::memcpy(into.data() + copied, b->data + b->begin, n);
    copied += n;
  }
  return copied;
}

uint32_t ByteChain::move_front_of(ByteChain& other, MoveSize wanted, ChunkPool& pool) {
  Buffer* front = other.head_;
  if (wanted.copied() == 0) return 0;
  // A chunk with little in it is better copied than kept.
  if (front->size() >= Chunk::kCapacity / 2 && front->size() <= wanted.limit) {
    const uint32_t size = front->size();
    other.head_ = front->next;
    if (other.head_ == nullptr) other.tail_ = nullptr;
    other.size_ -= size;
    link(front);
    return size;
  }
  const uint32_t copied =
      append(front->bytes().first(std::min(wanted.copied(), front->size())), pool);
  other.drop_front(copied, pool);
  return copied;
}

void ByteChain::release(Buffer* buffer, ChunkPool& pool) {
  if (buffer->pool != nullptr) {
    buffer->pool->give_back(*buffer);
  } else {
    pool.destroy(static_cast<Chunk*>(buffer));
  }
}

void ByteChain::drop_front(uint32_t n, ChunkPool& pool) {
  CHECK(n <= size_);
  size_ -= n;
  while (n > 0) {
    uint32_t here = std::min(n, head_->size());
    head_->begin += here;
    n -= here;
    if (head_->begin == head_->end) {
      Buffer* empty = head_;
      head_ = empty->next;
      if (head_ == nullptr) tail_ = nullptr;
      release(empty, pool);
    }
  }
}

void ByteChain::drop_back(uint32_t n, ChunkPool& pool) {
  CHECK(n <= size_);
  uint32_t keep = size_ - n;
  if (keep == 0) return clear(pool);
  Buffer* last = head_;
  for (uint32_t left = keep;; last = last->next) {
    if (left <= last->size()) {
      last->end = last->begin + left;
      break;
    }
    left -= last->size();
  }
  while (Buffer* dropped = last->next) {
    last->next = dropped->next;
    release(dropped, pool);
  }
  tail_ = last;
  size_ = keep;
}

void ByteChain::join(ByteChain&& other) {
  if (other.head_ == nullptr) return;
  (tail_ ? tail_->next : head_) = other.head_;
  tail_ = other.tail_;
  size_ += other.size_;
  other.head_ = other.tail_ = nullptr;
  other.size_ = 0;
}

}  // namespace fairlead::host
