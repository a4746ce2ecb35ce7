// Short frames that leave in bursts, between two namespaces: none is lost, doubled or overtaken,
// whatever is in the way.
#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "base/random.h"
#include "nic/steering/send_bursts.h"
#include "tests/namespaces.h"
#include "tests/port_frames.h"

namespace fairlead::port {
namespace {

using test::NamespacePair;
using test::open_port;
using test::receive_payload;
using test::tcp_packet;

constexpr uint32_t kUntouched = 77;

class PortBursts : public testing::Test {
 protected:
  void SetUp() override {
    FAIRLEAD_REQUIRE_NAMESPACES();
    namespaces_.emplace();
    namespaces_->enter_a();
    a_ = open_port({.interface = "fl-a"});
    namespaces_->enter_b();
    auto bursts = nic::SendBursts::attach("fl-b", kShards);
    ASSERT_TRUE(bursts) << bursts.error().to_string();
    bursts_ = std::move(*bursts);
    b_ = open_port({.interface = "fl-b", .bursts = bursts_->memory()});
  }

  /// A frame for each payload.
  std::vector<TxPacket> packets_of(const std::vector<std::vector<uint8_t>>& payloads,
                                   bool ipv6 = false) {
    std::vector<TxPacket> out;
    for (const auto& payload : payloads) {
      out.push_back(tcp_packet(*b_, *a_, ipv6, payload));
      if (payload.size() > 1400) out.back().gso_size = 1400;
    }
    return out;
  }

  /// `count` of `size` bytes, each of a value of its own.
  static std::vector<std::vector<uint8_t>> numbered(size_t count, size_t size) {
    std::vector<std::vector<uint8_t>> out;
    for (size_t i = 0; i < count; ++i) out.emplace_back(size, static_cast<uint8_t>(i));
    return out;
  }

  static std::vector<uint8_t> joined(const std::vector<std::vector<uint8_t>>& payloads) {
    std::vector<uint8_t> out;
    for (const auto& payload : payloads) out.insert(out.end(), payload.begin(), payload.end());
    return out;
  }

  /// Of the last burst of b_, the frames that the program put out before the last.
  uint32_t& put_out() { return bursts_->memory()[0].sent; }

  static constexpr unsigned kShards = 2;
  std::optional<NamespacePair> namespaces_;
  std::unique_ptr<nic::SendBursts> bursts_;  // outlives the ports
  std::unique_ptr<Port> a_;
  std::unique_ptr<Port> b_;
};

TEST_F(PortBursts, ABurstLeavesWithOneSystemCallWholeAndInOrder) {
  for (const bool ipv6 : {false, true}) {
    for (const bool offloads : {false, true}) {
      SCOPED_TRACE(testing::Message() << (ipv6 ? "IPv6" : "IPv4") << ", offloads " << offloads);
      namespaces_->set_offloads(offloads);
      const auto payloads = numbered(FL_BURST_FRAMES, 101);
      put_out() = kUntouched;
      EXPECT_EQ(b_->transmit(packets_of(payloads, ipv6)), payloads.size());
      EXPECT_EQ(put_out(), payloads.size() - 1);
      const auto received = receive_payload(*a_, joined(payloads).size());
      EXPECT_EQ(received.payload, joined(payloads));
      EXPECT_EQ(received.frames, payloads.size());
      EXPECT_EQ(received.bad_checksums, 0u);
    }
  }
  EXPECT_EQ(b_->counters().tx_packets, 4u * FL_BURST_FRAMES);
  EXPECT_EQ(b_->counters().tx_bursts, 4u);
  EXPECT_EQ(b_->counters().tx_busy, 0u);
  EXPECT_EQ(b_->counters().tx_dropped, 0u);
}

TEST_F(PortBursts, ShortAndLongFramesLeaveInTheirOrder) {
  Rng rng(1);
  for (size_t round = 0; round < 300; ++round) {
    std::vector<std::vector<uint8_t>> payloads;
    const size_t count = 1 + rng.below(100);
    for (size_t i = 0; i < count; ++i) {
      // Most are short; all lengths round the longest that a burst takes are among them.
      const size_t size = rng.chance(0.1)   ? 1 + rng.below(20'000)
                          : rng.chance(0.2) ? 430 + rng.below(50)
                                            : 1 + rng.below(200);
      payloads.emplace_back(size, static_cast<uint8_t>(rng.below(256)));
    }
    const bool ipv6 = rng.chance(0.5);
    ASSERT_EQ(b_->transmit(packets_of(payloads, ipv6)), count);
    const auto received = receive_payload(*a_, joined(payloads).size());
    ASSERT_EQ(received.payload, joined(payloads)) << "round " << round;
    ASSERT_EQ(received.bad_checksums, 0u);
  }
  EXPECT_EQ(b_->counters().tx_dropped, 0u);
}

TEST_F(PortBursts, FamiliesAndPayloadsInPiecesLeaveInTheirOrder) {
  const auto payloads = numbered(40, 90);
  std::vector<TxPacket> packets;
  for (size_t i = 0; i < payloads.size(); ++i) {
    TxPacket packet = tcp_packet(*b_, *a_, i / 7 % 2 == 1, payloads[i]);
    // Odd pieces, and one checksum in three is complete already.
    packet.payload_count = 3;
    packet.payload[0] = ByteSpan(payloads[i]).first(1);
    packet.payload[1] = ByteSpan(payloads[i]).subspan(1, 33);
    packet.payload[2] = ByteSpan(payloads[i]).subspan(34);
    if (i % 3 == 0) complete_checksum(packet);
    packets.push_back(packet);
  }
  EXPECT_EQ(b_->transmit(packets), packets.size());
  EXPECT_EQ(b_->counters().tx_bursts, 6u);
  const auto received = receive_payload(*a_, joined(payloads).size());
  EXPECT_EQ(received.payload, joined(payloads));
  EXPECT_EQ(received.bad_checksums, 0u);
}

TEST_F(PortBursts, RulesOfNetfilterAtTheEgressSeeEachFrame) {
  const auto payloads = numbered(9, 50);
  EXPECT_EQ(b_->transmit(packets_of(payloads)), 9u);
  EXPECT_EQ(b_->counters().tx_bursts, 1u);
  EXPECT_EQ(receive_payload(*a_, 450).payload, joined(payloads));

  namespaces_->run_in_b(
      "nft 'add table netdev t;"
      " add chain netdev t c { type filter hook egress device fl-b priority 0; };"
      " add rule netdev t c ip length 91 drop'");
  auto mixed = payloads;
  for (size_t i = 0; i < mixed.size(); i += 2) mixed[i].resize(51);
  mixed.emplace_back(50, 99);
  EXPECT_EQ(b_->transmit(packets_of(mixed)), 10u);
  // The last was to take all with it, and took none.
  std::vector<std::vector<uint8_t>> expected{mixed.back()};
  for (const auto& payload : mixed) {
    if (payload.size() == 50) expected.push_back(payload);
  }
  EXPECT_EQ(receive_payload(*a_, joined(expected).size()).payload, joined(expected));
  EXPECT_EQ(b_->counters().tx_bursts, 1u);
  EXPECT_EQ(b_->counters().tx_dropped, 5u);
}

TEST_F(PortBursts, AnMtuThatABurstWouldPassHasNone) {
  namespaces_->run_in_b("ip link set fl-b mtu 400");
  const auto port = open_port({.interface = "fl-b", .bursts = bursts_->memory().subspan(1)});
  const auto payloads = numbered(3, 450);
  EXPECT_EQ(port->transmit(packets_of(payloads)), 3u);
  EXPECT_EQ(port->counters().tx_dropped, 3u);
}

TEST_F(PortBursts, WhatAFullQueueDropsIsCountedAndTheRestIsInOrder) {
  namespaces_->run_in_b("tc qdisc add dev fl-b root tbf rate 20mbit burst 2000 limit 4000");
  const auto payloads = numbered(200, 100);
  EXPECT_EQ(b_->transmit(packets_of(payloads)), payloads.size());
  const auto received = receive_payload(*a_, joined(payloads).size());
  EXPECT_EQ(received.frames, b_->counters().tx_packets);
  EXPECT_EQ(b_->counters().tx_packets + b_->counters().tx_dropped, payloads.size());
  EXPECT_GT(b_->counters().tx_dropped, 0u);
  EXPECT_GT(received.frames, 0u);
  EXPECT_TRUE(std::ranges::is_sorted(received.payload));
  EXPECT_EQ(b_->counters().tx_busy, 0u);
}

TEST_F(PortBursts, WhatTheQueueNeverTakesHoldsNothingUp) {
  namespaces_->run_in_b("tc qdisc add dev fl-b root bfifo limit 400");
  for (const bool in_bursts : {true, false}) {
    const auto port =
        open_port({.interface = "fl-b",
                   .bursts = in_bursts ? bursts_->memory().subspan(1) : std::span<fl_burst>()});
    std::vector<std::vector<uint8_t>> payloads;
    std::vector<uint8_t> short_ones;
    size_t bytes = 0;
    for (size_t i = 0; i < 60; ++i) {
      const bool is_long = i % 3 == 0 || i == 59;
      payloads.emplace_back(is_long ? 420 : 50, static_cast<uint8_t>(i));
      if (is_long) continue;
      short_ones.insert(short_ones.end(), 50, static_cast<uint8_t>(i));
      bytes += 54 + 50;
    }
    EXPECT_EQ(port->transmit(packets_of(payloads)), payloads.size());
    EXPECT_EQ(receive_payload(*a_, short_ones.size()).payload, short_ones);
    EXPECT_EQ(port->counters().tx_packets, 39u);
    EXPECT_EQ(port->counters().tx_dropped, 21u);
    EXPECT_EQ(port->counters().tx_bytes, bytes);
  }
}

TEST_F(PortBursts, InterfaceThatIsDownDropsAndCountsInsteadOfBlocking) {
  const auto payloads = numbered(5, 10);
  namespaces_->run_in_b("ip link set fl-b down");
  EXPECT_EQ(b_->transmit(packets_of(payloads)), 5u);
  EXPECT_EQ(b_->counters().tx_dropped, 5u);
  namespaces_->run_in_b("ip link set fl-b up");
  EXPECT_EQ(b_->transmit(packets_of(payloads)), 5u);
  EXPECT_EQ(b_->counters().tx_packets, 5u);
  EXPECT_EQ(receive_payload(*a_, 50).payload, joined(payloads));
}

TEST_F(PortBursts, WithoutTheProgramEachLeavesByItself) {
  std::vector<fl_burst> nobodys(1);
  const auto port = open_port({.interface = "fl-b", .bursts = nobodys});
  const auto payloads = numbered(30, 20);
  EXPECT_EQ(port->transmit(packets_of(payloads)), 30u);
  // One was to take all with it.
  auto expected = payloads;
  expected.insert(expected.begin(), payloads.back());
  EXPECT_EQ(receive_payload(*a_, 620).payload, joined(expected));
  EXPECT_EQ(port->counters().tx_packets, 30u);
  // It is not tried again.
  EXPECT_EQ(port->transmit(packets_of(payloads)), 30u);
  EXPECT_EQ(receive_payload(*a_, 600).payload, joined(payloads));
}

TEST_F(PortBursts, FramesOfOtherSocketsAreLeftAlone) {
  const auto mine = open_port({.interface = "fl-b", .bursts = bursts_->memory().subspan(1)});
  const auto other = open_port({.interface = "fl-b"});
  for (fl_burst& burst : bursts_->memory()) burst.size = kUntouched;
  const std::vector<std::vector<uint8_t>> payloads{{1, 2, 3}};
  EXPECT_EQ(other->transmit(packets_of(payloads)), 1u);
  EXPECT_EQ(receive_payload(*a_, 3).payload, payloads[0]);
  for (const fl_burst& burst : bursts_->memory()) EXPECT_EQ(burst.size, kUntouched);
  for (fl_burst& burst : bursts_->memory()) burst.size = 0;

  // Each socket has its own.
  put_out() = kUntouched;
  EXPECT_EQ(mine->transmit(packets_of(numbered(3, 5))), 3u);
  EXPECT_EQ(bursts_->memory()[1].sent, 2u);
  EXPECT_EQ(put_out(), kUntouched);
  EXPECT_EQ(receive_payload(*a_, 15).payload, joined(numbered(3, 5)));
}

TEST_F(PortBursts, ThereMayBeAsManySocketsAsShards) {
  const auto bursts = nic::SendBursts::attach("fl-b", FL_BURST_SHARDS);
  ASSERT_TRUE(bursts) << bursts.error().to_string();
  const auto last = open_port({.interface = "fl-b", .bursts = (*bursts)->memory().last(1)});
  EXPECT_EQ(last->transmit(packets_of(numbered(3, 5))), 3u);
  EXPECT_EQ((*bursts)->memory().back().sent, 2u);
  EXPECT_EQ(receive_payload(*a_, 15).payload, joined(numbered(3, 5)));
}

TEST_F(PortBursts, AnInterfaceThatIsNotThereIsNamed) {
  const auto bursts = nic::SendBursts::attach("fl-nowhere", 1);
  ASSERT_FALSE(bursts);
  EXPECT_EQ(bursts.error().to_string(), "interface fl-nowhere: no such interface");
}

}  // namespace
}  // namespace fairlead::port
