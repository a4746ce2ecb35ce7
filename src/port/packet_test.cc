#include "port/packet.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "base/endian.h"
#include "wire/checksum.h"

namespace fairlead::port {
namespace {

constexpr IpAddress kSource = IpAddress::v4(0xC0000201);
constexpr IpAddress kDestination = IpAddress::v4(0xC0000202);

/// Ethernet, IPv4 (or IPv6) and a header of the given protocol, all zero but what the checksum code
/// looks at; the checksum field holds the folded pseudo-header sum.
TxPacket partial_packet(bool ipv6, uint8_t protocol, size_t l4_size,
                        const std::vector<ByteSpan>& payload) {
  TxPacket packet;
  packet.header.fill(0);
  packet.clear();
  packet.ipv6 = ipv6;
  packet.l4_offset = ipv6 ? 54 : 34;
  packet.header_size = static_cast<uint16_t>(packet.l4_offset + l4_size);
  packet.header[14] = ipv6 ? 0x60 : 0x45;
  packet.header[ipv6 ? 20 : 23] = protocol;
  packet.header[packet.l4_offset] = 0x12;
  for (ByteSpan span : payload) {
    packet.payload[packet.payload_count++] = span;
    packet.payload_size += static_cast<uint32_t>(span.size());
  }
  packet.checksum_partial = true;
  return packet;
}

void put16(TxPacket& packet, size_t offset, uint16_t value) {
  packet.header[offset] = static_cast<uint8_t>(value >> 8);
  packet.header[offset + 1] = static_cast<uint8_t>(value);
}

/// The sum a receiver takes: pseudo header, header, payload.
uint64_t receiver_sum(const TxPacket& packet, uint64_t pseudo) {
  std::vector<uint8_t> bytes(packet.header.begin() + packet.l4_offset,
                             packet.header.begin() + packet.header_size);
  for (size_t i = 0; i < packet.payload_count; ++i) {
    bytes.insert(bytes.end(), packet.payload[i].begin(), packet.payload[i].end());
  }
  return checksum_add(pseudo, bytes);
}

TEST(CompleteChecksum, TcpPacketWithPayloadInOddSpansIsIntactAfterwards) {
  const std::vector<uint8_t> a{1, 2, 3};
  const std::vector<uint8_t> b{250, 251, 252, 253, 254};
  const std::vector<uint8_t> c{77};
  TxPacket packet = partial_packet(false, 6, 20, {a, b, c});
  const uint64_t pseudo = pseudo_header_sum({kSource, kDestination, 6, 20 + 9});
  put16(packet, packet.l4_offset + 16u, checksum_fold(pseudo));
  complete_checksum(packet);
  EXPECT_FALSE(packet.checksum_partial);
  EXPECT_TRUE(checksum_ok(receiver_sum(packet, pseudo)));
}

TEST(CompleteChecksum, IcmpV6FieldIsAtOffsetTwo) {
  TxPacket packet = partial_packet(true, 58, 8, {});
  const uint64_t pseudo = pseudo_header_sum({IpAddress(), IpAddress(), 58, 8});
  put16(packet, packet.l4_offset + 2u, checksum_fold(pseudo));
  complete_checksum(packet);
  EXPECT_TRUE(checksum_ok(receiver_sum(packet, pseudo)));
}

}  // namespace
}  // namespace fairlead::port
