#include "bench/short_connections/ring_port.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace fairlead::bench {
namespace {

void copy(const port::TxPacket& packet, Frame& frame) {
  uint8_t* at = frame.room();
  std::memcpy(at, packet.header.data(), packet.header_size);
  at += packet.header_size;
  for (const ByteSpan part : std::span(packet.payload).first(packet.payload_count)) {
    std::memcpy(at, part.data(), part.size());
    at += part.size();
  }
  frame.size = static_cast<uint32_t>(at - frame.room());
  frame.gso_size = packet.gso_size;
  frame.checksum =
      packet.checksum_partial ? port::ChecksumState::kPartial : port::ChecksumState::kUnknown;
}

}  // namespace

RingPort::RingPort(port::PortInfo info, FramePipe& in, FramePipe& out)
    : info_(std::move(info)), in_(in), out_(out) {
  info_.checksum_offload = true;
  info_.max_gso_bytes = static_cast<uint32_t>(out.frame_bytes());
}

size_t RingPort::receive(std::span<port::RxPacket> burst) {
  CHECK(lent_count_ == 0);
  lent_count_ = in_.receive(std::span(lent_).first(std::min(burst.size(), lent_.size())));
  // As a driver does with descriptors: they come from the other core's cache, together.
  for (size_t i = 0; i < lent_count_; ++i) __builtin_prefetch(lent_[i]);
  for (size_t i = 0; i < lent_count_; ++i) {
    const Frame& frame = *lent_[i];
    burst[i] = port::RxPacket{.frame = frame.bytes(),
                              .gso_size = frame.gso_size,
                              .checksum = frame.checksum,
                              .port_index = 0};
    counters_.rx_bytes += frame.size;
  }
  counters_.rx_packets += lent_count_;
  return lent_count_;
}

void RingPort::release() {
  in_.give_back(std::span(lent_).first(lent_count_));
  lent_count_ = 0;
}

size_t RingPort::transmit(std::span<const port::TxPacket> packets) {
  size_t sent = 0;
  for (const port::TxPacket& packet : packets) {
    CHECK(packet.size() <= out_.frame_bytes());
    Frame* const frame = out_.take();
    if (frame == nullptr) break;
    copy(packet, *frame);
    out_.put(frame);
    counters_.tx_bytes += frame->size;
    ++sent;
  }
  out_.flush();
  counters_.tx_packets += sent;
  if (sent < packets.size()) ++counters_.tx_busy;
  return sent;
}

}  // namespace fairlead::bench
