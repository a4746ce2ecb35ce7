#include "port/memory.h"

#include <algorithm>

#include "base/check.h"

namespace fairlead::port {
namespace {

void copy_frame(const TxPacket& packet, std::vector<uint8_t>& to) {
  const ByteSpan header = packet.header_bytes();
  to.assign(header.begin(), header.end());
  for (size_t i = 0; i < packet.payload_count; ++i) {
    to.insert(to.end(), packet.payload[i].begin(), packet.payload[i].end());
  }
}

}  // namespace

FrameQueue::Frame& FrameQueue::append() {
  CHECK(!full());
  return frames_[(head_ + size_++) % frames_.size()];
}

void FrameQueue::remove(size_t n) {
  CHECK(n <= size_);
  head_ = (head_ + n) % frames_.size();
  size_ -= n;
}

MemoryPort::Pair MemoryPort::make_pair(PortInfo a, PortInfo b, size_t queue_capacity) {
  CHECK(queue_capacity > 0);
  auto a_to_b = std::make_shared<Direction>(queue_capacity);
  auto b_to_a = std::make_shared<Direction>(queue_capacity);
  Pair pair;
  pair.a.reset(new MemoryPort(std::move(a), b_to_a, a_to_b));
  pair.b.reset(new MemoryPort(std::move(b), a_to_b, b_to_a));
  return pair;
}

const PortCounters& MemoryPort::counters() {
  counters_.rx_dropped = incoming_->dropped;
  return counters_;
}

size_t MemoryPort::receive(std::span<RxPacket> burst) {
  CHECK(lent_ == 0);
  lent_ = std::min(burst.size(), incoming_->frames.size());
  for (size_t i = 0; i < lent_; ++i) {
    const FrameQueue::Frame& frame = incoming_->frames[i];
    burst[i] = RxPacket{.frame = frame.bytes,
                        .gso_size = frame.gso_size,
                        .checksum = frame.checksum,
                        .port_index = 0};
    counters_.rx_bytes += frame.bytes.size();
  }
  counters_.rx_packets += lent_;
  return lent_;
}

void MemoryPort::release() {
  incoming_->frames.remove(lent_);
  lent_ = 0;
}

size_t MemoryPort::transmit(std::span<const TxPacket> packets) {
  for (const TxPacket& packet : packets) {
    CHECK(!packet.checksum_partial || info_.checksum_offload);
    CHECK(packet.gso_size == 0 || packet.size() <= info_.max_gso_bytes);
    ++counters_.tx_packets;
    counters_.tx_bytes += packet.size();
    if (outgoing_->frames.full()) {
      ++outgoing_->dropped;
      continue;
    }
    FrameQueue::Frame& slot = outgoing_->frames.append();
    copy_frame(packet, slot.bytes);
    slot.gso_size = packet.gso_size;
    slot.checksum = packet.checksum_partial ? ChecksumState::kPartial : ChecksumState::kUnknown;
  }
  return packets.size();
}

bool MemoryPort::inject(ByteSpan frame, ChecksumState checksum, uint16_t gso_size) {
  if (incoming_->frames.full()) {
    ++incoming_->dropped;
    return false;
  }
  FrameQueue::Frame& slot = incoming_->frames.append();
  slot.bytes.assign(frame.begin(), frame.end());
  slot.gso_size = gso_size;
  slot.checksum = checksum;
  return true;
}

}  // namespace fairlead::port
