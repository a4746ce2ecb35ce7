// "Segment arrives" (RFC 9293 §3.10.7), with the checks of RFC 5961 and RFC 7323 in their places.
#include <algorithm>

#include "host/connection.h"
#include "host/listener.h"
#include "host/stack.h"

namespace fairlead::host {

using wire::tcp_flag::kCwr;
using wire::tcp_flag::kEce;

void Connection::on_segment(Segment& segment, Time now) {
  Counters& counters = stack_.resources().counters;
  if (is_quasi()) {
    if (take_first(segment)) return;
    promote();
  }
  if (state_ == State::kSynSent) return on_syn_sent_segment(segment, now);

  // A repeated SYN before the handshake is complete: our SYN-ACK was lost.
  if (state_ == State::kSynReceived && segment.syn() && segment.seq == tcb_->receiver.irs() &&
      !segment.rst()) {
    if (listener_ == nullptr && segment.ack_flag() && segment.ack == tcb_->sender.vars().nxt) {
      complete_handshake(segment, now);  // simultaneous open: this is their SYN-ACK
      tcb_->receiver.ack_now();
    } else {
      syn_due_ = true;
    }
    return;
  }
  if (quasi_.timestamps && !segment.options.timestamps && !segment.rst()) {
    ++counters.drop_paws;  // RFC 7323 §3.2: silently
    return;
  }
  if (paws_rejects(segment, now)) {
    ++counters.drop_paws;
    return segment.length() > 0 ? tcb_->receiver.ack_now() : answer_sparingly();
  }
  if (!acceptable(segment)) return refuse_unacceptable(segment);
  if (segment.rst()) return on_reset(segment);
  if (segment.syn()) return challenge_ack();  // RFC 5961 §4.2
  if (!segment.ack_flag()) {
    ++counters.drop_no_ack_flag;
    return;
  }
  tcb_->heard_at = now;
  keepalive_tries_ = 0;
  if (state_ == State::kSynReceived) {
    SeqNum una = tcb_->sender.vars().una;
    if (!segment.ack.after(una) || segment.ack.after(tcb_->sender.vars().nxt)) {
      stack_.reply_reset(segment);
      return;
    }
    if (listener_ != nullptr && listener_->full()) {
      ++counters.drop_accept_queue_full;  // the SYN-ACK will be repeated, and this ACK with it
      return;
    }
    complete_handshake(segment, now);
  }
  note_timestamp(segment, now);
  if (!on_ack_field(segment, now)) return;
  if (done()) return;
  on_text(segment, now);
}

void Connection::on_syn_sent_segment(Segment& segment, Time now) {
  // RFC 9293 §3.10.7.3
  Counters& counters = stack_.resources().counters;
  Sender::Variables& snd = tcb_->sender.vars();
  if (segment.ack_flag() && (!segment.ack.after(snd.iss) || segment.ack.after(snd.nxt))) {
    ++counters.drop_bad_ack;
    if (segment.rst()) return;
    // Somebody there remembers an earlier connection from our port, usually in TIME-WAIT. The RST
    // ends that: another SYN now will do, instead of one in a second. Once.
    if (handshake_tries_ != 1 || syn_due_) return stack_.reply_reset(segment);
    stack_.reply_reset_unlimited(segment);
    syn_due_ = true;
    return;
  }
  if (segment.rst()) {
    if (!segment.ack_flag()) return;
    ++counters.connections_refused;
    return end(Errc::kConnectionRefused);
  }
  if (!segment.syn()) return;
  negotiate(segment);
  if (!quasi_.window_scaling) tcb_->receiver.offer_shift(0);
  tcb_->receiver.start(segment.seq, options_->receive_buffer_min);
  tcb_->receiver.offered(syn_window());
  tcb_->receiver.set_peer_uses_sack(quasi_.sack);
  snd.wnd = snd.max_wnd = segment.window;
  tcb_->heard_at = now;
  if (segment.ack_flag()) {
    // RFC 3168 §6.1.1: an ECN-setup SYN-ACK has ECE and not CWR.
    quasi_.ecn = quasi_.ecn && segment.has(kEce) && !segment.has(kCwr);
    complete_handshake(segment, now);
    tcb_->receiver.ack_now();
    if (!done()) on_text(segment, now);
  } else {
    quasi_.ecn = false;
    set_state(State::kSynReceived);  // simultaneous open
    syn_due_ = true;
  }
}

void Connection::complete_handshake(Segment& segment, Time now) {
  Sender::Variables& snd = tcb_->sender.vars();
  snd.una = snd.iss + 1;
  snd.nxt = max(snd.nxt, snd.una);
  snd.wl1 = segment.seq;
  snd.wl2 = segment.ack;
  snd.wnd = uint32_t{segment.window} << (segment.syn() ? 0 : quasi_.send_shift);
  snd.max_wnd = std::max(snd.max_wnd, snd.wnd);
  if (handshake_tries_ == 1) {
    tcb_->sender.rtt().sample(now - tcb_->sender.last_sent_at(), now);
  } else if (handshake_tries_ > 1) {
    tcb_->sender.rtt().note_handshake_timeout();
  }
  update_mss(now);
  tcb_->sender.establish(options_->congestion, mss_, quasi_.sack, now);
  syn_due_ = false;
  handshake_tries_ = 0;
  set_state(State::kEstablished);
  ++stack_.resources().counters.connections_established;
  events_ |= event::kConnected | event::kWritable;
  if (tcb_->sender.fin_queued()) set_state(State::kFinWait1);
  arm_life_timer(now);
  if (listener_ != nullptr) {
    if (options_->hold_first_acks) hold_acks(true);
    stack_.on_accepted(*this);
  }
}

bool Connection::acceptable(const Segment& segment) const {
  // RFC 9293 §3.10.7.4, first: the four cases. With a zero window a segment at rcv.nxt passes for
  // its ACK; its text is trimmed away later.
  SeqNum nxt = tcb_->receiver.nxt();
  uint32_t window = tcb_->receiver.window();
  uint32_t length = segment.length();
  if (window == 0) return segment.seq == nxt;
  if (segment.seq.in_window(nxt, window)) return true;
  if (length == 0) return segment.seq == nxt + window;  // as Linux: a pure ACK at the right edge
  return (segment.end() - 1).in_window(nxt, window) ||
         (segment.seq.before(nxt) && segment.end().after(nxt));
}

void Connection::refuse_unacceptable(const Segment& segment) {
  Resources& res = stack_.resources();
  ++res.counters.drop_out_of_window;
  if (segment.rst()) return;
  if (!segment.payload.empty() && segment.end().at_or_before(tcb_->receiver.nxt())) {
    tcb_->receiver.note_old_segment(segment, res);
    return;
  }
  answer_sparingly();
}

void Connection::answer_sparingly() {
  // Keep-alives and window probes end here and want an answer, however many connections are probed
  // at once; two ends that disagree must not answer each other forever. So: one per while, each.
  auto ms = static_cast<uint32_t>(stack_.now().time_since_epoch() / milliseconds(1));
  if (ms - tcb_->refused_at_ms < kRefusedInterval / milliseconds(1)) return;
  tcb_->refused_at_ms = ms;
  tcb_->receiver.ack_now();
}

bool Connection::paws_rejects(const Segment& segment, Time now) const {
  // RFC 7323 §5.3 R1. ts_recent is too old to judge by after 24 days (§5.5).
  if (!quasi_.timestamps || !segment.options.timestamps || segment.rst()) return false;
  auto age = static_cast<int32_t>(segment.options.timestamps->value - quasi_.ts_recent);
  return age < 0 && now - tcb_->heard_at < hours(24 * 24);
}

void Connection::note_timestamp(const Segment& segment, Time) {
  if (!quasi_.timestamps || !segment.options.timestamps) return;
  // RFC 7323 §4.3 (2)
  uint32_t value = segment.options.timestamps->value;
  if (segment.seq.at_or_before(tcb_->receiver.acknowledged()) &&
      static_cast<int32_t>(value - quasi_.ts_recent) >= 0) {
    quasi_.ts_recent = value;
  }
}

void Connection::on_reset(const Segment& segment) {
  Counters& counters = stack_.resources().counters;
  // RFC 5961 §3.2: only an exact sequence number resets; one in the window is asked to prove
  // itself.
  if (segment.seq != tcb_->receiver.nxt()) return challenge_ack();
  ++counters.connections_reset_by_peer;
  bool refused = state_ == State::kSynReceived && listener_ == nullptr;
  // The peer had everything and closed first: its RST takes nothing away.
  bool clean = state_ == State::kClosing || state_ == State::kLastAck;
  end(refused ? Errc::kConnectionRefused : clean ? Errc::kOk : Errc::kConnectionReset);
}

void Connection::challenge_ack() {
  Counters& counters = stack_.resources().counters;
  if (!stack_.allow_challenge_ack()) return;
  ++counters.challenge_acks_sent;
  tcb_->receiver.ack_now();
}

bool Connection::takes_ack(SeqNum ack) const {
  if (is_quasi()) return ack == quasi_.iss + 1;
  const Sender::Variables& snd = tcb_->sender.vars();
  return !ack.after(snd.nxt) && !ack.before(snd.una - snd.max_wnd);
}

bool Connection::on_ack_field(Segment& segment, Time now) {
  Resources& res = stack_.resources();
  Sender::Variables& snd = tcb_->sender.vars();
  if (!takes_ack(segment.ack)) {
    ++res.counters.drop_bad_ack;
    challenge_ack();
    return false;
  }
  if (quasi_.ecn && segment.has(kEce) && segment.ack.at_or_after(snd.una))
    tcb_->sender.on_ecn_echo(res);
  if (segment.ack.before(snd.una)) return true;  // old; its text may still be new

  uint32_t window_before = snd.wnd;
  tcb_->sender.update_window(segment, quasi_.send_shift);
  segment.window_changed = snd.wnd != window_before;
  if (snd.wnd > 0 && window_before == 0) tcb_->sender.rtt().reset_backoff();
  std::optional<uint32_t> ts_now;
  if (quasi_.timestamps) ts_now = timestamp(now);
  AckOutcome outcome = tcb_->sender.on_ack(segment, ts_now, now, res);
  if (outcome.advanced) {
    wake_writer();
    if (tcb_->sender.all_acknowledged()) events_ |= event::kSent;
  }
  if (outcome.fin_acked) on_fin_acked(segment);
  return true;
}

void Connection::on_fin_acked(const Segment& segment) {
  switch (state_) {
    case State::kFinWait1:
      set_state(State::kFinWait2);
      arm_life_timer(stack_.now());
      break;
    case State::kClosing:
    case State::kLastAck:
      if (state_ == State::kClosing) {
        stack_.enter_time_wait(*this, segment);
      } else {
        end(Errc::kOk);
      }
      break;
    case State::kClosed:
    case State::kListen:
    case State::kSynSent:
    case State::kSynReceived:
    case State::kEstablished:
    case State::kFinWait2:
    case State::kCloseWait:
    case State::kTimeWait:
      break;
  }
}

void Connection::on_text(Segment& segment, Time now) {
  Resources& res = stack_.resources();
  if (tcb_->receiver.fin_received()) {
    if (segment.length() > 0) tcb_->receiver.ack_now();  // after the FIN there is nothing new
    return;
  }
  if (!owned_ && listener_ == nullptr && !segment.payload.empty() &&
      segment.end().after(tcb_->receiver.nxt())) {
    // RFC 1122 §4.2.2.13: nobody will read this.
    ++res.counters.drop_after_close;
    stack_.reset_peer(*this);
    return end(Errc::kConnectionAborted);
  }
  if (quasi_.ecn) {
    if (segment.has(kCwr)) ecn_echo_ = false;
    if (segment.ce) {
      ecn_echo_ = true;
      ++res.counters.ce_marks_received;
      if (!holds_acks()) tcb_->receiver.ack_now();
    }
  }
  uint32_t in_order = tcb_->receiver.accept(segment, now, res);
  if (in_order > 0) events_ |= event::kReadable;
  if (holds_acks()) {
    if (!may_hold_acks()) {
      end_ack_hold();
    } else if (tcb_->receiver.unacknowledged() > 0 && tcb_->ack_deadline == Time::max()) {
      tcb_->ack_deadline = now + options_->ack_hold_max;
    }
  } else if (tcb_->receiver.ack_delayed() && !tcb_->receiver.ack_due() &&
             tcb_->ack_deadline == Time::max()) {
    tcb_->ack_deadline = now + Receiver::kDelayedAck;
  }
  if (tcb_->receiver.fin_received()) on_fin(segment);
}

void Connection::on_fin(const Segment& segment) {
  events_ |= event::kReadable;
  switch (state_) {
    case State::kSynReceived:
    case State::kEstablished:
      set_state(State::kCloseWait);
      break;
    case State::kFinWait1:
      set_state(State::kClosing);  // had our FIN been acknowledged, this were FIN-WAIT-2
      break;
    case State::kFinWait2:
      stack_.enter_time_wait(*this, segment);
      break;
    case State::kClosed:
    case State::kListen:
    case State::kSynSent:
    case State::kCloseWait:
    case State::kClosing:
    case State::kLastAck:
    case State::kTimeWait:
      break;
  }
}

}  // namespace fairlead::host
