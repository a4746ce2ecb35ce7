// Flight: what a sender keeps only while something is outstanding. It begins with the first
// transmission after everything was acknowledged and ends when everything is again, so an idle
// connection has none. Pooled by the stack, one for each connection there may be: creating one
// cannot fail.
//
// What outlives a flight (RTT, congestion window, how far the path reorders) is Sender's own.
#pragma once

#include <cstdint>

#include "base/object_pool.h"
#include "base/seq_num.h"
#include "base/time.h"
#include "host/rack.h"
#include "host/sent_list.h"

namespace fairlead::host {

struct Flight {
  explicit Flight(SeqNum una)
      : recovery_point(una),
        probe_end(una),
        small_end(una),
        ecn_point(una),
        first_retransmit(una) {}

  SentList sent;
  Rack rack;
  Time reorder_at = Time::max();  // Time::max(): nothing waits for RACK's window

  SeqNum recovery_point;    // RFC 6675 RecoveryPoint
  SeqNum probe_end;         // RFC 8985 TLP.end_seq
  SeqNum small_end;         // end of the last segment shorter than MSS (Minshall's Nagle)
  SeqNum ecn_point;         // one reduction per window (RFC 3168 §6.1.2)
  SeqNum first_retransmit;  // of this episode, for Eifel detection
  uint32_t first_retransmit_ts = 0;

  // Proportional rate reduction (RFC 6937 §3), bytes.
  uint32_t prr_cwnd = 0;
  uint32_t prr_delivered = 0;
  uint32_t prr_out = 0;
  uint32_t prr_flight = 0;  // RecoverFS

  uint16_t dup_acks = 0;
  bool first_retransmit_valid = false;
  bool probe_sent = false;     // a tail loss probe; its answer is awaited
  bool probe_was_new = false;  // it carried new data
  bool ecn_reduced = false;
};

using FlightPool = ObjectPool<Flight>;

}  // namespace fairlead::host
