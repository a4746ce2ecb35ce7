#include "port/af_packet_burst.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "base/endian.h"
#include "port/vnet_header.h"
#include "wire/checksum.h"

namespace fairlead::port {
namespace {

/// All that a program which copies bytes can put out. TCP's checksum is completed here.
bool fits(const TxPacket& packet) {
  return packet.size() <= FL_BURST_FRAME && packet.gso_size == 0 && packet.offload == nullptr;
}

void write_frame(const TxPacket& packet, fl_burst_frame& frame) {
  const ByteSpan header = packet.header_bytes();
  std::memcpy(frame.bytes, header.data(), header.size());
  size_t size = header.size();
  for (size_t i = 0; i < packet.payload_count; ++i) {
    const ByteSpan payload = packet.payload[i];
    std::memcpy(&frame.bytes[size], payload.data(), payload.size());
    size += payload.size();
  }
  frame.size = static_cast<uint32_t>(size);
  if (!packet.checksum_partial) return;
  // The field holds the pseudo header's sum: it adds itself.
  ChecksumAccumulator sum;
  sum.add(ByteSpan(frame.bytes, size).subspan(packet.l4_offset));
  const Be16 checksum(checksum_finish(sum.sum()));
  std::memcpy(&frame.bytes[packet.l4_offset + checksum_field_offset(packet)], &checksum,
              sizeof checksum);
}

}  // namespace

BurstSender::BurstSender(int fd, fl_burst* burst) : fd_(fd), burst_(burst) {
  if (burst_ == nullptr) return;
  socklen_t size = sizeof burst_->socket;
  CHECK(::getsockopt(fd_, SOL_SOCKET, SO_COOKIE, &burst_->socket, &size) == 0);
  burst_->size = 0;
}

BurstSender::~BurstSender() {
  if (burst_ != nullptr) burst_->socket = 0;
}

size_t BurstSender::run(std::span<const TxPacket> packets) const {
  if (burst_ == nullptr || packets.empty()) return 0;
  packets = packets.first(std::min(packets.size(), kMax));
  const bool ipv6 = packets[0].ipv6;
  const auto end = std::ranges::find_if_not(
      packets, [ipv6](const TxPacket& packet) { return packet.ipv6 == ipv6 && fits(packet); });
  const auto count = static_cast<size_t>(end - packets.begin());
  return count < 2 ? 0 : count;
}

bool BurstSender::send(std::span<const TxPacket> packets, PortCounters& counters) {
  for (size_t i = 0; i < packets.size(); ++i) write_frame(packets[i], burst_->frames[i]);
  fl_burst_frame& last = burst_->frames[packets.size() - 1];
  burst_->size = static_cast<uint32_t>(packets.size());
  VnetHeader nothing_to_do{};
  iovec parts[] = {{&nothing_to_do, sizeof nothing_to_do}, {last.bytes, last.size}};
  msghdr message{};
  message.msg_iov = parts;
  message.msg_iovlen = std::size(parts);
  const bool last_left = ::sendmsg(fd_, &message, MSG_DONTWAIT) >= 0;
  if (burst_->size != 0) {
    burst_->size = 0;
    if (last_left) burst_ = nullptr;
    return false;
  }
  const size_t left = burst_->sent + (last_left ? 1u : 0u);
  ++counters.tx_bursts;
  counters.tx_packets += left;
  counters.tx_bytes += burst_->sent_bytes + (last_left ? last.size : 0u);
  counters.tx_dropped += packets.size() - left;
  return true;
}

}  // namespace fairlead::port
