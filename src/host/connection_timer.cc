// A connection's timers but the sender's: delayed ACK; and one "life" deadline, which is the
// handshake's, keep-alive's or FIN-WAIT-2's, as the state has it.
#include <algorithm>

#include "host/connection.h"
#include "host/stack.h"
#include "wire/icmp.h"

namespace fairlead::host {
namespace {

/// After this many timeouts in a row a large segment is suspected to vanish for its size.
constexpr unsigned kBlackHoleTimeouts = 2;
/// What is tried then (RFC 4821 §7.2's first search value; IPv6 has its guaranteed minimum).
constexpr uint16_t kBlackHoleMtuV4 = 1024;
constexpr uint16_t kBlackHoleFloorV4 = 552;

}  // namespace

Time Connection::deadline() const {
  if (is_quasi()) return Time::max();
  Time earliest = std::min(tcb_->ack_deadline, tcb_->life_deadline);
  if (std::optional<Time> send = tcb_->sender.deadline()) earliest = std::min(earliest, *send);
  return std::min(earliest, tcb_->sender.gives_up_at(user_timeout()));
}

Duration Connection::user_timeout() const {
  const Duration usual = options_->user_timeout;
  return state_ == State::kLastAck ? std::min(usual, options_->last_ack_timeout) : usual;
}

void Connection::on_timer(Time now) {
  Resources& res = stack_.resources();
  if (now >= tcb_->ack_deadline) {
    tcb_->ack_deadline = Time::max();
    if (holds_acks()) {
      end_ack_hold();
    } else if (tcb_->receiver.ack_delayed()) {
      tcb_->receiver.ack_now();
      ++res.counters.delayed_acks;
    }
  }
  if (now >= tcb_->sender.gives_up_at(user_timeout())) return give_up();
  if (is_established()) {
    switch (tcb_->sender.on_timer(now, res)) {
      case TimerOutcome::kNothing:
        break;
      case TimerOutcome::kTransmit:
        detect_black_hole(now);
        break;
      case TimerOutcome::kWindowProbe:
        probe_due_ = true;
        break;
    }
  }
  if (now < tcb_->life_deadline) return;
  tcb_->life_deadline = Time::max();
  if (state_ == State::kSynSent || state_ == State::kSynReceived) {
    on_handshake_timer(now);
  } else if (state_ == State::kFinWait2 && !owned_) {
    // Nobody waits for the peer's FIN any more; RFC 9293 lets FIN-WAIT-2 last forever, servers
    // cannot.
    end(Errc::kOk);
  } else if (is_established()) {
    on_keepalive_timer(now);
  }
}

void Connection::arm_life_timer(Time now) {
  tcb_->life_deadline = Time::max();
  if (state_ == State::kSynSent || state_ == State::kSynReceived) {
    // RFC 6298 (2.1), (5.5): 1 s after the first SYN, then twice as long each time.
    unsigned doublings = std::clamp<unsigned>(handshake_tries_, 1, 7) - 1;
    const Time again = now + RttEstimator::kInitialRto * (int64_t{1} << doublings);
    tcb_->life_deadline = std::min(again, tcb_->heard_at + options_->connect_timeout);
  } else if (state_ == State::kFinWait2 && !owned_) {
    tcb_->life_deadline = now + options_->linger_timeout;
  } else if (keepalive_ && is_established()) {
    tcb_->life_deadline = keepalive_tries_ == 0 ? tcb_->heard_at + options_->keepalive_idle
                                                : now + options_->keepalive_interval;
  }
}

void Connection::on_handshake_timer(Time now) {
  Resources& res = stack_.resources();
  if (now - tcb_->heard_at >= options_->connect_timeout ||
      (state_ == State::kSynReceived && handshake_tries_ >= kSynAckTries)) {
    ++res.counters.connections_timed_out;
    return end(Errc::kTimedOut);
  }
  ++res.counters.retransmission_timeouts;
  syn_due_ = true;
  // RFC 3168 §6.1.1.1: a SYN that gets no answer may have been dropped for its ECN flags.
  if (state_ == State::kSynSent && handshake_tries_ >= 2) quasi_.ecn = false;
  arm_life_timer(now);
}

void Connection::on_keepalive_timer(Time now) {
  Time due = tcb_->heard_at + options_->keepalive_idle;
  if (keepalive_tries_ == 0 && now < due) return arm_life_timer(now);
  if (keepalive_tries_ >= options_->keepalive_probes) return give_up();
  ++keepalive_tries_;
  ++stack_.resources().counters.keepalive_probes;
  probe_due_ = true;
  arm_life_timer(now);
}

void Connection::give_up() {
  ++stack_.resources().counters.connections_timed_out;
  stack_.reset_peer(*this);
  end(Errc::kTimedOut);
}

void Connection::detect_black_hole(Time now) {
  // RFC 4821 §7.6.4 style: full-sized segments vanish, no ICMP says why. Smaller ones may pass.
  if (tcb_->sender.timeouts() < kBlackHoleTimeouts || tcb_->sender.outstanding() < mss_) return;
  bool v4 = tuple_.remote.address.is_v4();
  uint16_t mtu = stack_.paths().mtu(*path_, now);
  uint16_t next =
      v4 ? (mtu > kBlackHoleMtuV4 ? kBlackHoleMtuV4 : kBlackHoleFloorV4) : wire::kMinPathMtuV6;
  if (mtu <= next) return;
  if (stack_.paths().learn_mtu(*path_, next, now)) {
    ++stack_.resources().counters.black_holes_detected;
    on_mtu_change(now);
  }
}

}  // namespace fairlead::host
