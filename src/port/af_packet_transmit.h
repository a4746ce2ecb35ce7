// PacketSender: TxPackets out of an AF_PACKET socket, short ones that follow each other in bursts
// (af_packet_burst.h), others by sendmmsg().
//
// There each packet becomes one message of [vnet header | headers | payload spans...]: the kernel
// gathers it straight from the send buffers. A checksum left partial and a super-packet (gso_size)
// are described in the vnet header, and the kernel hands both on to the interface; where the
// interface can't do them the kernel completes the checksum and cuts the segments itself, right
// before the driver. So every AF_PACKET port offers both, whatever `ethtool -k` says (the tests
// switch them off and on).
#pragma once

#include <sys/socket.h>

#include <array>
#include <cstddef>
#include <span>

#include "port/af_packet_burst.h"
#include "port/packet.h"
#include "port/port.h"
#include "port/vnet_header.h"

namespace fairlead::port {

class PacketSender {
 public:
  /// `fd`: an AF_PACKET socket with PACKET_VNET_HDR, bound; borrowed. `burst`: BurstSender's.
  PacketSender(int fd, fl_burst* burst) : fd_(fd), bursts_(fd, burst) {}

  /// As Port::transmit(). A full send buffer is "no room now". A packet that the interface refuses
  /// (too long, interface down) or drops (its queue is full, a filter at its egress) is taken and
  /// counted as tx_dropped.
  size_t transmit(std::span<const TxPacket> packets, PortCounters& counters);

 private:
  static constexpr size_t kBatch = PacketBurst::kCapacity;  // packets per system call
  static_assert(BurstSender::kMax <= kBatch);
  static constexpr size_t kParts = 2 + TxPacket::kMaxPayloadSpans;

  void describe(const TxPacket& packet, size_t slot);
  size_t send_some(std::span<const TxPacket> packets, PortCounters& counters);
  size_t send_messages(std::span<const TxPacket> packets, PortCounters& counters);

  int fd_;
  BurstSender bursts_;
  std::array<VnetHeader, kBatch> vnet_headers_{};
  std::array<std::array<iovec, kParts>, kBatch> parts_{};
  std::array<mmsghdr, kBatch> messages_{};
};

}  // namespace fairlead::port
