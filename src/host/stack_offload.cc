// What the host leaves to the NIC stack: handshakes, whose end it is told of, and the end of
// connections whose application is done with them.
#include <algorithm>
#include <array>

#include "base/check.h"
#include "host/stack.h"
#include "host/teardown_segment.h"
#include "nic/channel/load_report.h"

namespace fairlead::host {
namespace {

/// Buffers of a send queue that is handed over; a longer queue is sent by the host.
constexpr size_t kMaxHandoverSpans = 64;

double share_of(size_t part, size_t whole) {
  return part < whole ? static_cast<double>(part) / static_cast<double>(whole) : 1;
}

}  // namespace

// ---- setup ----

// The same on all interfaces: what the smallest takes.
fl_setup_listener Stack::setup_entry(const Listener& listener) const {
  uint16_t mss = listener.mss_max_ == 0 ? UINT16_MAX : listener.mss_max_;
  for (const port::PortInfo& port : ports_) {
    mss = std::min(mss, port::mss_for(port.mtu, listener.endpoint_.address));
  }
  const SocketOptions& socket = *listener.socket_;
  return {
      .mss = mss,
      .window = static_cast<uint16_t>(std::min<uint32_t>(socket.receive_buffer_min, UINT16_MAX)),
      .window_scale = window_shift_for(socket),
      .flags = static_cast<uint8_t>((socket.ecn ? FL_SETUP_ECN : 0) |
                                    (listener.options_.defer_accept ? FL_SETUP_DEFER : 0)),
      .reserved = 0};
}

void Stack::tell_setup_seat(const Listener& listener) {
  if (setup_seat_ == nullptr) return;
  nic::ListenMessage message{.endpoint = listener.endpoint_, .listener = std::nullopt};
  if (listener.options_.setup_offload && !listener.setup_paused_) {
    message.listener = setup_entry(listener);
  }
  setup_seat_->listen(message);
}

void Stack::register_setup(const Listener& listener) {
  if (!listener.options_.setup_offload) return unregister_setup(listener);
  tell_setup_seat(listener);
  // As many as there may be listeners.
  CHECK(setup_.set_listener(listener.endpoint_, setup_entry(listener)).has_value());
}

void Stack::repeat_listens() {
  repeat_listens_at_ = now_ + kListenInterval;
  for (const auto& listener : listeners_) tell_setup_seat(*listener);
}

void Stack::unregister_setup(const Listener& listener) {
  if (setup_seat_ != nullptr) {
    setup_seat_->listen({.endpoint = listener.endpoint_, .listener = {}});
  }
  setup_.remove_listener(listener.endpoint_);
}

void Stack::pause_setup(Listener& listener) {
  if (setup_seat_ == nullptr || !listener.options_.setup_offload || listener.setup_paused_) return;
  listener.setup_paused_ = true;
  ++resources_.counters.setup_pauses;
  tell_setup_seat(listener);
  look_for_room_at_ = std::min(look_for_room_at_, now_ + kSetupPause);
}

void Stack::pause_setups() {
  for (const auto& listener : listeners_) pause_setup(*listener);
}

bool Stack::has_room(const Listener& listener) const {
  const size_t slots = connections_.capacity();
  return listener.pending_ <= listener.options_.backlog / 2 &&
         connections_.live() < slots - slots / 16;
}

void Stack::resume_setups() {
  look_for_room_at_ = Time::max();
  for (const auto& listener : listeners_) {
    if (!listener->setup_paused_) continue;
    listener->setup_paused_ = !has_room(*listener);
    if (listener->setup_paused_) {
      look_for_room_at_ = now_ + kSetupPause;
    } else {
      register_setup(*listener);
    }
  }
}

// Where there would be no room for the connection, its SYN is dropped as ever.
bool Stack::may_answer_by_cookie(const Listener& listener, const Segment& segment,
                                 bool after_another) const {
  if (!listener.options_.setup_offload || !segment.syn() || segment.ack_flag()) return false;
  if (listener.full() || connections_.live() == connections_.capacity()) return false;
  // Between two connections with the same addresses a cookie's TSval keeps order, its ISN does not.
  return !after_another || segment.options.timestamps;
}

bool Stack::answer_by_cookie(const port::RxPacket& packet, Time now) {
  port::TxPacket* answer = append_forward();
  if (answer == nullptr) return true;  // as if lost on the way
  const bool answered = setup_.on_packet(packet, now, *answer).verdict == FL_SETUP_ANSWERED;
  if (!answered) drop_forward();
  return answered;
}

bool Stack::on_setup_answer(Connection* c, Segment& segment, const port::RxPacket& packet,
                            Time now) {
  Listener* listener = find_listener(segment.tuple.local);
  if (listener == nullptr || !listener->options_.setup_offload) return false;
  port::TxPacket none;
  const nic::SetupOutcome outcome = setup_.on_packet(packet, now, none);
  if (outcome.verdict == FL_SETUP_NEW_CONNECTION) {
    return open_confirmed(outcome.connection, *listener, segment, now, c);
  }
  if (outcome.verdict == FL_SETUP_DEFERRED) return true;
  // Nobody's; or of a connection that is still to come (nic/setup/setup_tables.h).
  if (outcome.verdict != FL_SETUP_FORGED || c != nullptr ||
      time_wait_.find(segment.tuple) != nullptr || teardown_.state(segment.tuple)) {
    return false;
  }
  ++resources_.counters.drop_forged_handshake;
  return true;
}

void Stack::on_channel_message(const port::RxPacket& message, Time now) {
  const MutableByteSpan frame{const_cast<uint8_t*>(message.frame.data()), message.frame.size()};
  if (const auto packet = nic::new_connection_packet(frame)) {
    on_new_connection(*packet, message, now);
    return;
  }
  Result<nic::ChannelMessage> decoded = nic::decode(frame);
  if (decoded && std::holds_alternative<nic::TeardownReport>(*decoded)) {
    ++resources_.counters.teardowns_reported;
  } else if (const auto* load = decoded ? std::get_if<nic::LoadMessage>(&*decoded) : nullptr) {
    nic_load_ = *load;
    nic_load_at_ = now;
  } else {
    ++resources_.counters.drop_bad_message;
  }
}

void Stack::on_new_connection(port::RxPacket packet, const port::RxPacket& message, Time now) {
  packet.checksum = message.checksum;
  packet.port_index = message.port_index;
  Segment segment;
  ByteSpan icmp;
  if (parse_frame(packet, segment, icmp, resources_.counters) != FrameKind::kTcp) return;
  const Result<nic::NewConnection> made =
      nic::decode_new_connection(message.frame, {.tuple = segment.tuple,
                                                 .seq = segment.seq,
                                                 .ack = segment.ack,
                                                 .flags = segment.flags,
                                                 .options = segment.options});
  if (!made) {
    ++resources_.counters.drop_bad_message;
    return;
  }
  Connection* const c = index_.find(segment.tuple);
  Listener* const listener = find_listener(segment.tuple.local);
  const bool is_new = c == nullptr && listener != nullptr && !setup_.is_made(*made);
  if (is_new && open_confirmed(*made, *listener, segment, now)) return;
  on_segment(c, segment, packet, now);
}

bool Stack::open_confirmed(const nic::NewConnection& made, Listener& listener, Segment& segment,
                           Time now, Connection* before) {
  if (listener.full()) {
    ++resources_.counters.drop_accept_queue_full;  // comes again with the client's data
    return true;
  }
  if (!teardown_.yield_to(segment.tuple, segment.ack, made.timestamps.value, now)) return false;
  if (TimeWait* entry = time_wait_.find(segment.tuple)) {
    // RFC 6191 §2
    const auto newer = static_cast<int32_t>(made.timestamps.value - entry->ts_recent);
    if (!entry->after_reset && (!entry->timestamps || newer <= 0)) return false;
    time_wait_.erase(*entry);
    ++resources_.counters.time_wait_reused;
  }
  if (before != nullptr) supersede(*before);
  Connection* c = create(segment.tuple, *listener.socket_);
  if (c == nullptr) return true;
  setup_.made_connection(made, now);
  c->open_confirmed(made, segment, listener, now);
  note_borrowed(*c);
  if (!c->is_quasi()) update(*c);
  return true;
}

// Its peer has forgotten it: a cookie went there and came back.
void Stack::supersede(Connection& c) {
  const FourTuple tuple = c.tuple_;
  ++resources_.counters.connections_superseded;
  if (c.splicing_) {
    Splicing& splicing = *c.splicing();
    splicing.stop(nic::SpliceEnd::kRemoved);
    finish(splicing);
  } else {
    c.end(Errc::kConnectionReset);
    update(c);
  }
  if (TimeWait* rest = time_wait_.find(tuple)) time_wait_.erase(*rest);
}

// ---- teardown ----

double Stack::nic_fill() const {
  if (nic_ == nullptr) return share_of(teardown_.active(), config_.max_teardowns);
  const bool holds = now_ - nic_load_at_ < nic::LoadReport::kHolds;
  return std::max(holds ? share_of(nic_load_.closing, nic_load_.most) : 0, nic_->fill());
}

double Stack::teardown_share() const { return std::clamp(2 * (1 - nic_fill()), 0.0, 1.0); }

bool Stack::allows_teardown() {
  const double share = teardown_share();
  if (share == 1 || rng_.chance(share)) return true;
  ++resources_.counters.teardowns_kept;
  return false;
}

bool Stack::may_hand_over(const Connection& c) const {
  if (!c.teardown_offload_ || c.options_->time_wait != config_.teardown_time_wait) {
    return false;
  }
  if (c.is_quasi()) return c.state_ == State::kEstablished && c.readable() == 0;
  const bool open = c.state_ == State::kEstablished || c.state_ == State::kCloseWait;
  // A FIN of ours that is not acknowledged makes no difference.
  const bool closing = c.state_ == State::kFinWait1 || c.state_ == State::kLastAck;
  return (open || closing) && !c.splicing_ && !c.follows_timestamps_ &&
         c.tcb_->receiver.readable() == 0 && c.tcb_->receiver.in_order() &&
         c.tcb_->sender.in_order();
}

bool Stack::hand_over(Connection& c) {
  if (!may_hand_over(c) || !allows_teardown() || !paths_.refresh(*c.path_)) return false;
  if (!c.is_quasi()) return hand_over_queue(c);
  if (c.quasi_.written == nullptr) return hand_over(c, {});
  const ByteSpan text = c.quasi_.written->bytes();
  return hand_over(c, {&text, 1});
}

bool Stack::hand_over_queue(Connection& c) {
  std::array<ByteSpan, kMaxHandoverSpans> data;
  size_t spans = 0;
  for (const Buffer* buffer = c.tcb_->sender.chain().head(); buffer; buffer = buffer->next) {
    if (spans == data.size()) return false;
    data[spans++] = buffer->bytes();
  }
  return hand_over(c, std::span(data).first(spans));
}

bool Stack::hand_over(Connection& c, std::span<const ByteSpan> data) {
  c.update_mss(now_);
  nic::Handover handover{.tuple = c.tuple_,
                         .local_mac = c.path_->path.local_mac,
                         .next_hop = c.path_->path.next_hop,
                         .port_index = c.path_->path.port_index,
                         .mss = c.mss_,
                         .timestamps = {},
                         .data = data};
  c.describe(handover, now_);
  const bool taken =
      nic_ != nullptr ? nic_->take(handover) : teardown_.take(handover, now_).has_value();
  if (!taken) return false;
  if (handed_over_) handed_over_->insert(flow_hasher_(c.tuple_), now_);
  c.observer_ = nullptr;
  c.owned_ = false;
  c.end(Errc::kOk);
  destroy(c);
  return true;
}

// As if lost on the way: the peer sends it again, and the NIC stack knows the connection by then. A
// SYN that comes up may open another one.
bool Stack::on_handed_over(const Segment& segment) {
  const bool opens = segment.syn() && !segment.ack_flag();
  if (!handed_over_ || opens) return false;
  const bool recent = handed_over_->contains(flow_hasher_(segment.tuple), now_);
  if (recent) ++resources_.counters.drop_handed_over;
  return recent;
}

nic::Teardown::Verdict Stack::on_teardown_segment(const Segment& segment, Time now) {
  const bool opens = segment.syn() && !segment.ack_flag() && !segment.rst();
  const bool to_listener = opens && find_listener(segment.tuple.local) != nullptr;
  return teardown_.on_segment(teardown_segment(segment, to_listener), now);
}

}  // namespace fairlead::host
