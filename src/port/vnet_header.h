// VnetHeader: the 10 bytes the kernel puts before a frame on an AF_PACKET socket with
// PACKET_VNET_HDR, and expects before one we send. It says what is still to be done to the frame:
// complete the checksum, cut it into segments.
//
// Defined here because <linux/virtio_net.h> has a member named `class`, which is not C++. Fields
// are in the machine's byte order (PACKET_VNET_HDR is a legacy virtio interface).
#pragma once

#include <cstdint>

#include "port/packet.h"

namespace fairlead::port {

struct VnetHeader {
  static constexpr uint8_t kNeedsChecksum = 1;  // flags: checksum from checksum_start is to be done
  static constexpr uint8_t kDataValid = 2;      // flags: the interface verified the checksum
  static constexpr uint8_t kGsoNone = 0;
  static constexpr uint8_t kGsoTcpV4 = 1;
  static constexpr uint8_t kGsoTcpV6 = 4;
  static constexpr uint8_t kGsoEcn = 0x80;  // with kGsoTcp*: CWR on the first segment only

  uint8_t flags = 0;
  uint8_t gso_type = kGsoNone;
  uint16_t header_size = 0;      // Ethernet to TCP; what the kernel keeps in the skb's linear part
  uint16_t gso_size = 0;         // payload bytes per segment
  uint16_t checksum_start = 0;   // where summing begins: the TCP header
  uint16_t checksum_offset = 0;  // of the checksum field, from checksum_start

  ChecksumState checksum_state() const {
    if ((flags & kNeedsChecksum) != 0) return ChecksumState::kPartial;
    if ((flags & kDataValid) != 0) return ChecksumState::kVerified;
    return ChecksumState::kUnknown;
  }
  /// The segment size of a TCP super-packet, 0 for anything else.
  uint16_t tcp_gso_size() const {
    const uint8_t type = gso_type & static_cast<uint8_t>(~kGsoEcn);
    return type == kGsoTcpV4 || type == kGsoTcpV6 ? gso_size : 0;
  }
  /// What a TxPacket leaves to be done.
  static VnetHeader of(const TxPacket& packet);
};
static_assert(sizeof(VnetHeader) == 10);

inline VnetHeader VnetHeader::of(const TxPacket& packet) {
  VnetHeader header{.header_size = packet.header_size};
  if (packet.checksum_partial) {
    header.flags = kNeedsChecksum;
    header.checksum_start = packet.l4_offset;
    header.checksum_offset = checksum_field_offset(packet);
  }
  if (packet.gso_size != 0) {
    header.gso_type = packet.ipv6 ? kGsoTcpV6 : kGsoTcpV4;
    if (packet.ecn) header.gso_type |= kGsoEcn;
    header.gso_size = packet.gso_size;
  }
  return header;
}

}  // namespace fairlead::port
