// Packets in: which connection, listener or TIME-WAIT entry a segment is for, and ICMP errors.
#include <algorithm>

#include "host/stack.h"
#include "wire/icmp.h"

namespace fairlead::host {
namespace {

/// It says that it answers a SYN-ACK which the NIC stack has made.
bool answers_cookie(const Segment& segment) {
  return segment.options.timestamps && fl_timestamp_has_options(segment.options.timestamps->echo) &&
         segment.ack_flag() && !segment.syn() && !segment.rst();
}

}  // namespace

void Stack::on_packet(const port::RxPacket& packet, Time now) {
  now_ = std::max(now_, now);
  if (nic_ != nullptr && nic::is_channel_message(packet.frame)) {
    return on_channel_message(packet, now_);
  }
  if (!splices_.empty() && on_splice_packet(packet)) return;
  Segment segment;
  ByteSpan icmp;
  switch (parse_frame(packet, segment, icmp, resources_.counters)) {
    case FrameKind::kTcp:
      return on_segment(index_.find(segment.tuple), segment, packet, now_);
    case FrameKind::kIcmp:
      return on_icmp(icmp, segment, packet, now_);
    case FrameKind::kDropped:
      return;
  }
}

void Stack::on_timer(Time now) {
  now_ = std::max(now_, now);
  timers_.expire(now_, [this](TimerNode& node) {
    auto& c = static_cast<Connection&>(node);
    c.on_timer(now_);
    update(c);
  });
  time_wait_.expire(now_);
  teardown_.on_timer(now_);
  splices_.on_timer(now_);
  say_farewell(splices_.take_idle_resets());
  expire_splicings();
  if (writers_wait_ && has_buffers() && now_ >= writers_wake_at_) wake_writers();
  if (now_ >= look_for_room_at_) resume_setups();
  if (now_ >= repeat_listens_at_) repeat_listens();
  if (now_ >= path_retry_at_) {
    path_retry_at_ = Time::max();
    while (Connection* c = no_path_.pop_front()) output_.push_back(*c);
  }
}

std::optional<Time> Stack::next_deadline() const {
  if (!output_.empty() || !replies_.empty() || !farewells_.empty() || !events_.empty() ||
      !splicings_due_.empty()) {
    return now_;
  }
  std::optional<Time> earliest = timers_.next_deadline();
  auto consider = [&](std::optional<Time> t) {
    if (t && (!earliest || *t < *earliest)) earliest = t;
  };
  consider(time_wait_.next_deadline());
  consider(teardown_.next_deadline());
  consider(splices_.next_deadline());
  consider(splicing_timers_.next_deadline());
  if (path_retry_at_ != Time::max()) consider(path_retry_at_);
  if (writers_wait_ && has_buffers()) consider(writers_wake_at_);
  if (look_for_room_at_ != Time::max()) consider(look_for_room_at_);
  if (repeat_listens_at_ != Time::max()) consider(repeat_listens_at_);
  return earliest;
}

bool Stack::on_splice_packet(const port::RxPacket& packet) {
  port::TxPacket* out = append_forward();
  if (out == nullptr) return splices_.owns(packet);
  const nic::SpliceTable::Outcome outcome = splices_.on_packet(packet, now_, *out);
  if (outcome != nic::SpliceTable::Outcome::kSend) drop_forward();
  return outcome != nic::SpliceTable::Outcome::kNotOurs;
}

void Stack::on_segment(Connection* c, Segment& segment, const port::RxPacket& packet, Time now) {
  // A request of many segments answers the cookie in each of them, and each could pass for a proof
  // once in 2^24 by chance: those that acknowledge what we sent are this connection's.
  const bool of_this = c != nullptr && c->takes_ack(segment.ack);
  if (answers_cookie(segment) && !of_this && on_setup_answer(c, segment, packet, now)) return;
  if (c != nullptr) {
    if (c->splicing_ && c->splicing()->translating()) {
      Splicing& splicing = *c->splicing();
      return splicing.on_segment(*c, segment, packet, now) ? finish(splicing) : update(*c);
    }
    c->on_segment(segment, now);
    note_borrowed(*c);
    return update(*c);
  }
  if (!splices_.empty() && splices_.drop_unsupported(segment.tuple)) return;
  std::optional<SeqNum> isn_above;
  if (teardown_.size() > 0) {
    const nic::Teardown::Verdict verdict = on_teardown_segment(segment, now);
    if (verdict.outcome == nic::Teardown::Outcome::kTaken) return;
    if (verdict.outcome == nic::Teardown::Outcome::kReopened) isn_above = verdict.isn_above;
  }
  if (TimeWait* entry = time_wait_.find(segment.tuple)) {
    SeqNum last = entry->snd_nxt;
    if (on_time_wait_segment(*entry, segment, now)) return;
    isn_above = last;
  }
  if (on_handed_over(segment)) return;
  if (Listener* listener = find_listener(segment.tuple.local)) {
    if (may_answer_by_cookie(*listener, segment, isn_above.has_value()) &&
        answer_by_cookie(packet, now)) {
      return;
    }
    return on_listener_segment(*listener, segment, now, isn_above);
  }
  if (!router_.is_local(segment.tuple.local.address)) {
    ++resources_.counters.drop_not_for_us;
    return;
  }
  if (!segment.rst()) reply_reset(segment);
}

void Stack::note_borrowed(Connection& c) {
  if (c.borrower_ != Connection::kNotBorrowing) return;
  if (c.is_quasi() ? c.quasi_.received == 0 : !c.tcb_->receiver.has_borrowed()) return;
  c.borrower_ = static_cast<uint32_t>(borrowers_.size());
  borrowers_.push_back(&c);
}

Listener* Stack::find_listener(const Endpoint& local) const {
  if (Listener* exact = listener_index_.find(local)) return exact;
  Endpoint any{local.address.is_v4() ? IpAddress::v4(0) : IpAddress(), local.port};
  Listener* wildcard = listener_index_.find(any);
  return wildcard != nullptr && router_.is_local(local.address) ? wildcard : nullptr;
}

void Stack::on_listener_segment(Listener& listener, const Segment& segment, Time now,
                                std::optional<SeqNum> isn_above) {
  // RFC 9293 §3.10.7.2
  Counters& counters = resources_.counters;
  if (segment.rst()) return;
  if (segment.ack_flag()) return reply_reset(segment);
  if (!segment.syn() || segment.fin() || segment.tuple.remote.port == 0) {
    ++counters.drop_bad_flags;
    return;
  }
  if (listener.handshakes_ >= listener.options_.syn_queue) {
    ++counters.drop_syn_queue_full;
    return;
  }
  if (listener.pending_ >= listener.options_.backlog) {
    ++counters.drop_accept_queue_full;
    return;
  }
  Connection* c = create(segment.tuple, *listener.socket_);
  if (c == nullptr) return;
  SeqNum iss = initial_sequence(segment.tuple, now);
  // RFC 6191 §2, 9293 §3.6.1: above everything the last incarnation sent.
  if (isn_above && !iss.after(*isn_above)) iss = *isn_above + 0x10000;
  c->open_passive(segment, iss, listener, now);
  update(*c);
}

bool Stack::on_time_wait_segment(TimeWait& entry, const Segment& segment, Time now) {
  if (entry.after_reset) {
    // CLOSED to its peer, who may open it again: only we do not.
    const bool opens = segment.syn() && !segment.ack_flag() && !segment.rst();
    if (opens && find_listener(segment.tuple.local)) time_wait_.erase(entry);
    return false;
  }
  // RFC 9293 §3.10.7.4 for TIME-WAIT; RFC 6191 for a new SYN.
  if (segment.rst()) {
    if (segment.seq == entry.rcv_nxt) time_wait_.erase(entry);
    return true;
  }
  if (segment.syn() && !segment.ack_flag()) {
    bool by_time = entry.timestamps && segment.options.timestamps &&
                   static_cast<int32_t>(segment.options.timestamps->value - entry.ts_recent) > 0;
    if ((by_time || segment.seq.after(entry.rcv_nxt)) && find_listener(segment.tuple.local)) {
      ++resources_.counters.time_wait_reused;
      time_wait_.erase(entry);
      return false;
    }
  }
  if (segment.length() > 0 || segment.seq != entry.rcv_nxt) {
    if (allow_challenge_ack()) {
      const uint32_t ts_value = timestamp(now, timestamp_offset(entry.tuple));
      reply_time_wait(entry, segment, {.window = 0, .ts_value = ts_value});
    }
    if (segment.fin() && segment.end() == entry.rcv_nxt) {
      time_wait_.restart(entry, now);
    }
  }
  return true;
}

void Stack::on_icmp(ByteSpan message, const Segment& carrier, const port::RxPacket& packet,
                    Time now) {
  const bool v4 = carrier.tuple.local.address.is_v4();
  const auto error = wire::TcpError::parse(message, v4);
  Counters& counters = resources_.counters;
  // The quoted packet must have been sent by us.
  if (!error || error->tuple.local.address != carrier.tuple.local.address) {
    ++counters.drop_bad_icmp;
    return;
  }
  Connection* c = index_.find(error->tuple);
  nic::Splice::Direction* back = splices_.find(error->tuple);
  if (c != nullptr && c->splicing_ && c->splicing()->translating()) {
    back = c->splicing()->passed_on(*c, error->seq);
  }
  if (back != nullptr) {
    port::TxPacket* out = append_forward();
    if (out != nullptr && !splices_.translate_error(*back, *error, packet, now, *out)) {
      drop_forward();
    }
    return;
  }
  const std::optional<uint32_t> mtu = error->path_mtu();
  const bool too_big = error->kind == wire::TcpError::Kind::kTooBig;
  if (too_big && mtu && teardown_.on_too_big(error->tuple, error->seq, *mtu, now)) return;
  // RFC 5927 §4.1: only an error about something in flight is believed.
  if (c == nullptr || c->is_quasi() || error->seq.before(c->tcb_->sender.vars().una) ||
      !error->seq.before(c->tcb_->sender.vars().nxt)) {
    ++counters.drop_bad_icmp;
    return;
  }
  if (too_big) {
    if (!mtu) {
      ++counters.drop_bad_icmp;
      return;
    }
    if (paths_.learn_mtu(*c->path_, *mtu, now)) c->on_mtu_change(now);
  } else if (error->kind == wire::TcpError::Kind::kUnreachable) {
    constexpr uint8_t kPortUnreachableV4 = 3, kPortUnreachableV6 = 4;
    const bool port = error->header.code == (v4 ? kPortUnreachableV4 : kPortUnreachableV6);
    c->on_icmp_error(port ? Errc::kConnectionRefused : Errc::kHostUnreachable, true);
  }
  update(*c);
}

}  // namespace fairlead::host
