// AF_PACKET ports on both ends of a veth pair: what one sends, the other receives, with the
// interfaces' offloads on and off, in both receive modes.
#include <gtest/gtest.h>
#include <net/if.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <vector>

#include "base/random.h"
#include "port/af_packet.h"
#include "port/vnet_header.h"
#include "tests/namespaces.h"
#include "tests/port_frames.h"
#include "wire/checksum.h"

namespace fairlead::port {
namespace {

using test::NamespacePair;
using test::open_port;
using test::put16;
using test::receive_payload;
using test::Received;
using test::tcp_packet;

struct Case {
  bool ipv6;
  bool offloads;
  ReceiveMode receive;
};

std::string_view receive_name(ReceiveMode mode) {
  return mode == ReceiveMode::kRing ? "Ring" : "Socket";
}

class AfPacketPair : public testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    FAIRLEAD_REQUIRE_NAMESPACES();
    namespaces_.emplace();
    namespaces_->set_offloads(GetParam().offloads);
    namespaces_->enter_a();
    a_ = open_port({.interface = "fl-a", .receive = GetParam().receive});
    namespaces_->enter_b();
    b_ = open_port({.interface = "fl-b", .receive = GetParam().receive});
  }

  std::optional<NamespacePair> namespaces_;
  std::unique_ptr<Port> a_;
  std::unique_ptr<Port> b_;
};

TEST_P(AfPacketPair, SuperPacketsArriveIntactWholeOrAsSegments) {
  std::vector<uint8_t> payload(60000);
  for (size_t i = 0; i < payload.size(); ++i) payload[i] = static_cast<uint8_t>(i * 31 >> 3);
  const size_t mss = GetParam().ipv6 ? 1440 : 1460;
  TxPacket packet = tcp_packet(*b_, *a_, GetParam().ipv6, payload);
  packet.gso_size = static_cast<uint16_t>(mss);
  ASSERT_EQ(b_->transmit({&packet, 1}), 1u);

  const Received received = receive_payload(*a_, payload.size());
  EXPECT_EQ(received.payload, payload);
  EXPECT_EQ(received.bad_checksums, 0u);
  EXPECT_EQ(received.super_packets, GetParam().offloads ? 1u : 0u);
  EXPECT_EQ(received.frames, GetParam().offloads ? 1u : (payload.size() + mss - 1) / mss);
}

TEST_P(AfPacketPair, LargestSuperPacketIsTaken) {
  const size_t headers = tcp_packet(*b_, *a_, GetParam().ipv6, {}).header_size;
  const std::vector<uint8_t> payload(b_->info().max_gso_bytes - headers, 0x5a);
  TxPacket packet = tcp_packet(*b_, *a_, GetParam().ipv6, payload);
  packet.gso_size = 1400;
  ASSERT_EQ(b_->transmit({&packet, 1}), 1u);
  EXPECT_EQ(receive_payload(*a_, payload.size()).payload.size(), payload.size());
  EXPECT_EQ(b_->counters().tx_packets, 1u);
  EXPECT_EQ(b_->counters().tx_dropped, 0u);
}

TEST_P(AfPacketPair, SmallPacketWithPartialChecksumArrivesIntact) {
  const std::vector<uint8_t> payload{'h', 'e', 'l', 'l', 'o'};
  const TxPacket packet = tcp_packet(*b_, *a_, GetParam().ipv6, payload);
  ASSERT_EQ(b_->transmit({&packet, 1}), 1u);
  const Received received = receive_payload(*a_, payload.size());
  EXPECT_EQ(received.payload, payload);
  EXPECT_EQ(received.bad_checksums, 0u);
}

TEST_P(AfPacketPair, SenderDoesNotReceiveItsOwnPackets) {
  const std::vector<uint8_t> payload{1};
  const TxPacket packet = tcp_packet(*b_, *a_, GetParam().ipv6, payload);
  ASSERT_EQ(b_->transmit({&packet, 1}), 1u);
  EXPECT_EQ(receive_payload(*b_, 1).frames, 0u);
}

TEST_P(AfPacketPair, PacketLongerThanTheMtuIsDroppedAndCountedAndTheRestGoesOut) {
  const std::vector<uint8_t> too_long(3000, 1);
  const std::vector<uint8_t> fine{1, 2, 3};
  const std::array<TxPacket, 3> packets{tcp_packet(*b_, *a_, GetParam().ipv6, fine),
                                        tcp_packet(*b_, *a_, GetParam().ipv6, too_long),
                                        tcp_packet(*b_, *a_, GetParam().ipv6, fine)};
  EXPECT_EQ(b_->transmit(packets), 3u);
  EXPECT_EQ(b_->counters().tx_dropped, 1u);
  EXPECT_EQ(b_->counters().tx_packets, 2u);
  EXPECT_EQ(receive_payload(*a_, 6).payload.size(), 6u);
}

TEST_P(AfPacketPair, InterfaceThatIsDownDropsAndCountsInsteadOfBlocking) {
  const std::vector<uint8_t> payload{1};
  const TxPacket packet = tcp_packet(*b_, *a_, GetParam().ipv6, payload);
  namespaces_->run_in_b("ip link set fl-b down");
  EXPECT_EQ(b_->transmit({&packet, 1}), 1u);
  EXPECT_EQ(b_->counters().tx_dropped, 1u);
  namespaces_->run_in_b("ip link set fl-b up");
  EXPECT_EQ(b_->transmit({&packet, 1}), 1u);
  EXPECT_EQ(b_->counters().tx_packets, 1u);
}

INSTANTIATE_TEST_SUITE_P(, AfPacketPair,
                         testing::Values(Case{false, true, ReceiveMode::kSocket},
                                         Case{false, false, ReceiveMode::kSocket},
                                         Case{true, true, ReceiveMode::kSocket},
                                         Case{true, false, ReceiveMode::kSocket},
                                         Case{false, true, ReceiveMode::kRing},
                                         Case{true, false, ReceiveMode::kRing}),
                         [](const testing::TestParamInfo<Case>& info) {
                           return std::string(info.param.ipv6 ? "Ipv6" : "Ipv4") +
                                  (info.param.offloads ? "OffloadsOn" : "OffloadsOff") +
                                  std::string(receive_name(info.param.receive));
                         });

TEST(AfPacket, FullReceiveBufferDropsAndCountsEveryLostPacket) {
  FAIRLEAD_REQUIRE_NAMESPACES();
  const NamespacePair namespaces;
  // IPv6 has things of its own to say on a new interface, which would be counted, too.
  namespaces.run_in_a("sysctl -qw net.ipv6.conf.all.disable_ipv6=1");
  namespaces.run_in_b("sysctl -qw net.ipv6.conf.all.disable_ipv6=1");
  namespaces.enter_a();
  struct Full {
    ReceiveMode receive;
    size_t payload;
  };
  for (const Full& c : {Full{ReceiveMode::kSocket, 100}, Full{ReceiveMode::kRing, 100},
                        Full{ReceiveMode::kRing, 40'000}}) {
    SCOPED_TRACE(testing::Message() << receive_name(c.receive) << ", " << c.payload);
    namespaces.enter_a();
    const std::unique_ptr<Port> a =
        open_port({.interface = "fl-a", .receive = c.receive, .receive_bytes = 64 * 1024});
    namespaces.enter_b();
    const std::unique_ptr<Port> b = open_port({.interface = "fl-b"});
    const std::vector<uint8_t> payload(c.payload, 1);
    TxPacket packet = tcp_packet(*b, *a, false, payload);
    if (c.payload > 1400) packet.gso_size = 1400;
    constexpr size_t kSent = 2000;
    for (size_t i = 0; i < kSent; ++i) ASSERT_EQ(b->transmit({&packet, 1}), 1u);
    const size_t received = receive_payload(*a, kSent * payload.size()).frames;
    EXPECT_GT(received, 0u);
    EXPECT_GT(a->counters().rx_dropped, 0u);
    EXPECT_EQ(received + a->counters().rx_dropped, kSent);
    EXPECT_EQ(a->counters().rx_packets, received);
  }
}

TEST(AfPacket, ShortAndLongFramesComeInTheirOrder) {
  FAIRLEAD_REQUIRE_NAMESPACES();
  NamespacePair namespaces;
  namespaces.enter_a();
  const std::unique_ptr<Port> a = open_port({.interface = "fl-a"});
  namespaces.enter_b();
  const std::unique_ptr<Port> b = open_port({.interface = "fl-b"});
  Rng rng(1);
  std::vector<uint8_t> sent;
  // Round the ring more than once, with all lengths round a slot's among them.
  for (size_t i = 0; i < 10'000; ++i) {
    const size_t length = rng.chance(0.2)   ? 1 + rng.below(40'000)
                          : rng.chance(0.5) ? 1400 + rng.below(700)
                                            : 1 + rng.below(1000);
    const std::vector<uint8_t> payload(length, static_cast<uint8_t>(i));
    TxPacket packet = tcp_packet(*b, *a, false, payload);
    if (length > 1400) packet.gso_size = 1400;
    ASSERT_EQ(b->transmit({&packet, 1}), 1u);
    sent.insert(sent.end(), payload.begin(), payload.end());
    if (i % 50 != 49) continue;
    ASSERT_EQ(receive_payload(*a, sent.size()).payload, sent) << "frame " << i;
    sent.clear();
  }
  EXPECT_EQ(a->counters().rx_dropped, 0u);
  EXPECT_EQ(a->counters().rx_truncated, 0u);
}

/// The same behind an 802.1Q tag.
TxPacket tagged(TxPacket packet, uint16_t vlan) {
  uint8_t* const type = &packet.header[12];
  std::copy_backward(type, packet.header.data() + packet.header_size,
                     packet.header.data() + packet.header_size + 4);
  put16(packet, 12, 0x8100);
  put16(packet, 14, vlan);
  packet.l4_offset += 4;
  packet.header_size += 4;
  return packet;
}

TEST(AfPacket, ATransparentPortHasFramesWithTheirTags) {
  FAIRLEAD_REQUIRE_NAMESPACES();
  NamespacePair namespaces;
  namespaces.run_in_a("ip link set fl-a mtu 9000");
  namespaces.run_in_b("ip link set fl-b mtu 9000");
  for (const ReceiveMode mode : {ReceiveMode::kRing, ReceiveMode::kSocket}) {
    for (const size_t size : {size_t{100}, size_t{4000}}) {
      SCOPED_TRACE(testing::Message() << receive_name(mode) << ", " << size);
      namespaces.enter_a();
      const std::unique_ptr<Port> a =
          open_port({.interface = "fl-a", .receive = mode, .transparent = true});
      namespaces.enter_b();
      const std::unique_ptr<Port> b = open_port({.interface = "fl-b"});
      const std::vector<uint8_t> payload(size, 0x5a);
      const TxPacket packet = tagged(tcp_packet(*b, *a, false, payload), 7);
      ASSERT_EQ(b->transmit({&packet, 1}), 1u);
      const ByteSpan sent = packet.header_bytes();
      bool seen = false;
      std::array<RxPacket, 32> burst;
      for (int tries = 0; tries < 10 && !seen; ++tries) {
        pollfd waiting{.fd = a->poll_fd(), .events = POLLIN, .revents = 0};
        if (::poll(&waiting, 1, 500) <= 0) break;
        const size_t n = a->receive(burst);
        for (const RxPacket& got : std::span(burst).first(n)) {
          if (got.frame.size() < sent.size() || got.frame[12] != 0x81) continue;
          seen = true;
          EXPECT_EQ(got.frame.size(), packet.size());
          EXPECT_TRUE(std::ranges::equal(got.frame.first(sent.size()), sent));
          EXPECT_TRUE(std::ranges::equal(got.frame.subspan(sent.size()), payload));
          ASSERT_NE(got.offload, nullptr);
          EXPECT_EQ(got.offload->checksum_state(), ChecksumState::kPartial);
          EXPECT_EQ(got.offload->checksum_start, packet.l4_offset);
        }
        a->release();
      }
      EXPECT_TRUE(seen);
    }
  }
}

TEST(AfPacket, PortsSayWhichInterfaceOfTheKernelTheyAre) {
  FAIRLEAD_REQUIRE_NAMESPACES();
  NamespacePair namespaces;
  namespaces.enter_b();
  const std::unique_ptr<Port> port = open_port({.interface = "fl-b"});
  EXPECT_GT(port->info().interface_index, 0);
  EXPECT_EQ(port->info().interface_index, static_cast<int>(::if_nametoindex("fl-b")));
}

TEST(AfPacket, ARingThatCannotBeIsNamedInTheError) {
  FAIRLEAD_REQUIRE_NAMESPACES();
  const NamespacePair namespaces;
  namespaces.enter_b();
  // More slots than the kernel can number: refused at once.
  const auto ports = open_af_packet({.interface = "fl-b", .receive_bytes = size_t{1} << 46});
  ASSERT_FALSE(ports);
  EXPECT_EQ(ports.error().to_string(),
            "packet socket on fl-b: receive ring: PACKET_RX_RING: Invalid argument; "
            "receive_mode socket needs no ring");
}

TEST(AfPacket, MissingInterfaceIsNamedInTheError) {
  FAIRLEAD_REQUIRE_NAMESPACES();
  const NamespacePair namespaces;
  const auto ports = open_af_packet({.interface = "fl-nowhere"});
  ASSERT_FALSE(ports);
  EXPECT_EQ(ports.error().code, Errc::kNoDevice);
  EXPECT_EQ(ports.error().to_string(), "interface fl-nowhere: no such interface");
}

}  // namespace
}  // namespace fairlead::port
