#include "host/connection.h"

#include <algorithm>

#include "base/check.h"
#include "host/listener.h"
#include "host/stack.h"

namespace fairlead::host {
std::string_view state_name(State state) {
  switch (state) {
    case State::kClosed:
      return "CLOSED";
    case State::kListen:
      return "LISTEN";
    case State::kSynSent:
      return "SYN-SENT";
    case State::kSynReceived:
      return "SYN-RECEIVED";
    case State::kEstablished:
      return "ESTABLISHED";
    case State::kFinWait1:
      return "FIN-WAIT-1";
    case State::kFinWait2:
      return "FIN-WAIT-2";
    case State::kCloseWait:
      return "CLOSE-WAIT";
    case State::kClosing:
      return "CLOSING";
    case State::kLastAck:
      return "LAST-ACK";
    case State::kTimeWait:
      return "TIME-WAIT";
  }
  check_failed("State has a name", __FILE__, __LINE__);
}

Connection::Connection(Stack& stack, const FourTuple& tuple, const SocketOptions& options,
                       PathEntry& path)
    : tuple_(tuple),
      stack_(stack),
      options_(&options),
      path_(&path),
      nodelay_(options.nodelay),
      keepalive_(options.keepalive),
      teardown_offload_(options.teardown_offload) {
  if (!tuple.remote.address.is_v4()) quasi_.peer_mss = 1220;  // RFC 9293 §3.7.1
}

void Connection::open_active(const Offer& offer, SeqNum iss, Time now) {
  tcb_ = stack_.make_tcb();
  tcb_->sender.start(iss);
  ts_offset_ = stack_.timestamp_offset(tuple_);
  quasi_.timestamps = offer.timestamps;
  quasi_.sack = offer.sack;
  quasi_.ecn = offer.ecn;
  quasi_.window_scaling = offer.window_shift.has_value();
  tcb_->receiver.offer_shift(offer.window_shift.value_or(0));
  quasi_.mss_max = offer.mss_max;
  owned_ = true;
  syn_due_ = true;
  set_state(State::kSynSent);
  tcb_->heard_at = now;
  arm_life_timer(now);
}

void Connection::open_passive(const Segment& syn, SeqNum iss, Listener& listener, Time now) {
  listener_ = &listener;
  tcb_ = stack_.make_tcb();
  tcb_->sender.start(iss);
  ts_offset_ = stack_.timestamp_offset(tuple_);
  negotiate(syn);
  quasi_.ecn = options_->ecn && syn.has(wire::tcp_flag::kEce) && syn.has(wire::tcp_flag::kCwr);
  quasi_.mss_max = listener.mss_max();
  tcb_->receiver.offer_shift(quasi_.window_scaling ? window_shift_for(*options_) : 0);
  tcb_->receiver.start(syn.seq, options_->receive_buffer_min);
  tcb_->receiver.set_peer_uses_sack(quasi_.sack);
  tcb_->sender.vars().wnd = tcb_->sender.vars().max_wnd =
      syn.window;  // a SYN's window is never scaled
  syn_due_ = true;
  set_state(State::kSynReceived);
  tcb_->heard_at = now;
  arm_life_timer(now);
}

void Connection::open_confirmed(const nic::NewConnection& made, Segment& segment,
                                Listener& listener, Time now) {
  listener_ = &listener;
  quasi_ = {.iss = made.iss,
            .irs = made.irs,
            .window = made.window,
            .peer_window = segment.window,
            .peer_mss = made.peer_mss,
            .mss_max = made.mss,
            .send_shift = made.peer_window_shift.value_or(0),
            .receive_shift = made.window_shift,
            .ts_recent = made.timestamps.value,
            .sack = made.sack,
            .timestamps = true,
            .window_scaling = made.peer_window_shift.has_value(),
            .ecn = made.ecn};
  ts_offset_ = made.timestamp_offset;
  set_state(State::kEstablished);
  ++stack_.resources().counters.connections_established;
  events_ |= event::kConnected | event::kWritable;
  const bool may_wait = options_->quasi_tcb && !keepalive_ && !options_->hold_first_acks;
  const bool noted = may_wait && take_first(segment);
  if (!noted) promote();
  if (options_->hold_first_acks) hold_acks(true);
  stack_.on_accepted(*this);
  if (!noted) on_segment(segment, now);
}

void Connection::negotiate(const Segment& syn) {
  const wire::TcpOptions& o = syn.options;
  // Options are used when both SYNs have them (RFC 7323 §1.3, RFC 2018 §2).
  bool passive = state_ == State::kClosed;
  quasi_.timestamps = o.timestamps.has_value() && (passive || quasi_.timestamps);
  quasi_.sack = o.sack_permitted && (passive || quasi_.sack);
  quasi_.window_scaling = o.window_scale.has_value() && (passive || quasi_.window_scaling);
  quasi_.send_shift = quasi_.window_scaling ? *o.window_scale : 0;
  if (o.mss) quasi_.peer_mss = std::max<uint16_t>(*o.mss, 64);  // below that headers outweigh data
  if (quasi_.timestamps) quasi_.ts_recent = o.timestamps->value;
}

void Connection::set_state(State state) {
  if (state == state_) return;
  stack_.on_state_change(*this, state_, state);
  state_ = state;
}

void Connection::end(Errc error) {
  if (done()) return;
  if (error != Errc::kOk) {
    error_ = error;
    if (is_established()) stack_.rest_after_reset(*this);
  }
  if (!is_quasi()) {
    tcb_->sender.clear(stack_.resources());
    tcb_->ack_deadline = tcb_->life_deadline = Time::max();
  }
  syn_due_ = probe_due_ = false;
  set_state(State::kClosed);
  events_ |= event::kClosed | event::kReadable | event::kWritable;
}

ByteSpan Connection::peek() const {
  const Resources& res = stack_.resources();
  return is_quasi() ? res.borrowed.front(borrowed()) : tcb_->receiver.peek(res);
}

size_t Connection::copy_unread(MutableByteSpan into) const {
  const Resources& res = stack_.resources();
  return is_quasi() ? res.borrowed.copy_front(borrowed(), into)
                    : tcb_->receiver.copy_unread(into, res);
}

void Connection::consume(size_t n) {
  if (is_quasi()) return drop_unread(n);
  tcb_->receiver.consume(static_cast<uint32_t>(n), stack_.resources());
  on_read();
}

void Connection::on_read() {
  if (done()) return;
  tcb_->receiver.autotune(stack_.now(), tcb_->sender.rtt().srtt(), options_->receive_buffer_max);
  if (tcb_->receiver.window_update_due(mss_)) tcb_->receiver.ack_now();
  stack_.update(*this);
}

bool Connection::may_hold_acks() const {
  return is_established() && !done() && !tcb_->receiver.has_fin_or_gap() &&
         tcb_->receiver.unacknowledged() <= kMaxHeldSegments * mss_;
}

void Connection::hold_acks(bool on) {
  if (on == holds_acks()) return;
  if (is_quasi()) promote();
  if (on && !may_hold_acks()) return;
  tcb_->ack_deadline = Time::max();
  if (on) {
    tcb_->receiver.hold_acks();
    if (tcb_->receiver.unacknowledged() > 0)
      tcb_->ack_deadline = stack_.now() + options_->ack_hold_max;
  } else {
    tcb_->receiver.release_acks();
    if (tcb_->receiver.window_update_due(mss_)) tcb_->receiver.ack_now();
  }
  stack_.update(*this);
}

void Connection::end_ack_hold() {
  ++stack_.resources().counters.ack_holds_ended;
  hold_acks(false);
}

size_t Connection::writable() const {
  bool open = state_ == State::kEstablished || state_ == State::kCloseWait;
  if (!open) return 0;
  size_t room = is_quasi() ? Chunk::kCapacity : tcb_->sender.room(*options_);
  if (room > 0 && !stack_.has_buffers()) {
    stack_.retry_writers();
    return 0;
  }
  return room;
}

size_t Connection::forward(Connection& to, size_t limit) {
  CHECK(&stack_ == &to.stack_);
  if (is_quasi() && this == &to && write_first(peek().first(std::min(limit, readable())))) {
    const size_t moved = std::min(limit, readable());
    drop_unread(moved);
    return moved;
  }
  if (is_quasi()) promote();
  if (to.is_quasi()) to.promote();
  const auto room = static_cast<uint32_t>(to.writable());
  const auto most = static_cast<uint32_t>(std::min<size_t>(limit, tcb_->receiver.readable()));
  const uint32_t moved = tcb_->receiver.move_to(to.tcb_->sender.chain(),
                                                {.room = room, .limit = most}, stack_.resources());
  to.blocked_ = moved < most || moved == room;
  if (moved > 0) {
    stack_.update(to);
    on_read();
  }
  return moved;
}

void Connection::wake_writer() {
  if (!blocked_ || !tcb_->sender.wakes_writer(*options_) || writable() == 0) return;
  blocked_ = false;
  events_ |= event::kWritable;
}

size_t Connection::write(ByteSpan bytes) {
  if (is_quasi()) {
    if (write_first(bytes)) {
      stack_.update(*this);
      return bytes.size();
    }
    promote();
  }
  size_t room = writable();
  uint32_t taken = 0;
  if (room > 0) {
    taken = tcb_->sender.write(bytes.first(std::min(bytes.size(), room)), stack_.resources());
  }
  blocked_ = taken < bytes.size() || taken == room;
  if (taken > 0) stack_.update(*this);
  return taken;
}

void Connection::shutdown_write() {
  if (is_quasi() && !done()) promote();
  switch (state_) {
    case State::kSynSent:
      end(Errc::kConnectionAborted);
      break;
    case State::kSynReceived:
      tcb_->sender.queue_fin();
      break;
    case State::kEstablished:
      tcb_->sender.queue_fin();
      set_state(State::kFinWait1);
      break;
    case State::kCloseWait:
      tcb_->sender.queue_fin();
      set_state(State::kLastAck);
      break;
    case State::kClosed:
    case State::kListen:
    case State::kFinWait1:
    case State::kFinWait2:
    case State::kClosing:
    case State::kLastAck:
    case State::kTimeWait:
      return;
  }
  stack_.update(*this);
}

void Connection::abort() {
  if (done()) return;
  if (is_quasi()) promote();
  // RFC 9293 §3.10.5: RST in the synchronized states; in SYN-SENT there is nobody to tell.
  if (state_ != State::kSynSent) stack_.reset_peer(*this);
  ++stack_.resources().counters.connections_aborted;
  end(Errc::kConnectionAborted);
  stack_.update(*this);
}

void Connection::released() {
  observer_ = nullptr;
  hold_acks(false);
  // RFC 1122 §4.2.2.13: closing with data unread tells the peer that it was not taken.
  if (readable() > 0 && is_established()) {
    abort();
  } else {
    shutdown_write();
  }
  // Only now: a connection that is over and has no owner is destroyed by the next update().
  owned_ = false;
  events_ = 0;
  if (!done()) arm_life_timer(stack_.now());
}

void Connection::set_nodelay(bool on) {
  nodelay_ = on;
  if (!done()) stack_.update(*this);
}

void Connection::set_cork(bool on) {
  cork_ = on;
  if (!done()) stack_.update(*this);
}

void Connection::set_keepalive(bool on) {
  keepalive_ = on;
  if (is_established() && !done()) {
    if (is_quasi()) promote();
    arm_life_timer(stack_.now());
    stack_.update(*this);
  }
}

ConnectionInfo Connection::info() const {
  const Sender& sender = tcb().sender;
  const Receiver& receiver = tcb_->receiver;
  ConnectionInfo info;
  info.srtt = sender.rtt().srtt();
  info.rto = sender.rtt().rto();
  info.cwnd = sender.congestion().cwnd();
  info.ssthresh = sender.congestion().ssthresh();
  info.in_flight = sender.in_flight();
  info.send_queue = sender.queued();
  info.receive_queue = receiver.readable();
  info.send_window = sender.vars().wnd;
  info.receive_window = receiver.window();
  info.mss = mss_;
  info.congestion = sender.congestion().algorithm();
  info.sack = quasi_.sack;
  info.timestamps = quasi_.timestamps;
  info.ecn = quasi_.ecn;
  return info;
}

Offer Connection::peer_offer() const {
  return {.timestamps = quasi_.timestamps,
          .sack = quasi_.sack,
          .ecn = quasi_.ecn,
          .window_shift = quasi_.window_scaling ? std::optional(quasi_.send_shift) : std::nullopt,
          .mss_max = path_mss(stack_.now())};
}

void Connection::describe(nic::Handover& handover, Time now) {
  if (is_quasi()) return describe_quasi(handover, now);
  const Sender& sender = tcb_->sender;
  Receiver& receiver = tcb_->receiver;
  handover.peer_closed = receiver.fin_received();
  handover.window = receiver.advertise(mss_, false);
  handover.receive_window = receiver.window();
  handover.send_window = std::min(sender.vars().wnd, sender.congestion().cwnd());
  handover.rto = sender.rtt().rto();
  handover.snd_una = sender.vars().una;
  handover.snd_nxt = sender.vars().nxt;
  handover.rcv_nxt = receiver.nxt();
  if (quasi_.timestamps) {
    handover.timestamps = wire::Timestamps{.value = timestamp(now), .echo = quasi_.ts_recent};
  }
}

void Connection::on_icmp_error(Errc error, bool hard) {
  // RFC 5927 §6: in synchronized states an ICMP error never ends a connection.
  if (hard && state_ == State::kSynSent) {
    ++stack_.resources().counters.connections_refused;
    end(error);
  }
}

void Connection::on_mtu_change(Time now) {
  uint16_t before = mss_;
  update_mss(now);
  if (mss_ < before && is_established()) tcb_->sender.on_mtu_reduced(mss_);
}

}  // namespace fairlead::host
