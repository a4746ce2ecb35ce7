// A connection's packets: what Sender and Receiver decided, with headers.
#include <algorithm>

#include "host/connection.h"
#include "host/stack.h"
#include "port/packet_builder.h"

namespace fairlead::host {

using namespace wire::tcp_flag;

namespace {

constexpr uint32_t kMaxIpPacket = 65535;

}  // namespace

bool Connection::has_output() const {
  if (is_quasi()) return quasi_.received > 0 || quasi_.written != nullptr;
  bool answer_due = state_ == State::kSynReceived && tcb_->receiver.ack_due();
  return syn_due_ || answer_due || (is_established() && !done());
}

uint16_t Connection::syn_window() const {
  return static_cast<uint16_t>(std::min<uint32_t>(options_->receive_buffer_min, 65535));
}

uint32_t Connection::timestamp(Time now) const {
  return follows_timestamps_ ? ts_offset_ : stack_.timestamp(now, ts_offset_);
}

void Connection::follow_timestamps(uint32_t value) {
  if (follows_timestamps_ && static_cast<int32_t>(value - ts_offset_) < 0) return;
  follows_timestamps_ = true;
  ts_offset_ = value;
}

uint16_t Connection::path_mss(Time now) const {
  return std::min(quasi_.peer_mss,
                  port::mss_for(stack_.paths().mtu(*path_, now), tuple_.remote.address));
}

uint16_t Connection::offered_mss() const {
  const uint16_t mss =
      port::mss_for(stack_.port_info(path_->path.port_index).mtu, tuple_.remote.address);
  return quasi_.mss_max == 0 ? mss : std::min(mss, quasi_.mss_max);
}

void Connection::update_mss(Time now) {
  uint32_t mss = path_mss(now);
  if (quasi_.timestamps) mss -= wire::TcpOptions::kTimestampsSize;
  if (mss == mss_) return;
  mss_ = static_cast<uint16_t>(mss);
  if (is_established() && !is_quasi()) tcb_->sender.set_mss(mss);
}

SendLimits Connection::limits() const {
  uint32_t max_payload = mss_;
  uint32_t gso = stack_.port_info(path_->path.port_index).max_gso_bytes;
  uint32_t headers = port::headers_to(tuple_.remote.address) + wire::TcpOptions::kTimestampsSize;
  if (gso > 0) {
    uint32_t room = std::min(kMaxIpPacket, gso - 14) - headers;
    max_payload = std::max<uint32_t>(mss_, room - room % mss_);
  }
  return {.mss = mss_, .max_payload = max_payload, .nodelay = nodelay_, .cork = cork_};
}

struct Connection::Header {
  SeqNum seq;
  uint8_t flags = 0;
  bool ect = false;   // ECN-capable transport: new data only (RFC 3168 §6.1.5)
  bool sack = false;  // room for SACK blocks
};

void Connection::build(port::TxPacket& packet, const Header& header, Time now) {
  port::TcpPacketSpec spec;
  spec.tuple = tuple_;
  spec.local_mac = path_->path.local_mac;
  spec.next_hop = path_->path.next_hop;
  spec.port_index = path_->path.port_index;
  spec.seq = header.seq;
  spec.flags = header.flags;
  if (header.ect) spec.ecn = wire::Ecn::kCapable0;
  bool syn = (header.flags & kSyn) != 0;
  if (quasi_.timestamps) {
    spec.options.timestamps =
        wire::Timestamps{timestamp(now), (header.flags & kAck) != 0 ? quasi_.ts_recent : 0};
  }
  if (syn) {
    spec.options.mss = offered_mss();
    spec.options.sack_permitted = quasi_.sack;
    if (quasi_.window_scaling) spec.options.window_scale = tcb_->receiver.shift();
  }
  if (header.sack) tcb_->receiver.fill_sack(spec.options);
  if ((header.flags & kAck) != 0) {
    if (header.sack && tcb_->receiver.dsack_pending()) ++stack_.resources().counters.dsacks_sent;
    spec.ack = tcb_->receiver.ack();
    spec.window = tcb_->receiver.advertise(mss_, syn);
    tcb_->receiver.on_ack_sent();
    if (!holds_acks()) tcb_->ack_deadline = Time::max();
  } else {
    spec.window = syn_window();
  }
  port::build_tcp_packet(packet, spec);
  ++stack_.resources().counters.segments_sent;
}

bool Connection::emit(port::PacketBurst& burst, Time now) {
  if (burst.full()) return true;
  if (is_quasi()) promote();
  bool more = is_established() ? emit_data(burst, now) : emit_syn(burst, now);
  if (is_established() && !done()) {
    tcb_->sender.rearm(now);
    wake_writer();
  }
  return more;
}

bool Connection::emit_syn(port::PacketBurst& burst, Time now) {
  if (done()) return false;
  Header header;
  if (!syn_due_) {
    // To a segment that SYN-RECEIVED did not accept (RFC 9293 §3.10.7.4, first).
    header.seq = tcb_->sender.vars().nxt;
    header.flags = kAck;
    if (state_ == State::kSynReceived && tcb_->receiver.ack_due())
      build(burst.append(), header, now);
    return false;
  }
  syn_due_ = false;
  header.seq = tcb_->sender.vars().iss;
  header.flags = kSyn;
  if (state_ == State::kSynReceived) header.flags |= kAck;
  if (quasi_.ecn) header.flags |= state_ == State::kSynReceived ? kEce : (kEce | kCwr);
  if (handshake_tries_ == 0) {
    tcb_->sender.on_syn_sent(now);
    tcb_->sender.vars().nxt = tcb_->sender.vars().iss + 1;
  } else {
    ++stack_.resources().counters.retransmitted_segments;
  }
  ++handshake_tries_;
  build(burst.append(), header, now);
  arm_life_timer(now);
  return false;
}

bool Connection::emit_data(port::PacketBurst& burst, Time now) {
  Resources& res = stack_.resources();
  uint16_t before = mss_;
  update_mss(now);
  if (mss_ < before) tcb_->sender.on_mtu_reduced(mss_);
  uint8_t echo = ecn_echo_ ? kEce : 0;

  auto pure_ack = [&](SeqNum seq) {
    Header header{.seq = seq, .flags = static_cast<uint8_t>(kAck | echo), .sack = quasi_.sack};
    build(burst.append(), header, now);
  };
  // Out-of-order and duplicate arrivals are told by segments of their own, which have room for SACK
  // blocks and count as duplicate ACKs.
  while (tcb_->receiver.ack_due() &&
         (tcb_->receiver.has_sack() || tcb_->receiver.owes_duplicate_acks())) {
    if (burst.full()) return true;
    pure_ack(tcb_->sender.vars().nxt);
  }
  if (probe_due_) {
    // A segment from before the window makes the peer answer with its state (RFC 9293 §3.8.4; for a
    // closed window Linux does the same, where §3.8.6.1 would send an octet of new data).
    if (burst.full()) return true;
    probe_due_ = false;
    pure_ack(tcb_->sender.vars().una - 1);
  }
  SendLimits limit = limits();
  while (std::optional<Transmission> what = tcb_->sender.next(limit, now)) {
    if (burst.full()) return true;
    port::TxPacket& packet = burst.append();
    uint32_t gathered = what->size > 0 ? tcb_->sender.gather(*what, packet) : 0;
    if (gathered < what->size) {  // more spans than a packet takes
      what->size = std::max(gathered - gathered % mss_, std::min<uint32_t>(gathered, mss_));
      what->fin = what->push = false;
      packet.payload_count = 0;
      packet.payload_size = 0;
      tcb_->sender.gather(*what, packet);
    }
    Header header{.seq = what->seq, .flags = static_cast<uint8_t>(kAck | echo)};
    if (what->push) header.flags |= kPsh;
    if (what->fin) header.flags |= kFin;
    if (!what->retransmission && quasi_.ecn) {
      header.ect = what->size > 0;
      if (tcb_->sender.cwr_pending() && what->size > 0) {
        header.flags |= kCwr;
        tcb_->sender.on_cwr_sent();
      }
    }
    if (what->size > mss_) packet.gso_size = mss_;
    packet.ecn = (header.flags & kCwr) != 0;
    build(packet, header, now);
    tcb_->sender.on_sent(*what, limit, quasi_.timestamps ? timestamp(now) : 0, now, res);
  }
  if (tcb_->receiver.ack_due()) {
    if (burst.full()) return true;
    pure_ack(tcb_->sender.vars().nxt);
  }
  return false;
}

}  // namespace fairlead::host
