// SendQueue: written bytes that are not acknowledged yet, addressed by sequence number.
//
// gather() finds a range for transmission without copying it. New data is sent in order, so it
// remembers where the last range ended and does not walk from the head again.
#pragma once

#include <algorithm>
#include <span>

#include "base/check.h"
#include "base/seq_num.h"
#include "host/byte_chain.h"
#include "port/packet.h"

namespace fairlead::host {

class SendQueue {
 public:
  /// The first byte written will have sequence number `first`.
  void start(SeqNum first) { first_ = cursor_seq_ = first; }

  SeqNum first() const { return first_; }
  SeqNum end() const { return first_ + chain_.size(); }
  uint32_t size() const { return chain_.size(); }

  uint32_t append(ByteSpan bytes, ChunkPool& pool) { return chain_.append(bytes, pool); }

  /// Where bytes may be moved to the end of.
  ByteChain& chain() { return chain_; }

  /// Bytes before `ack` are delivered. ack <= end().
  void drop_before(SeqNum ack, ChunkPool& pool) {
    chain_.drop_front(static_cast<uint32_t>(ack - first_), pool);
    first_ = ack;
    if (cursor_seq_.at_or_before(ack)) {
      cursor_ = nullptr;
      cursor_seq_ = ack;
    }
  }
  void clear(ChunkPool& pool) {
    chain_.clear(pool);
    cursor_ = nullptr;
  }

  /// Makes packet.payload refer to as many bytes of [seq, seq + size) as it has spans for; returns
  /// how many bytes that is. The range must be within [first(), end()).
  uint32_t gather(SeqNum seq, uint32_t size, port::TxPacket& packet) {
    CHECK(seq.at_or_after(first_) && (seq + size).at_or_before(end()));
    const Buffer* buffer = cursor_;
    SeqNum at = cursor_seq_;
    if (buffer == nullptr || seq.before(at)) {
      buffer = chain_.head();
      at = first_;
    }
    uint32_t left = size;
    while (left > 0 && packet.payload_count < port::TxPacket::kMaxPayloadSpans) {
      ByteSpan bytes = buffer->bytes();
      auto skip = static_cast<uint32_t>(seq - at);
      if (skip < bytes.size()) {
        ByteSpan part = bytes.subspan(skip, std::min<size_t>(left, bytes.size() - skip));
        packet.payload[packet.payload_count++] = part;
        left -= static_cast<uint32_t>(part.size());
        seq += static_cast<uint32_t>(part.size());
        if (left == 0) break;
      }
      at += static_cast<uint32_t>(bytes.size());
      buffer = buffer->next;
    }
    cursor_ = buffer;
    cursor_seq_ = at;
    packet.payload_size += size - left;
    return size - left;
  }

 private:
  [[no_unique_address]] ByteChain chain_;
  SeqNum first_;
  const Buffer* cursor_ = nullptr;  // the buffer the last range ended in; nullptr: unknown
  SeqNum cursor_seq_;               // sequence number of its first byte
};

}  // namespace fairlead::host
