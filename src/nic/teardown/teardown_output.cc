// Packets out: what is due to each flow in turn, and RSTs for those that are no more.
#include <algorithm>

#include "nic/setup/setup_cookie.h"
#include "nic/teardown/teardown.h"
#include "wire/tcp.h"

namespace fairlead::nic {

using namespace wire::tcp_flag;

void Teardown::wants_output(Flow& flow) {
  if (!IntrusiveList<Flow, OutputTag>::is_linked(flow)) output_.push_back(flow);
}

bool Teardown::transmit(port::PacketBurst& burst, Time now) {
  while (!replies_.empty()) {
    if (burst.full()) return true;
    port::build_tcp_packet(burst.append(), replies_.back());
    replies_.pop_back();
    ++counters_.segments_sent;
  }
  while (!output_.empty()) {
    Flow& flow = output_.front();
    if (emit(flow, burst, now)) return true;
    output_.erase(flow);
  }
  return false;
}

bool Teardown::emit(Flow& flow, port::PacketBurst& burst, Time now) {
  FlowState& state = state_of(flow);
  if (state.has(FlowState::kResendDue) && state.una() != flow.next) {
    if (burst.full()) return true;
    emit_segment(flow, state.una(), burst.append(), now);
    state.put(FlowState::kRetransmitted, true);
    ++flow.retransmitted;
    ++counters_.retransmitted_segments;
  }
  state.put(FlowState::kResendDue, false);
  while (flow.next != state.end()) {
    if (burst.full()) return true;
    port::TxPacket& packet = burst.append();
    emit_segment(flow, flow.next, packet, now);
    const bool fin = (flow.next + packet.payload_size) + 1 == state.end();
    flow.next += packet.payload_size + (fin ? 1 : 0);
  }
  if (state.has(FlowState::kAckDue)) {
    if (burst.full()) return true;
    port::TcpPacketSpec spec = header(flow, now);
    spec.seq = flow.next;
    port::build_tcp_packet(burst.append(), spec);
    state.put(FlowState::kAckDue, false);
    ++counters_.segments_sent;
  }
  if (!flow.given) give(flow, now);
  return false;
}

void Teardown::emit_segment(Flow& flow, SeqNum at, port::TxPacket& packet, Time now) {
  FlowState& state = state_of(flow);
  const auto left = static_cast<uint32_t>(state.end() - at) - 1;  // without the FIN
  const uint32_t size = std::min<uint32_t>(left, flow.mss);
  flow.held.append_to(packet, at, size);
  port::TcpPacketSpec spec = header(flow, now);
  spec.seq = at;
  if (size == left) spec.flags |= kFin;
  if (size > 0 && size == left) spec.flags |= kPsh;
  port::build_tcp_packet(packet, spec);
  state.put(FlowState::kAckDue, false);
  ++counters_.segments_sent;
}

port::TcpPacketSpec Teardown::header(const Flow& flow, Time now) const {
  const FlowState& state = state_of(flow);
  port::TcpPacketSpec spec;
  spec.tuple = flow.tuple;
  spec.local_mac = flow.local_mac;
  spec.next_hop = flow.next_hop;
  spec.port_index = flow.port_index;
  spec.ack = state.rcv_nxt();
  spec.flags = kAck;
  spec.window = flow.window;
  if (state.has(FlowState::kTimestamps)) {
    const auto ms = static_cast<uint32_t>(now.time_since_epoch() / milliseconds(1));
    spec.options.timestamps =
        wire::Timestamps{fl_timestamp_sent(ms, flow.ts_offset), state.ts_recent};
  }
  return spec;
}

void Teardown::reset_peer(const Flow& flow, Time now) {
  if (replies_.size() == kMaxReplies) {
    ++counters_.drop_reply_queue_full;
    return;
  }
  port::TcpPacketSpec spec = header(flow, now);
  spec.seq = flow.next;
  spec.flags = kRst | kAck;
  spec.window = 0;
  replies_.push_back(spec);
  ++counters_.resets_sent;
}

}  // namespace fairlead::nic
