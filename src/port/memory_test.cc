#include "port/memory.h"

#include <gtest/gtest.h>

#include <array>
#include <string>

namespace fairlead::port {
namespace {

PortInfo plain() { return {.name = "plain", .mac = {}}; }
PortInfo offloading() {
  return {.name = "offloading", .mac = {}, .checksum_offload = true, .max_gso_bytes = 65549};
}

/// A packet with a one-byte "header" and the given payload, as one span.
TxPacket packet_of(uint8_t header, ByteSpan payload) {
  TxPacket packet;
  packet.clear();
  packet.header[0] = header;
  packet.header_size = 1;
  packet.payload[0] = payload;
  packet.payload_count = 1;
  packet.payload_size = static_cast<uint32_t>(payload.size());
  return packet;
}

TEST(MemoryPort, FramesArriveInOrderWithHeaderAndAllPayloadSpansJoined) {
  MemoryPort::Pair link = MemoryPort::make_pair(plain(), plain());
  const std::array<uint8_t, 3> one{1, 2, 3};
  const std::array<uint8_t, 2> two{4, 5};
  std::array<TxPacket, 2> sent{packet_of(0xa0, one), packet_of(0xa1, one)};
  sent[1].payload[1] = two;
  sent[1].payload_count = 2;
  sent[1].payload_size = 5;
  EXPECT_EQ(link.a->transmit(sent), 2u);

  std::array<RxPacket, 8> burst;
  ASSERT_EQ(link.b->receive(burst), 2u);
  EXPECT_EQ(std::vector<uint8_t>(burst[0].frame.begin(), burst[0].frame.end()),
            (std::vector<uint8_t>{0xa0, 1, 2, 3}));
  EXPECT_EQ(std::vector<uint8_t>(burst[1].frame.begin(), burst[1].frame.end()),
            (std::vector<uint8_t>{0xa1, 1, 2, 3, 4, 5}));
  EXPECT_EQ(burst[0].checksum, ChecksumState::kUnknown);
  link.b->release();
  EXPECT_EQ(link.b->receive(burst), 0u);
  EXPECT_EQ(link.a->counters().tx_bytes, 10u);
  EXPECT_EQ(link.b->counters().rx_bytes, 10u);
}

TEST(MemoryPort, SuperPacketArrivesWholeWithItsChecksumPartial) {
  MemoryPort::Pair link = MemoryPort::make_pair(offloading(), plain());
  const std::vector<uint8_t> payload(64000, 7);
  TxPacket packet = packet_of(0, payload);
  packet.gso_size = 1448;
  packet.checksum_partial = true;
  EXPECT_EQ(link.a->transmit({&packet, 1}), 1u);

  std::array<RxPacket, 1> burst;
  ASSERT_EQ(link.b->receive(burst), 1u);
  EXPECT_EQ(burst[0].frame.size(), 64001u);
  EXPECT_EQ(burst[0].gso_size, 1448u);
  EXPECT_EQ(burst[0].checksum, ChecksumState::kPartial);
}

TEST(MemoryPort, FullQueueLosesTheNewestFramesAndTheReceiverCountsThem) {
  MemoryPort::Pair link = MemoryPort::make_pair(plain(), plain(), 2);
  const std::array<uint8_t, 1> payload{9};
  std::array<TxPacket, 3> sent{packet_of(1, payload), packet_of(2, payload), packet_of(3, payload)};
  EXPECT_EQ(link.a->transmit(sent), 3u);

  std::array<RxPacket, 8> burst;
  ASSERT_EQ(link.b->receive(burst), 2u);
  EXPECT_EQ(burst[0].frame[0], 1);
  EXPECT_EQ(burst[1].frame[0], 2);
  EXPECT_EQ(link.b->counters().rx_dropped, 1u);
  link.b->release();
  EXPECT_EQ(link.a->transmit(sent), 3u);
  EXPECT_EQ(link.b->pending(), 2u);
}

TEST(MemoryPort, LentFramesStayIntactWhileTheOtherEndKeepsSending) {
  MemoryPort::Pair link = MemoryPort::make_pair(plain(), plain(), 2);
  const std::array<uint8_t, 1> payload{9};
  std::array<TxPacket, 2> first{packet_of(1, payload), packet_of(2, payload)};
  link.a->transmit(first);
  std::array<RxPacket, 2> burst;
  ASSERT_EQ(link.b->receive(burst), 2u);
  const TxPacket late = packet_of(3, payload);
  link.a->transmit({&late, 1});
  EXPECT_EQ(burst[0].frame[0], 1);
  EXPECT_EQ(burst[1].frame[0], 2);
}

TEST(MemoryPort, OneEndOutlivesTheOther) {
  MemoryPort::Pair link = MemoryPort::make_pair(plain(), plain(), 2);
  const std::array<uint8_t, 1> payload{9};
  const TxPacket packet = packet_of(1, payload);
  link.a->transmit({&packet, 1});
  link.a.reset();
  std::array<RxPacket, 2> burst;
  EXPECT_EQ(link.b->receive(burst), 1u);
  link.b->release();
  EXPECT_EQ(link.b->transmit({&packet, 1}), 1u);
}

TEST(MemoryPort, InjectedFrameIsReceivedAsGiven) {
  MemoryPort::Pair link = MemoryPort::make_pair(plain(), plain(), 1);
  const std::array<uint8_t, 2> frame{0xde, 0xad};
  EXPECT_TRUE(link.b->inject(frame, ChecksumState::kVerified));
  EXPECT_FALSE(link.b->inject(frame));
  std::array<RxPacket, 2> burst;
  ASSERT_EQ(link.b->receive(burst), 1u);
  EXPECT_EQ(burst[0].frame[1], 0xad);
  EXPECT_EQ(burst[0].checksum, ChecksumState::kVerified);
  EXPECT_EQ(link.b->counters().rx_dropped, 1u);
}

}  // namespace
}  // namespace fairlead::port
