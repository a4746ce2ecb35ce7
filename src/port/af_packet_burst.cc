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
  if (burst_ == nullptr) return 0;
  packets = packets.first(std::min(packets.size(), kMax));
  const auto end = std::ranges::find_if_not(packets, fits);
  const auto count = static_cast<size_t>(end - packets.begin());
  return count < 2 ? 0 : count;
}

size_t BurstSender::send(std::span<const TxPacket> packets) {
  for (size_t i = 0; i < packets.size(); ++i) write_frame(packets[i], burst_->frames[i]);
  const auto size = static_cast<uint32_t>(packets.size());
  burst_->sent = 0;
  burst_->size = size;
  // Were the program not there, the first one would leave as it is.
  VnetHeader nothing_to_do{};
  iovec parts[] = {{&nothing_to_do, sizeof nothing_to_do},
                   {burst_->frames[0].bytes, burst_->frames[0].size}};
  msghdr message{};
  message.msg_iov = parts;
  message.msg_iovlen = std::size(parts);
  const bool left = ::sendmsg(fd_, &message, MSG_DONTWAIT) >= 0;
  if (burst_->size == 0) return left ? burst_->sent : std::min(burst_->sent, size - 1);
  burst_->size = 0;
  return left ? 1 : 0;
}

}  // namespace fairlead::port
