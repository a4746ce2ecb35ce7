#include "port/vnet_header.h"

#include <gtest/gtest.h>

namespace fairlead::port {
namespace {

TxPacket tcp_packet(bool ipv6) {
  TxPacket packet;
  packet.header.fill(0);
  packet.clear();
  packet.ipv6 = ipv6;
  packet.l4_offset = ipv6 ? 54 : 34;
  packet.header_size = static_cast<uint16_t>(packet.l4_offset + 20);
  packet.header[ipv6 ? 20 : 23] = 6;
  return packet;
}

TEST(VnetHeader, FinishedPacketAsksForNothing) {
  const VnetHeader header = VnetHeader::of(tcp_packet(false));
  EXPECT_EQ(header.flags, 0);
  EXPECT_EQ(header.gso_type, VnetHeader::kGsoNone);
}

TEST(VnetHeader, PartialChecksumIsDescribedFromTheTcpHeaderOn) {
  TxPacket packet = tcp_packet(true);
  packet.checksum_partial = true;
  const VnetHeader header = VnetHeader::of(packet);
  EXPECT_EQ(header.flags, VnetHeader::kNeedsChecksum);
  EXPECT_EQ(header.checksum_start, 54);
  EXPECT_EQ(header.checksum_offset, 16);
}

TEST(VnetHeader, SuperPacketSaysItsFamilySegmentSizeAndEcn) {
  TxPacket packet = tcp_packet(false);
  packet.checksum_partial = true;
  packet.gso_size = 1448;
  EXPECT_EQ(VnetHeader::of(packet).gso_type, VnetHeader::kGsoTcpV4);

  packet = tcp_packet(true);
  packet.checksum_partial = packet.ecn = true;
  packet.gso_size = 1448;
  const VnetHeader header = VnetHeader::of(packet);
  EXPECT_EQ(header.gso_type, VnetHeader::kGsoTcpV6 | VnetHeader::kGsoEcn);
  EXPECT_EQ(header.gso_size, 1448);
  EXPECT_EQ(header.header_size, 74);
  EXPECT_EQ(header.tcp_gso_size(), 1448);
}

TEST(VnetHeader, ReceivedChecksumStateFollowsTheFlags) {
  VnetHeader header;
  EXPECT_EQ(header.checksum_state(), ChecksumState::kUnknown);
  header.flags = VnetHeader::kDataValid;
  EXPECT_EQ(header.checksum_state(), ChecksumState::kVerified);
  header.flags = VnetHeader::kNeedsChecksum;
  EXPECT_EQ(header.checksum_state(), ChecksumState::kPartial);
}

TEST(VnetHeader, UdpSuperPacketHasNoTcpSegmentSize) {
  VnetHeader header;
  header.gso_type = 5;  // VIRTIO_NET_HDR_GSO_UDP_L4
  header.gso_size = 1200;
  EXPECT_EQ(header.tcp_gso_size(), 0);
}

}  // namespace
}  // namespace fairlead::port
