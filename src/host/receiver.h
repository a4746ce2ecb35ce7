// Receiver: the receive side of one connection. Which bytes are new, where they wait, what window
// to advertise, when to acknowledge.
//
//        read by the application    rcv.nxt                      edge (last advertised)
//              |   queue / borrowed    |  (gap)  [reassembly]       |
//   -----------+-----------------------+----------------------------+
//                                      |<------ rcv.wnd ----------->|
//
// In-order payload is not copied when it arrives: it is borrowed from its packet until the end of
// the receive burst (borrowed.h), and kept in its buffer after that if it is large. The right edge
// of the window never moves back (RFC 9293 §3.8.6.2.2). The buffer limit autotunes: when the
// application reads more than half of it within a round trip, the limit, not the sender, was what
// held the connection back, and it doubles (dynamic right-sizing, Fisk & Feng 2001).
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "base/seq_num.h"
#include "base/time.h"
#include "host/resources.h"
#include "host/segment.h"

namespace fairlead::host {

class Receiver {
 public:
  /// Linux's value; RFC 9293 §3.8.6.3 allows up to 500 ms.
  static constexpr Duration kDelayedAck = milliseconds(40);

  /// The window field will be shifted by so much, once start() is called. 0: no scaling.
  void offer_shift(uint8_t shift) { shift_ = shift; }
  /// The peer's SYN had sequence number `irs`. About `limit` bytes may wait.
  void start(SeqNum irs, uint32_t limit);
  /// Our SYN, which the peer's answers, has offered `window` bytes.
  void offered(uint32_t window) { edge_ = nxt_ + window; }
  void clear(Resources& res);

  SeqNum nxt() const { return nxt_; }
  SeqNum irs() const { return irs_; }
  /// RCV.WND: from nxt() to the edge last advertised.
  uint32_t window() const { return static_cast<uint32_t>(edge_ - nxt_); }
  uint8_t shift() const { return shift_; }

  /// Where a quasi-TCB left off: it has received so many bytes, in one segment, of which `unread`
  /// are.
  void resume(const BorrowedSpans::List& unread, uint32_t received);
  /// Takes an acceptable segment's text and FIN (RFC 9293 §3.10.7.4, seventh and eighth step).
  /// Returns the payload bytes that came in order. Sets what acks are due.
  uint32_t accept(const Segment& segment, Time now, Resources& res);
  /// A segment all of which was received before: acknowledged at once, with a D-SACK.
  void note_old_segment(const Segment& segment, Resources& res) {
    note_duplicate(segment.seq, segment.seq + static_cast<uint32_t>(segment.payload.size()), res);
  }
  /// The FIN was reached: everything before it is here.
  bool fin_received() const { return fin_received_; }

  // The reader's side.
  uint32_t readable() const { return queue_.size() + borrowed_.size; }
  ByteSpan peek(const Resources& res) const {
    return queue_.empty() ? res.borrowed.front(borrowed_) : queue_.front();
  }
  void consume(uint32_t n, Resources& res);
  /// Copies the first unread bytes without taking them.
  size_t copy_unread(MutableByteSpan into, const Resources& res) const;
  /// Moves unread bytes to the end of `out`, in the buffers they lie in where that is possible.
  /// Returns how many; fewer than wanted when the pool is at its bound.
  uint32_t move_to(ByteChain& out, MoveSize wanted, Resources& res);
  /// Keeps what still lies in packets.
  void settle(Resources& res);
  bool has_borrowed() const { return borrowed_.size > 0; }

  /// A round trip has passed: judge whether the buffer limit held the sender back.
  void autotune(Time now, Duration rtt, uint32_t max_limit);
  uint32_t limit() const { return limit_; }

  // Acknowledging.
  /// The peer has been told that everything below this is here.
  SeqNum acknowledged() const { return acknowledged_; }
  /// The number for an outgoing segment.
  SeqNum ack() const { return held_ ? acknowledged_ : nxt_; }
  /// Until release_acks(), text makes no ACK due, and neither ack() nor the advertised edge moves.
  void hold_acks();
  void release_acks();
  bool holds_acks() const { return held_; }
  /// Sequence space received in order and not acknowledged.
  uint32_t unacknowledged() const { return static_cast<uint32_t>(nxt_ - acknowledged_); }
  /// How many of the unread bytes are not acknowledged.
  uint32_t unread_unacked() const {
    return std::min(readable(), unacknowledged() - (fin_received_ && unacknowledged() > 0 ? 1 : 0));
  }
  /// A FIN was seen, or something ahead of a gap.
  bool has_fin_or_gap() const { return fin_seen_ || !reassembly_.empty(); }
  void ack_now() { ack_due_ = true; }
  bool ack_due() const { return ack_due_ || extra_acks_ > 0; }
  /// Data is waiting for the delayed ACK timer.
  bool ack_delayed() const { return !held_ && unacked_segments_ > 0; }
  bool window_update_due(uint32_t mss) const;
  /// The window field for an outgoing segment; moves the advertised edge. Call last thing before
  /// sending.
  uint16_t advertise(uint32_t mss, bool syn);
  /// A segment with ack() was sent.
  void on_ack_sent();
  /// Duplicate and selective ACK blocks for the next segment (RFC 2018, 2883).
  void fill_sack(wire::TcpOptions& options) const;
  bool dsack_pending() const { return dsack_.has_value(); }
  bool owes_duplicate_acks() const { return extra_acks_ > 1; }
  bool has_sack() const { return dsack_.has_value() || !reassembly_.empty(); }

  /// From now on the window does not open further: what was offered may come, no more.
  void freeze_window() { frozen_ = true; }
  /// Moves the unread bytes, whose acknowledgement is held back, to `out`, and ends the hold: it is
  /// as if they had not been received.
  void take_held(ByteChain& out, Resources& res);
  /// No out-of-order data waits.
  bool in_order() const { return reassembly_.empty(); }

  void set_peer_uses_sack(bool on) { peer_uses_sack_ = on; }

 private:
  static constexpr uint8_t kQuickAcks = 16;     // at the start: the peer is in slow start
  static constexpr uint8_t kMaxExtraAcks = 16;  // duplicate ACKs owed, per burst
  static constexpr uint32_t kMinSteps = 4;      // see start()

  uint32_t used() const { return readable(); }
  uint32_t room() const { return limit_ > used() ? limit_ - used() : 0; }
  /// The largest window the header's field can tell.
  uint32_t max_window() const { return uint32_t{65535} << shift_; }
  void ack_text() { ack_due_ |= !held_; }
  /// That many bytes have come in order: sets what ACKs are due.
  void note_in_order(uint32_t bytes);
  void note_duplicate(SeqNum left, SeqNum right, Resources& res);
  void store_in_order(ByteSpan payload, port::RxBuffer** buffer, Resources& res);

  [[no_unique_address]] ByteChain queue_;
  BorrowedSpans::List borrowed_;
  uint32_t limit_ = 0;
  [[no_unique_address]] Reassembly reassembly_;
  uint16_t segment_size_ = 536;  // largest payload per segment seen
  SeqNum nxt_, irs_;
  SeqNum acknowledged_;
  SeqNum edge_;
  SeqNum fin_seq_;
  uint32_t measured_ = 0;  // bytes read since measure_start_
  Time measure_start_{};
  std::optional<wire::SackBlock> dsack_;
  uint8_t unacked_segments_ = 0;
  uint8_t quick_acks_ = kQuickAcks;
  uint8_t extra_acks_ = 0;
  uint8_t shift_ = 0;
  bool peer_uses_sack_ : 1 = false;
  bool frozen_ : 1 = false;  // the advertised edge stays
  bool ack_due_ : 1 = false;
  bool fin_seen_ : 1 = false;  // at fin_seq_, perhaps behind a gap
  bool fin_received_ : 1 = false;
  bool held_ : 1 = false;  // ACKs for text
};

// Inlined: a quasi-TCB asks a receiver that lives no longer than the question.

inline void Receiver::start(SeqNum irs, uint32_t limit) {
  irs_ = irs;
  nxt_ = edge_ = acknowledged_ = irs + 1;
  // The field counts in steps of 1 << shift, which may be many bytes: a buffer of a step or
  // less could not tell of its window.
  limit_ = std::max(limit, kMinSteps << shift_);
}

inline void Receiver::note_in_order(uint32_t bytes) {
  // RFC 9293 §3.8.6.3: an ACK for at least every second full-sized segment.
  unacked_segments_ = static_cast<uint8_t>(
      std::min<uint32_t>(unacked_segments_ + std::max<uint32_t>(1, bytes / segment_size_), 255));
  if (quick_acks_ > 0) --quick_acks_, ack_text();
  if (unacked_segments_ >= 2) ack_text();
}

inline void Receiver::resume(const BorrowedSpans::List& unread, uint32_t received) {
  borrowed_ = unread;
  nxt_ += received;
  measured_ += received - unread.size;
  segment_size_ = static_cast<uint16_t>(std::max<uint32_t>(received, segment_size_));
  note_in_order(received);
}

inline uint16_t Receiver::advertise(uint32_t mss, bool syn) {
  uint32_t shift = syn ? 0 : shift_;
  uint32_t most = uint32_t{65535} << shift;
  SeqNum edge = nxt_ + std::min(room(), most);
  // Receiver's silly window avoidance: move the edge by a segment or half the buffer, or not at
  // all.
  if (!frozen_ && !held_ && edge.after(edge_) &&
      static_cast<uint32_t>(edge - edge_) >= std::min(mss, limit_ / 2)) {
    edge_ = edge;
  }
  uint32_t field = std::min(static_cast<uint32_t>(edge_ - ack()), most) >> shift;
  SeqNum told = ack() + (field << shift);
  // What the shift cuts off: rounded up, so that the edge does not move back. But the edge moves on
  // by that, with each segment that is acknowledged: a full buffer has to end it, and the peer sees
  // an edge that moves back by less than a step (RFC 7323 §2.4).
  if (!frozen_ && told.before(edge_) && field < 65535 && room() > 0) {
    ++field;
    edge_ = max(edge_, ack() + (field << shift));
  }
  return static_cast<uint16_t>(field);
}

}  // namespace fairlead::host
