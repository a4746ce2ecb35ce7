// Packets out: connections in turn, and replies that belong to none.
#include <algorithm>

#include "host/stack.h"

namespace fairlead::host {

using namespace wire::tcp_flag;

namespace {

/// How soon to ask the router again while a neighbour's link address is being resolved.
constexpr Duration kPathRetry = milliseconds(2);

port::TcpPacketSpec answer_to(const Segment& segment) {
  port::TcpPacketSpec spec;
  spec.tuple = segment.tuple;
  // Back the way it came: a reply without state asks no router.
  spec.local_mac = segment.local_mac;
  spec.next_hop = segment.source_mac;
  spec.port_index = segment.port_index;
  return spec;
}

}  // namespace

bool Stack::transmit(port::PacketBurst& burst, Time now) {
  now_ = std::max(now_, now);
  step_splicings();
  for (; forwards_sent_ < forwards_.size(); ++forwards_sent_) {
    if (burst.full()) return true;
    burst.append() = forwards_[forwards_sent_];
  }
  for (auto* queue : {&farewells_, &replies_}) {
    for (; !queue->empty(); queue->pop_back()) {
      if (burst.full()) return true;
      port::build_tcp_packet(burst.append(), queue->back());
      ++resources_.counters.segments_sent;
    }
  }
  if (teardown_.transmit(burst, now_)) return true;
  while (Connection* c = output_.pop_front()) {
    if (!prepare_path(*c, now_)) continue;
    bool more = c->emit(burst, now_);
    if (more) output_.push_back(*c);  // the others have their turn first
    note_changes(*c);
    if (more) return true;
  }
  return false;
}

bool Stack::prepare_path(Connection& c, Time now) {
  Result<void> path = paths_.refresh(*c.path_);
  if (path) return true;
  ++resources_.counters.drop_no_path;
  if (path.error().code != Errc::kWouldBlock && c.state() == State::kSynSent) {
    c.end(path.error().code);
    update(c);
    return false;
  }
  // Nothing was sent, so no retransmission timer runs: ask again shortly.
  no_path_.push_back(c);
  path_retry_at_ = std::min(path_retry_at_, now + kPathRetry);
  return false;
}

port::TxPacket* Stack::append_forward() {
  if (forwards_.size() >= kMaxForwards) {
    ++resources_.counters.drop_forward_queue_full;
    return nullptr;
  }
  forwards_.emplace_back().clear();
  return &forwards_.back();
}

void Stack::push_reply(const port::TcpPacketSpec& spec) {
  if (replies_.size() >= kMaxReplies) {
    ++resources_.counters.drop_reply_queue_full;
    return;
  }
  replies_.push_back(spec);
}

void Stack::reply_reset(const Segment& segment) {
  if (!resets_.allow(now_, config_.resets_per_second)) {
    ++resources_.counters.resets_limited;
    return;
  }
  reply_reset_unlimited(segment);
}

void Stack::reply_reset_unlimited(const Segment& segment) {
  port::TcpPacketSpec spec = answer_to(segment);
  // RFC 9293 §3.10.7.1
  if (segment.ack_flag()) {
    spec.seq = segment.ack;
    spec.flags = kRst;
  } else {
    spec.ack = segment.end();
    spec.flags = kRst | kAck;
  }
  ++resources_.counters.resets_sent;
  push_reply(spec);
}

void Stack::reset_peer(Connection& c) {
  if (!paths_.refresh(*c.path_)) return;  // no way to tell; the peer finds out when it sends
  port::TcpPacketSpec spec;
  spec.tuple = c.tuple_;
  spec.local_mac = c.path_->path.local_mac;
  spec.next_hop = c.path_->path.next_hop;
  spec.port_index = c.path_->path.port_index;
  spec.seq = c.tcb_->sender.vars().nxt;
  spec.ack = c.tcb_->receiver.ack();
  spec.flags = kRst | kAck;
  ++resources_.counters.resets_sent;
  farewells_.push_back(spec);
}

void Stack::say_farewell(std::vector<port::TcpPacketSpec>&& resets) {
  farewells_.insert(farewells_.end(), resets.begin(), resets.end());
}

void Stack::reply_time_wait(const TimeWait& entry, const Segment& segment, const TimeWaitAck& ack) {
  port::TcpPacketSpec spec = answer_to(segment);
  spec.seq = entry.snd_nxt;
  spec.ack = entry.rcv_nxt;
  spec.flags = kAck;
  spec.window = ack.window;
  if (entry.timestamps) {
    spec.options.timestamps = wire::Timestamps{ack.ts_value, entry.ts_recent};
  }
  push_reply(spec);
}

}  // namespace fairlead::host
