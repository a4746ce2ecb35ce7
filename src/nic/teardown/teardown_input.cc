// "Segment arrives" (RFC 9293 §3.10.7.4) for connections that the application has closed, with the
// checks of RFC 5961 and RFC 7323 in their places.
#include <algorithm>

#include "nic/teardown/teardown.h"
#include "wire/icmp.h"
#include "wire/tcp.h"

namespace fairlead::nic {

using namespace wire::tcp_flag;

uint32_t TeardownSegment::length() const {
  return payload + (has(kSyn) ? 1 : 0) + (has(kFin) ? 1 : 0);
}

namespace {

bool newer(uint32_t a, uint32_t b) { return static_cast<int32_t>(a - b) > 0; }

}  // namespace

Teardown::Verdict Teardown::on_segment(const TeardownSegment& segment, Time now) {
  Flow* const flow = index_.find(segment.tuple);
  if (flow == nullptr) return {Outcome::kNotOurs};
  ++counters_.segments_received;
  const uint32_t id = flow->id;
  if (take_back(*flow, now) == Since::kGone) return {Outcome::kNotOurs};
  const Verdict verdict = on_flow_segment(*flow, segment, now);
  if (by_id_[id] != nullptr) give(*by_id_[id], now);
  return verdict;
}

Teardown::Verdict Teardown::on_flow_segment(Flow& flow, const TeardownSegment& segment, Time now) {
  FlowState& state = state_of(flow);
  if (state.state == TeardownState::kTimeWait) return on_time_wait(flow, segment, now);

  constexpr Verdict kDone{Outcome::kTaken};
  if (paws_rejects(state, segment)) {
    ++counters_.drop_paws;
    if (!segment.timestamps) return kDone;  // RFC 7323 §3.2: silently
    segment.length() > 0 ? ack_now(flow) : answer_sparingly(flow, now);
    return kDone;
  }
  if (!acceptable(flow, segment)) return refuse_unacceptable(flow, segment, now), kDone;
  if (segment.has(kRst)) {
    // RFC 5961 §3.2: only an exact sequence number resets; one in the window must prove itself.
    segment.seq == state.rcv_nxt() ? end(flow, TeardownEnd::kResetByPeer, now)
                                   : challenge(flow, now);
    return kDone;
  }
  if (segment.has(kSyn)) return challenge(flow, now), kDone;  // RFC 5961 §4.2
  if (!segment.has(kAck)) {
    ++counters_.drop_no_ack_flag;
    return kDone;
  }
  // RFC 7323 §4.3 (2); everything up to rcv_nxt was acknowledged.
  if (segment.timestamps && segment.seq.at_or_before(state.rcv_nxt()) &&
      newer(segment.timestamps->value, state.ts_recent)) {
    state.ts_recent = segment.timestamps->value;
  }
  if (on_ack(flow, segment, now)) on_text(flow, segment, now);
  return kDone;
}

bool Teardown::paws_rejects(const FlowState& state, const TeardownSegment& segment) const {
  // RFC 7323 §5.3 R1
  if (!state.has(FlowState::kTimestamps) || segment.has(kRst)) return false;
  return !segment.timestamps || newer(state.ts_recent, segment.timestamps->value);
}

bool Teardown::acceptable(const Flow& flow, const TeardownSegment& segment) const {
  const SeqNum nxt = state_of(flow).rcv_nxt();
  const uint32_t window = flow.receive_window;
  const uint32_t length = segment.length();
  if (window == 0) return segment.seq == nxt;
  if (segment.seq.in_window(nxt, window)) return true;
  if (length == 0) return segment.seq == nxt + window;  // as Linux: a pure ACK at the right edge
  return segment.seq.before(nxt) && segment.end().after(nxt);
}

void Teardown::refuse_unacceptable(Flow& flow, const TeardownSegment& segment, Time now) {
  ++counters_.drop_out_of_window;
  if (segment.has(kRst)) return;
  // Sent again: our ACK was lost.
  const bool old = segment.length() > 0 && segment.end().at_or_before(state_of(flow).rcv_nxt());
  old ? ack_now(flow) : answer_sparingly(flow, now);
}

bool Teardown::on_ack(Flow& flow, const TeardownSegment& segment, Time now) {
  FlowState& state = state_of(flow);
  // RFC 5961 §5.2
  if (segment.ack.after(flow.next) || segment.ack.before(state.una() - kMaxWindow)) {
    ++counters_.drop_bad_ack;
    challenge(flow, now);
    return false;
  }
  if (segment.ack.after(state.una())) {
    on_advance(flow, segment.ack, now);
  } else if (segment.ack == state.una() && state.una() != flow.next && segment.length() == 0 &&
             segment.window == flow.peer_window) {
    on_duplicate_ack(flow);  // RFC 5681 §2
  }
  flow.peer_window = segment.window;
  return !state.all_acked() || on_all_acked(flow, now);
}

// False: nothing more is to be done with the segment; the flow may be gone.
bool Teardown::on_all_acked(Flow& flow, Time now) {
  FlowState& state = state_of(flow);
  switch (state.state) {
    case TeardownState::kFinWait1:
      state.state = TeardownState::kFinWait2;
      arm(flow, options_.fin_wait_2, now);
      return true;
    case TeardownState::kClosing:
      enter_time_wait(flow, now);
      return false;
    case TeardownState::kLastAck:
      end(flow, TeardownEnd::kClosed, now);
      return false;
    case TeardownState::kFinWait2:
    case TeardownState::kTimeWait:
      return true;
  }
  return true;
}

void Teardown::on_advance(Flow& flow, SeqNum ack, Time now) {
  FlowState& state = state_of(flow);
  state.una_value = ack.value();
  state.dup_acks = 0;
  flow.held.trim(ack, held_pool_);
  // RFC 6298 (5.7), Karn: without timestamps the ACK may be for the first copy, and the network as
  // slow as it was.
  if (state.has(FlowState::kTimestamps) || !state.has(FlowState::kRetransmitted)) {
    state.timeouts = 0;
  }
  if (state.all_acked()) {
    state.put(FlowState::kResendDue, false);
    flow.held.release(held_pool_);
    return disarm(flow);
  }
  arm(flow, rto(state), now);  // RFC 6298 (5.3)
  if (!state.has(FlowState::kRecovering)) return;
  state.put(FlowState::kResendDue, true);  // RFC 6582 §3.2 (3), partial acknowledgement
  wants_output(flow);
}

void Teardown::on_duplicate_ack(Flow& flow) {
  constexpr uint8_t kThreshold = 3;  // RFC 5681 §3.2
  FlowState& state = state_of(flow);
  if (state.dup_acks == kThreshold || ++state.dup_acks < kThreshold ||
      state.has(FlowState::kRecovering)) {
    return;
  }
  ++counters_.fast_retransmits;
  state.put(FlowState::kRecovering, true);
  state.put(FlowState::kResendDue, true);
  wants_output(flow);
}

void Teardown::on_text(Flow& flow, const TeardownSegment& segment, Time now) {
  const FlowState& state = state_of(flow);
  if (segment.length() == 0) return;
  if (state.peer_closed()) return ack_now(flow);  // behind its FIN there is nothing
  const SeqNum fin = segment.seq + segment.payload;
  if (segment.payload > 0 && fin.after(state.rcv_nxt())) {
    reset_peer(flow, now);
    return end(flow, TeardownEnd::kResetForData, now);
  }
  ack_now(flow);
  if (segment.has(kFin) && fin == state.rcv_nxt()) on_fin(flow, now);
}

void Teardown::on_fin(Flow& flow, Time now) {
  FlowState& state = state_of(flow);
  ++state.rcv_nxt_value;
  if (state.state == TeardownState::kFinWait1) {
    state.state = TeardownState::kClosing;
  } else {
    enter_time_wait(flow, now);
  }
}

// ---- TIME-WAIT ----

Teardown::Verdict Teardown::on_time_wait(Flow& flow, const TeardownSegment& segment, Time now) {
  const FlowState& state = state_of(flow);
  if (segment.has(kRst)) {
    ++counters_.time_wait_reset_ignored;  // RFC 1337 §3 (F1)
    return {Outcome::kTaken};
  }
  if (segment.to_listener && reopens(state, segment)) {
    ++counters_.time_wait_reused;
    const SeqNum above = state.end();
    remove(flow);
    return {Outcome::kReopened, above};
  }
  if (segment.length() > 0) {
    challenge(flow, now);
  } else if (segment.seq != state.rcv_nxt() && segment.seq + 1 != state.rcv_nxt()) {
    answer_sparingly(flow, now);  // but not an ACK that the peer's FIN has overtaken
  }
  if (segment.has(kFin) && segment.end() == state.rcv_nxt()) rest_again(flow, now);
  return {Outcome::kTaken};
}

bool Teardown::reopens(const FlowState& state, const TeardownSegment& segment) const {
  // RFC 6191 §2
  if (!segment.has(kSyn) || segment.has(kAck)) return false;
  const bool above = segment.seq.after(state.rcv_nxt());
  if (!state.has(FlowState::kTimestamps) || !segment.timestamps) return above;
  const uint32_t value = segment.timestamps->value;
  return newer(value, state.ts_recent) || (value == state.ts_recent && above);
}

// ---- answers ----

void Teardown::ack_now(Flow& flow) {
  state_of(flow).put(FlowState::kAckDue, true);
  wants_output(flow);
}

void Teardown::answer_sparingly(Flow& flow, Time now) {
  // Two ends that disagree must not answer each other forever.
  const auto ms = static_cast<uint32_t>(now.time_since_epoch() / milliseconds(1));
  if (ms - flow.refused_at_ms < kRefusedIntervalMs) return;
  flow.refused_at_ms = ms;
  ack_now(flow);
}

void Teardown::challenge(Flow& flow, Time now) {
  if (!challenge_acks_.allow(now, options_.challenge_acks_per_second)) {
    ++counters_.challenge_acks_limited;
    return;
  }
  ++counters_.challenge_acks_sent;
  ack_now(flow);
}

bool Teardown::on_too_big(const FourTuple& tuple, SeqNum seq, uint32_t mtu, Time now) {
  Flow* flow = index_.find(tuple);
  if (flow == nullptr || take_back(*flow, now) == Since::kGone) return false;
  const bool in_flight = shrink(*flow, seq, mtu);
  give(*flow, now);
  return in_flight;
}

bool Teardown::shrink(Flow& flow, SeqNum seq, uint32_t mtu) {
  FlowState& state = state_of(flow);
  if (seq.before(state.una()) || !seq.before(flow.next)) return false;
  const IpAddress& remote = flow.tuple.remote.address;
  const uint32_t least = remote.is_v4() ? wire::kMinPathMtuV4 : wire::kMinPathMtuV6;
  const uint32_t options =
      state.has(FlowState::kTimestamps) ? wire::TcpOptions::kTimestampsSize : 0;
  const uint32_t mss = std::max(mtu, least) - port::headers_to(remote) - options;
  if (mss >= flow.mss) return true;
  flow.mss = static_cast<uint16_t>(mss);
  flow.next = state.una();  // all again, without blaming congestion
  state.put(FlowState::kRetransmitted, true);
  wants_output(flow);
  return true;
}

}  // namespace fairlead::nic
