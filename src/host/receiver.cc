#include "host/receiver.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace fairlead::host {

void Receiver::clear(Resources& res) {
  res.borrowed.drop_front(borrowed_, borrowed_.size);
  res.chunks.redeem(std::exchange(borrowed_.promised, 0));
  queue_.clear(res.chunks);
  reassembly_.clear(res.ranges, res.chunks);
}

void Receiver::note_duplicate(SeqNum left, SeqNum right, Resources& res) {
  ++res.counters.duplicate_segments;
  if (held_ && right.after(acknowledged_)) return;
  ack_due_ = true;
  if (peer_uses_sack_ && left.before(right)) {
    dsack_ = wire::SackBlock{left, right};
  } else if (extra_acks_ < kMaxExtraAcks) {
    ++extra_acks_;
  }
}

void Receiver::store_in_order(ByteSpan payload, port::RxBuffer** buffer, Resources& res) {
  auto size = static_cast<uint32_t>(payload.size());
  const auto chunks = static_cast<uint32_t>(ChunkPool::chunks_for(size));
  if (!res.borrowed.full() && res.chunks.promise(chunks, queue_.empty())) {
    borrowed_.promised += chunks;
    res.borrowed.push(borrowed_, payload, buffer);
  } else {
    settle(res);
    size = queue_.append(payload, res.chunks);
    if (size < payload.size()) ++res.counters.drop_no_buffer;
  }
  nxt_ += size;
}

uint32_t Receiver::accept(const Segment& segment, Time, Resources& res) {
  ByteSpan payload = segment.payload;
  SeqNum seq = segment.seq + (segment.syn() ? 1 : 0);
  bool fin = segment.fin();
  if (payload.empty() && !fin) return 0;

  auto length = static_cast<uint32_t>(payload.size());
  if (length > 0) {
    uint32_t per_segment = (length + segment.segments - 1) / segment.segments;
    segment_size_ = static_cast<uint16_t>(std::clamp<uint32_t>(per_segment, segment_size_, 65535));
  }
  // Trim to the window: what was here before, what is beyond the edge.
  if (seq.before(nxt_)) {
    auto old = std::min(static_cast<uint32_t>(nxt_ - seq), length);
    if (old > 0) note_duplicate(seq, seq + old, res);
    payload = payload.subspan(old);
    seq += old;
    if (seq.before(nxt_)) fin = false;  // the FIN is old too
    if (seq.before(nxt_) || (payload.empty() && !fin)) {
      ack_text();
      return 0;
    }
  }
  if ((seq + static_cast<uint32_t>(payload.size())).after(edge_)) {
    ++res.counters.drop_window_full;
    payload = payload.first(static_cast<size_t>(std::max(edge_ - seq, 0)));
    fin = false;
    ack_text();
  }
  SeqNum end = seq + static_cast<uint32_t>(payload.size());
  if (fin_seen_ && end.after(fin_seq_)) {  // data behind a FIN: the peer contradicts itself
    payload = payload.first(static_cast<size_t>(std::max(fin_seq_ - seq, 0)));
    end = seq + static_cast<uint32_t>(payload.size());
  }
  if (fin && !fin_seen_) {
    fin_seen_ = true;
    fin_seq_ = end;
  }

  SeqNum before = nxt_;
  if (seq == nxt_) {
    bool filled_gap = !reassembly_.empty();
    if (!payload.empty()) store_in_order(payload, segment.buffer, res);
    if (filled_gap && nxt_ == end) {
      settle(res);
      nxt_ = reassembly_.take_ready(nxt_, queue_, res.ranges, res.chunks);
      ack_text();  // RFC 5681 §4.2: at once when a gap is filled, wholly or in part
    }
  } else if (!payload.empty()) {
    ++res.counters.out_of_order_segments;
    ack_text();  // RFC 5681 §4.2
    if (!peer_uses_sack_ && extra_acks_ < kMaxExtraAcks) ++extra_acks_;
    switch (reassembly_.insert(seq, payload, res.ranges, res.chunks)) {
      case Reassembly::Outcome::kStored:
        break;
      case Reassembly::Outcome::kDuplicate:
        note_duplicate(seq, end, res);
        break;
      case Reassembly::Outcome::kFull:
        ++res.counters.drop_reassembly_full;
        break;
      case Reassembly::Outcome::kNoBuffer:
        ++res.counters.drop_no_buffer;
        break;
    }
  }
  const auto in_order = static_cast<uint32_t>(nxt_ - before);
  res.counters.bytes_received += in_order;
  if (in_order > 0) note_in_order(in_order);
  if (fin_seen_ && !fin_received_ && nxt_ == fin_seq_) {
    nxt_ += 1;
    if (edge_.before(nxt_)) edge_ = nxt_;
    fin_received_ = true;
    ack_text();
  }
  return in_order;
}

void Receiver::consume(uint32_t n, Resources& res) {
  CHECK(n <= readable());
  measured_ += n;
  uint32_t queued = std::min(n, queue_.size());
  queue_.drop_front(queued, res.chunks);
  res.borrowed.drop_front(borrowed_, n - queued);
}

size_t Receiver::copy_unread(MutableByteSpan into, const Resources& res) const {
  const size_t queued = queue_.copy_front(into);
  return queued + res.borrowed.copy_front(borrowed_, into.subspan(queued));
}

uint32_t Receiver::move_to(ByteChain& out, MoveSize wanted, Resources& res) {
  uint32_t moved = 0;
  while (moved < wanted.room && moved < wanted.limit && readable() > 0) {
    const MoveSize left{.room = wanted.room - moved, .limit = wanted.limit - moved};
    uint32_t n = 0;
    if (!queue_.empty()) {
      n = out.move_front_of(queue_, left, res.chunks);
    } else if (Buffer* taken = res.borrowed.take_front(borrowed_, left.limit)) {
      out.link(taken);
      n = taken->size();
    } else {
      const ByteSpan bytes = res.borrowed.front(borrowed_);
      n = out.append(bytes.first(std::min<size_t>(bytes.size(), left.copied())), res.chunks);
      res.borrowed.drop_front(borrowed_, n);
    }
    if (n == 0) break;
    moved += n;
  }
  measured_ += moved;
  return moved;
}

void Receiver::take_held(ByteChain& out, Resources& res) {
  nxt_ = nxt_ - readable();
  while (readable() > 0) {
    if (move_to(out, {.room = readable(), .limit = readable()}, res) == 0) break;
  }
  res.borrowed.drop_front(borrowed_, borrowed_.size);
  queue_.clear(res.chunks);
  release_acks();
}

void Receiver::settle(Resources& res) {
  res.chunks.redeem(std::exchange(borrowed_.promised, 0));
  while (borrowed_.size > 0) {
    if (Buffer* taken = res.borrowed.take_front(borrowed_, borrowed_.size)) {
      queue_.link(taken);
      continue;
    }
    const ByteSpan bytes = res.borrowed.front(borrowed_);
    queue_.append_promised(bytes, res.chunks);
    res.borrowed.drop_front(borrowed_, static_cast<uint32_t>(bytes.size()));
  }
}

void Receiver::autotune(Time now, Duration rtt, uint32_t max_limit) {
  if (measure_start_ == Time{}) {
    measure_start_ = now;
    measured_ = 0;
    return;
  }
  if (now - measure_start_ < std::max<Duration>(rtt, microseconds(100))) return;
  if (measured_ > limit_ / 2) limit_ = std::min(max_limit, limit_ * 2);
  measure_start_ = now;
  measured_ = 0;
}

bool Receiver::window_update_due(uint32_t mss) const {
  if (fin_received_ || frozen_ || held_) return false;
  SeqNum edge = nxt_ + std::min(room(), max_window());
  if (!edge.after(edge_)) return false;
  auto gain = static_cast<uint32_t>(edge - edge_);
  // Told without being asked when it is worth a segment: a window that was closed for the sender's
  // purposes opens, or half of what we can offer has become free (RFC 9293 §3.8.6.2.2).
  uint32_t half = std::min(limit_, max_window()) / 2;
  return gain >= half || (window() < mss && gain >= std::min(mss, half));
}

void Receiver::hold_acks() {
  held_ = true;
  if (unacknowledged() == 0) return;
  // What is due is due for text.
  ack_due_ = false;
  extra_acks_ = 0;
  dsack_.reset();
}

void Receiver::release_acks() {
  held_ = false;
  if (unacknowledged() > 0) ack_due_ = true;
}

void Receiver::on_ack_sent() {
  acknowledged_ = ack();
  ack_due_ = false;
  unacked_segments_ = 0;
  dsack_.reset();
  if (extra_acks_ > 0) --extra_acks_;
}

void Receiver::fill_sack(wire::TcpOptions& options) const {
  unsigned n = 0;
  if (dsack_) options.sack[n++] = *dsack_;  // RFC 2883 §4: a duplicate is told first
  n += reassembly_.sack_blocks(std::span(options.sack).subspan(n));
  options.sack_count = static_cast<uint8_t>(n);
}

}  // namespace fairlead::host
