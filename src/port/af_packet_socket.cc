#include "port/af_packet_socket.h"

#include <algorithm>

namespace fairlead::port {

SocketReceiver::SocketReceiver(int fd) : fd_(fd) {
  for (size_t i = 0; i < kBatch; ++i) {
    buffers_[i] = pool_.create();
    parts_[i][0] = {&vnet_headers_[i], sizeof(VnetHeader)};
    messages_[i].msg_hdr.msg_iov = parts_[i].data();
    messages_[i].msg_hdr.msg_iovlen = parts_[i].size();
  }
}

SocketReceiver::~SocketReceiver() {
  for (RxBuffer* buffer : buffers_) pool_.give_back(*buffer);
}

size_t SocketReceiver::receive(std::span<RxPacket> burst, PortCounters& counters) {
  const size_t wanted = std::min(burst.size(), batch_);
  // Buffers that were taken have been replaced since the last call.
  for (size_t i = 0; i < wanted; ++i) parts_[i][1] = {buffers_[i]->data, RxBuffer::kCapacity};
  const int got =
      ::recvmmsg(fd_, messages_.data(), static_cast<unsigned>(wanted), MSG_DONTWAIT, nullptr);
  // An error is EAGAIN, or ENETDOWN once when the interface goes down: nothing received either way.
  size_t filled = 0;
  size_t bytes = 0;
  for (size_t i = 0; got > 0 && i < static_cast<size_t>(got); ++i) {
    if ((messages_[i].msg_hdr.msg_flags & MSG_TRUNC) != 0) {
      ++counters.rx_truncated;
      continue;
    }
    if (messages_[i].msg_len < sizeof(VnetHeader)) continue;
    const size_t size = messages_[i].msg_len - sizeof(VnetHeader);
    burst[filled++] = RxPacket{.frame = ByteSpan(buffers_[i]->data, size),
                               .gso_size = vnet_headers_[i].tcp_gso_size(),
                               .checksum = vnet_headers_[i].checksum_state(),
                               .port_index = 0,
                               .buffer = &buffers_[i]};
    bytes += size;
  }
  counters.rx_packets += filled;
  counters.rx_bytes += bytes;
  if (filled > 0) batch_ = std::clamp(kCacheBytes * filled / (bytes + 1), kMinBatch, kBatch);
  return filled;
}

}  // namespace fairlead::port
