#include "port/af_packet_socket.h"

#include <algorithm>
#include <cstring>

namespace fairlead::port {

SocketReceiver::SocketReceiver(int fd, VlanTags tags) : fd_(fd), tags_(tags) {
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

SocketReceiver::Batch SocketReceiver::read(std::span<RxPacket> burst, PortCounters& counters) {
  const size_t wanted = std::min(burst.size(), batch_);
  // Buffers that were taken have been replaced since the last call.
  const size_t room = tags_ == VlanTags::kInFrame ? VlanTag::kSize : 0;
  for (size_t i = 0; i < wanted; ++i) {
    parts_[i][1] = {buffers_[i]->data + room, RxBuffer::kCapacity - room};
    if (room == 0) continue;
    messages_[i].msg_hdr.msg_control = controls_[i].bytes.data();
    messages_[i].msg_hdr.msg_controllen = controls_[i].bytes.size();
  }
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
    const MutableByteSpan frame(buffers_[i]->data + room, size);
    burst[filled++] = RxPacket{.frame = room == 0 ? frame : put_tag_back(i, frame),
                               .gso_size = vnet_headers_[i].tcp_gso_size(),
                               .checksum = vnet_headers_[i].checksum_state(),
                               .port_index = 0,
                               .buffer = &buffers_[i],
                               .offload = &vnet_headers_[i]};
    bytes += size;
  }
  counters.rx_packets += filled;
  counters.rx_bytes += bytes;
  if (filled > 0) batch_ = std::clamp(kCacheBytes * filled / (bytes + 1), kMinBatch, kBatch);
  return {.taken = static_cast<size_t>(std::max(got, 0)), .filled = filled};
}

ByteSpan SocketReceiver::put_tag_back(size_t slot, MutableByteSpan frame) {
  const msghdr& message = messages_[slot].msg_hdr;
  const cmsghdr* header = CMSG_FIRSTHDR(&message);
  if (header == nullptr || header->cmsg_type != PACKET_AUXDATA) return frame;
  tpacket_auxdata aux;
  std::memcpy(&aux, CMSG_DATA(header), sizeof aux);
  const auto tag = VlanTag::of(aux);
  return tag ? tag->put_into(frame, vnet_headers_[slot]) : frame;
}

}  // namespace fairlead::port
