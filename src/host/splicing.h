// Splicing: two connections of a stack on their way to becoming one (AccelTCP §3.3's nsplice).
//
//   relaying      bytes that were received and acknowledged before are ours to deliver: they are
//      │          moved from one connection to the other until all of them have been sent once.
//      │          The receive windows do not open further meanwhile, so that this comes to an end.
//      ▼
//   translating   the two sequence spaces are tied together. Whatever comes from now on is made a
//      │          segment of the other connection and passes through, unacknowledged by us. What we
//      │          have sent ourselves is still retransmitted by us until it is acknowledged:
//      │
//      │              x's peer: ──[ours, already relayed]──┬──[its own, translated]──▶
//      │                                                   in
//      ▼
//   spliced       nothing of our own is unacknowledged: both connections are gone and the
//   SpliceTable
//                 has the splice.
//
// Bytes whose acknowledgement was held back (Connection::hold_acks()) are not ours: they are sent
// on as the peer's own segments, once, and its own retransmission covers their loss.
#pragma once

#include <array>

#include "base/intrusive_list.h"
#include "base/timer_wheel.h"
#include "host/connection.h"
#include "nic/splice/splice.h"

namespace fairlead::host {

class Stack;
struct SplicingTag {};

/// Why two connections cannot become one. They stay as they are.
enum class SpliceRefusal : uint8_t {
  kNone,
  kNotEstablished,  // or ended already
  kFamily,          // one is IPv4, the other IPv6
  kTimestamps,      // negotiated on one side only
  kSack,
  kEcn,
  kSegmentSize,  // one end may send larger segments than the other takes
  kHalfClosed,   // we have sent a FIN which does not answer the other side's
  kTableFull,
};
inline constexpr size_t kSpliceRefusals = 9;
/// "timestamps", ...
std::string_view splice_refusal_name(SpliceRefusal refusal);

class Splicing final : public Observer, public TimerNode, public ListHook<SplicingTag> {
 public:
  using Way = nic::Splice::Way;

  Splicing(Stack& stack, std::array<Connection*, 2> connections, nic::Splice& splice);

  /// Packets of the connections come to on_segment().
  bool translating() const { return translating_; }
  /// A segment for one of the two, once translating. True when it is over.
  bool on_segment(Connection& connection, const Segment& segment, const port::RxPacket& packet,
                  Time now);
  /// Of a segment to `connection`'s peer that begins with `seq`, once translating: the direction
  /// whose packets answer it, if it was passed on and may be in flight. nullptr: it is ours, or was
  /// never sent.
  nic::Splice::Direction* passed_on(const Connection& connection, SeqNum seq);
  /// Something about one of the two has changed. True when it is over: both connections were
  /// released and the splice is the table's, or has ended.
  bool step(Time now);

  const nic::Splice& splice() const { return splice_; }
  void on_events(uint8_t) override {}  // the stack calls step()
  /// How long it may be without progress.
  Duration timeout() const;
  /// Since the last call: bytes that were relayed, passed through, or acknowledged to us.
  bool has_progressed();
  /// Resets both ends.
  void stop(nic::SpliceEnd how);
  /// The stack goes away.
  void abandon();

 private:
  struct Side {
    Connection* connection = nullptr;
    SeqNum in;             // of its peer: what comes from here on is passed through
    SeqNum out;            // to its peer: what we sent ourselves ends here
    SeqNum high;           // of its peer: the end of what was passed through so far
    uint64_t relayed = 0;  // bytes from its peer
    bool fin_passed = false;
  };

  Side& side_of(const Connection& c) { return sides_[sides_[0].connection == &c ? 0 : 1]; }
  Side& other(const Side& side) { return sides_[&side == &sides_[0] ? 1 : 0]; }
  nic::Splice::Direction& direction_from(const Side& side) {
    return splice_.directions[&side == &sides_[0] ? 0 : 1];
  }

  bool failed() const;
  void relay(Side& from, Side& to);
  bool all_sent() const;
  void end_relaying();
  void begin_translating(Time now);
  void send_held(Side& from, Side& to, Time now);
  bool plausible(const Side& from, const Segment& segment) const;
  void take_own_ack(Side& from, const Segment& segment, Time now);
  void pass_on(Side& from, const Segment& segment, const port::RxPacket& packet, Time now);
  void release_connections();
  void let_go(Connection& c);
  void end(nic::SpliceEnd how);

  Stack& stack_;
  nic::Splice& splice_;
  std::array<Side, 2> sides_;
  uint64_t progress_ = 0;
  bool translating_ = false;
  bool ended_ = false;
};

inline Splicing* Connection::splicing() const {
  return splicing_ ? static_cast<Splicing*>(observer_) : nullptr;
}

}  // namespace fairlead::host
