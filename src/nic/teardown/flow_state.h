// FlowState: what a packet of a flow in teardown needs at hand, 26 bytes (AccelTCP, NSDI '20, §4.2:
// NIC memory is scarce, and the state of all flows is to stay in the cache).
//
//   offset  bytes
//     0       4    una         oldest sequence number not acknowledged (SND.UNA)
//     4       4    end         behind our FIN: all is sent at once, so SND.NXT but for a moment
//     8       4    rcv_nxt     next one expected; behind the peer's FIN once that has come
//    12       4    ts_recent   latest TSval to echo (RFC 7323 §4.3)
//    16       2    rto_ms      timeout at the hand-over, before back-off; at most 60 s
//    18       2    alarm_slot  where the timer is in the bitmap wheel, while kArmed
//    20       2    alarm_turns whole turns of the wheel it still has to wait
//    22       1    state       TeardownState
//    23       1    timeouts    since anything was acknowledged last; the back-off is 2^timeouts
//    24       1    dup_acks    duplicate ACKs in a row
//    25       1    flags       below
//
// The 4-tuple stays outside, in the record that the hash index points to: it is compared there and
// nowhere else, and at 36 bytes for either address family it alone would not fit. With it are the
// things only a packet we build needs: MAC addresses, window field, segment size, held data.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/seq_num.h"
#include "base/time.h"
#include "nic/teardown/timer_bitmap_wheel.h"

namespace fairlead::nic {

/// Of RFC 9293 §3.3.2, those in which we have closed.
enum class TeardownState : uint8_t { kFinWait1, kFinWait2, kClosing, kLastAck, kTimeWait };
/// "FIN-WAIT-1"
std::string_view teardown_state_name(TeardownState state);

struct [[gnu::packed, gnu::aligned(2)]] FlowState {
  enum Flag : uint8_t {
    kTimestamps = 1,     // agreed on: every segment has them
    kArmed = 2,          // alarm holds
    kRecovering = 4,     // something was lost: each partial ACK names the next hole (RFC 6582)
    kRetransmitted = 8,  // an ACK may be for either copy (Karn)
    kAckDue = 16,
    kResendDue = 32,  // the segment at una
  };

  uint32_t una_value;
  uint32_t end_value;
  uint32_t rcv_nxt_value;
  uint32_t ts_recent;
  uint16_t rto_ms;
  uint16_t alarm_slot;
  uint16_t alarm_turns;
  TeardownState state;
  uint8_t timeouts;
  uint8_t dup_acks;
  uint8_t flags;

  SeqNum una() const { return SeqNum(una_value); }
  SeqNum end() const { return SeqNum(end_value); }
  SeqNum rcv_nxt() const { return SeqNum(rcv_nxt_value); }
  bool has(Flag flag) const { return (flags & flag) != 0; }
  void put(Flag flag, bool on) { flags = static_cast<uint8_t>(on ? flags | flag : flags & ~flag); }
  /// Our FIN, and so everything, is acknowledged.
  bool all_acked() const { return una_value == end_value; }
  /// The peer's FIN has come.
  bool peer_closed() const {
    return state != TeardownState::kFinWait1 && state != TeardownState::kFinWait2;
  }
};
static_assert(sizeof(FlowState) == 26);

}  // namespace fairlead::nic
