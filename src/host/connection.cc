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
      peer_mss_(tuple.remote.address.is_v4() ? 536 : 1220),  // RFC 9293 §3.7.1
      stack_(stack),
      options_(&options),
      path_(&path),
      nodelay_(options.nodelay),
      keepalive_(options.keepalive) {}

void Connection::open_active(const Offer& offer, SeqNum iss, Time now) {
  sender_.start(iss);
  ts_offset_ = stack_.timestamp_offset(tuple_);
  timestamps_ = offer.timestamps;
  sack_ = offer.sack;
  ecn_ = offer.ecn;
  window_scaling_ = offer.window_shift.has_value();
  receiver_.offer_shift(offer.window_shift.value_or(0));
  mss_max_ = offer.mss_max;
  owned_ = true;
  syn_due_ = true;
  set_state(State::kSynSent);
  heard_at_ = now;
  arm_life_timer(now);
}

void Connection::open_passive(const Segment& syn, SeqNum iss, Listener& listener, Time now) {
  listener_ = &listener;
  sender_.start(iss);
  ts_offset_ = stack_.timestamp_offset(tuple_);
  negotiate(syn);
  ecn_ = options_->ecn && syn.has(wire::tcp_flag::kEce) && syn.has(wire::tcp_flag::kCwr);
  mss_max_ = listener.mss_max();
  receiver_.offer_shift(window_scaling_ ? window_shift_for(*options_) : 0);
  receiver_.start(syn.seq, options_->receive_buffer_min);
  receiver_.set_peer_uses_sack(sack_);
  sender_.vars().wnd = sender_.vars().max_wnd = syn.window;  // a SYN's window is never scaled
  syn_due_ = true;
  set_state(State::kSynReceived);
  heard_at_ = now;
  arm_life_timer(now);
}

void Connection::open_confirmed(const nic::NewConnection& made, Segment& segment,
                                Listener& listener, Time now) {
  listener_ = &listener;
  sender_.start(made.iss);
  ts_offset_ = stack_.timestamp_offset(tuple_);
  timestamps_ = true;
  ts_recent_ = made.timestamps.value;
  sack_ = made.sack;
  ecn_ = made.ecn;
  window_scaling_ = made.peer_window_shift.has_value();
  send_shift_ = made.peer_window_shift.value_or(0);
  peer_mss_ = made.peer_mss;
  mss_max_ = made.mss;
  receiver_.offer_shift(made.window_shift);
  receiver_.start(made.irs, options_->receive_buffer_min);
  receiver_.offered(made.window);
  receiver_.set_peer_uses_sack(sack_);
  heard_at_ = now;
  complete_handshake(segment, now);
}

void Connection::negotiate(const Segment& syn) {
  const wire::TcpOptions& o = syn.options;
  // Options are used when both SYNs have them (RFC 7323 §1.3, RFC 2018 §2).
  bool passive = state_ == State::kClosed;
  timestamps_ = o.timestamps.has_value() && (passive || timestamps_);
  sack_ = o.sack_permitted && (passive || sack_);
  window_scaling_ = o.window_scale.has_value() && (passive || window_scaling_);
  send_shift_ = window_scaling_ ? *o.window_scale : 0;
  if (o.mss) peer_mss_ = std::max<uint16_t>(*o.mss, 64);  // below that headers outweigh data
  if (timestamps_) ts_recent_ = o.timestamps->value;
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
  sender_.clear(stack_.resources());
  ack_deadline_ = life_deadline_ = Time::max();
  syn_due_ = probe_due_ = false;
  set_state(State::kClosed);
  events_ |= event::kClosed | event::kReadable | event::kWritable;
}

ByteSpan Connection::peek() const { return receiver_.peek(stack_.resources()); }

size_t Connection::copy_unread(MutableByteSpan into) const {
  return receiver_.copy_unread(into, stack_.resources());
}

void Connection::consume(size_t n) {
  receiver_.consume(static_cast<uint32_t>(n), stack_.resources());
  on_read();
}

void Connection::on_read() {
  if (done()) return;
  receiver_.autotune(stack_.now(), sender_.rtt().srtt(), options_->receive_buffer_max);
  if (receiver_.window_update_due(mss_)) receiver_.ack_now();
  stack_.update(*this);
}

bool Connection::may_hold_acks() const {
  return is_established() && !done() && !receiver_.has_fin_or_gap() &&
         receiver_.unacknowledged() <= kMaxHeldSegments * mss_;
}

void Connection::hold_acks(bool on) {
  if (on == receiver_.holds_acks() || (on && !may_hold_acks())) return;
  ack_deadline_ = Time::max();
  if (on) {
    receiver_.hold_acks();
    if (receiver_.unacknowledged() > 0) ack_deadline_ = stack_.now() + options_->ack_hold_max;
  } else {
    receiver_.release_acks();
    if (receiver_.window_update_due(mss_)) receiver_.ack_now();
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
  size_t room = sender_.room(*options_);
  if (room > 0 && !stack_.has_buffers()) {
    stack_.retry_writers();
    return 0;
  }
  return room;
}

size_t Connection::forward(Connection& to, size_t limit) {
  CHECK(&stack_ == &to.stack_);
  const auto room = static_cast<uint32_t>(to.writable());
  const auto most = static_cast<uint32_t>(std::min<size_t>(limit, receiver_.readable()));
  const uint32_t moved =
      receiver_.move_to(to.sender_.chain(), {.room = room, .limit = most}, stack_.resources());
  to.blocked_ = moved < most;
  if (moved > 0) {
    stack_.update(to);
    on_read();
  }
  return moved;
}

void Connection::wake_writer() {
  if (!blocked_ || !sender_.wakes_writer(*options_) || writable() == 0) return;
  blocked_ = false;
  events_ |= event::kWritable;
}

size_t Connection::write(ByteSpan bytes) {
  size_t room = writable();
  uint32_t taken = 0;
  if (room > 0) {
    taken = sender_.write(bytes.first(std::min(bytes.size(), room)), stack_.resources());
  }
  blocked_ = taken < bytes.size();
  if (taken > 0) stack_.update(*this);
  return taken;
}

void Connection::shutdown_write() {
  switch (state_) {
    case State::kSynSent:
      end(Errc::kConnectionAborted);
      break;
    case State::kSynReceived:
      sender_.queue_fin();
      break;
    case State::kEstablished:
      sender_.queue_fin();
      set_state(State::kFinWait1);
      break;
    case State::kCloseWait:
      sender_.queue_fin();
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
  if (receiver_.readable() > 0 && is_established()) {
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
    arm_life_timer(stack_.now());
    stack_.update(*this);
  }
}

ConnectionInfo Connection::info() const {
  ConnectionInfo info;
  info.srtt = sender_.rtt().srtt();
  info.rto = sender_.rtt().rto();
  info.cwnd = sender_.congestion().cwnd();
  info.ssthresh = sender_.congestion().ssthresh();
  info.in_flight = sender_.in_flight();
  info.send_queue = sender_.queued();
  info.receive_queue = receiver_.readable();
  info.send_window = sender_.vars().wnd;
  info.receive_window = receiver_.window();
  info.mss = mss_;
  info.congestion = sender_.congestion().algorithm();
  info.sack = sack_;
  info.timestamps = timestamps_;
  info.ecn = ecn_;
  return info;
}

Offer Connection::peer_offer() const {
  return {.timestamps = timestamps_,
          .sack = sack_,
          .ecn = ecn_,
          .window_shift = window_scaling_ ? std::optional(send_shift_) : std::nullopt,
          .mss_max = path_mss(stack_.now())};
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
  if (mss_ < before && is_established()) sender_.on_mtu_reduced(mss_);
}

}  // namespace fairlead::host
