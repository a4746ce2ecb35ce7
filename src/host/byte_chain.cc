#include "host/byte_chain.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"

namespace fairlead::host {

uint32_t ByteChain::append(ByteSpan bytes, ChunkPool& pool) {
  uint32_t copied = 0;
  while (!bytes.empty()) {
    if (tail_ == nullptr || tail_->end == Chunk::kCapacity) {
      Chunk* chunk = pool.create();
      if (chunk == nullptr) break;
      (tail_ ? tail_->next : head_) = chunk;
      tail_ = chunk;
    }
    size_t n = std::min<size_t>(bytes.size(), Chunk::kCapacity - tail_->end);
    std::memcpy(tail_->data.data() + tail_->end, bytes.data(), n);
    tail_->end = static_cast<uint16_t>(tail_->end + n);
    bytes = bytes.subspan(n);
    copied += static_cast<uint32_t>(n);
  }
  size_ += copied;
  return copied;
}

void ByteChain::drop_front(uint32_t n, ChunkPool& pool) {
  CHECK(n <= size_);
  size_ -= n;
  while (n > 0) {
    uint32_t here = std::min<uint32_t>(n, static_cast<uint32_t>(head_->end - head_->begin));
    head_->begin = static_cast<uint16_t>(head_->begin + here);
    n -= here;
    if (head_->begin == head_->end) {
      Chunk* empty = head_;
      head_ = empty->next;
      if (head_ == nullptr) tail_ = nullptr;
      pool.destroy(empty);
    }
  }
}

void ByteChain::drop_back(uint32_t n, ChunkPool& pool) {
  CHECK(n <= size_);
  uint32_t keep = size_ - n;
  if (keep == 0) return clear(pool);
  Chunk* chunk = head_;
  for (uint32_t left = keep;; chunk = chunk->next) {
    auto here = static_cast<uint32_t>(chunk->end - chunk->begin);
    if (left <= here) {
      chunk->end = static_cast<uint16_t>(chunk->begin + left);
      break;
    }
    left -= here;
  }
  while (Chunk* dropped = chunk->next) {
    chunk->next = dropped->next;
    pool.destroy(dropped);
  }
  tail_ = chunk;
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
