#include "nic/teardown/held_data.h"

#include <algorithm>

#include "base/check.h"

namespace fairlead::nic {

bool HeldData::hold(SeqNum begin, std::span<const ByteSpan> data, HeldPool& pool) {
  size_t size = 0;
  for (ByteSpan span : data) size += span.size();
  if ((size + HeldChunk::kCapacity - 1) / HeldChunk::kCapacity > pool.capacity() - pool.live()) {
    return false;
  }
  begin_ = begin;
  HeldChunk** link = &first_;
  size_t room = 0;  // in the last chunk
  HeldChunk* last = nullptr;
  for (ByteSpan span : data) {
    while (!span.empty()) {
      if (room == 0) {
        last = *link = pool.create();
        link = &last->next;
        room = HeldChunk::kCapacity;
      }
      const size_t n = std::min(room, span.size());
      std::ranges::copy(span.first(n), last->bytes.end() - static_cast<ptrdiff_t>(room));
      span = span.subspan(n);
      room -= n;
    }
  }
  return true;
}

void HeldData::trim(SeqNum until, HeldPool& pool) {
  while (first_ != nullptr && (begin_ + HeldChunk::kCapacity).at_or_before(until)) {
    HeldChunk* next = first_->next;
    pool.destroy(first_);
    first_ = next;
    begin_ += HeldChunk::kCapacity;
  }
}

void HeldData::release(HeldPool& pool) {
  while (first_ != nullptr) {
    HeldChunk* next = first_->next;
    pool.destroy(first_);
    first_ = next;
  }
}

void HeldData::append_to(port::TxPacket& packet, SeqNum at, uint32_t size) const {
  CHECK(size <= kMaxSegment);
  const HeldChunk* chunk = first_;
  auto offset = static_cast<uint32_t>(at - begin_);
  for (; offset >= HeldChunk::kCapacity && size > 0; offset -= HeldChunk::kCapacity) {
    chunk = chunk->next;
  }
  for (; size > 0; chunk = chunk->next, offset = 0) {
    const uint32_t n = std::min(size, HeldChunk::kCapacity - offset);
    packet.payload[packet.payload_count++] = ByteSpan(chunk->bytes).subspan(offset, n);
    packet.payload_size += n;
    size -= n;
  }
}

}  // namespace fairlead::nic
