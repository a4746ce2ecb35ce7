// AggregatingPort and Bump on memory ports.
#include "nic/aggregate/aggregating_port.h"

#include <gtest/gtest.h>

#include "port/memory.h"
#include "service/aggregator/bump.h"
#include "tests/aggregate_harness.h"

namespace fairlead::test {
namespace {

using nic::AggregatingPort;
using port::MemoryPort, port::RxPacket;

Time now_read;
Time read_now() { return now_read; }

port::PortInfo info(const char* name) {
  return {.name = name, .mac = {}, .checksum_offload = true, .max_gso_bytes = 65535};
}

/// What `port` has now, in bursts of `burst`.
std::vector<Delivered> receive_all(port::Port& port, size_t burst = 64) {
  std::vector<Delivered> out;
  std::vector<RxPacket> packets(burst);
  while (const size_t n = port.receive(packets)) {
    for (const RxPacket& packet : std::span(packets).first(n)) {
      out.push_back(read_frame(packet.frame));
      out.back().gso_size = packet.gso_size;
      out.back().checksum = packet.checksum;
    }
    port.release();
  }
  port.release();
  return out;
}

struct AggregatingPortTest : testing::Test {
  AggregatingPortTest() {
    now_read = kHarnessStart;
    wire = MemoryPort::make_pair(info("wire"), info("inner"));
  }
  AggregatingPort make(AggregatingPort::WhenIdle when_idle, nic::AggregateConfig config = {}) {
    config.more_buffers = 4;
    return {std::move(wire.b), {.aggregate = config, .when_idle = when_idle, .clock = read_now}};
  }
  void arrive(const FrameSpec& spec) { EXPECT_TRUE(wire.b_in(frame_of(spec))); }

  struct Wire : MemoryPort::Pair {
    Wire& operator=(Pair pair) {
      inner = pair.b.get();
      static_cast<Pair&>(*this) = std::move(pair);
      return *this;
    }
    bool b_in(ByteSpan frame) { return inner->inject(frame); }
    MemoryPort* inner = nullptr;
  } wire;
  Sender sender;
};

TEST_F(AggregatingPortTest, WhatIsInTheQueueLeavesTogetherAndDoesNotWait) {
  AggregatingPort port = make(AggregatingPort::WhenIdle::kSend);
  PacketBytes sent;
  for (int i = 0; i < 100; ++i) {  // more than one burst
    const FrameSpec spec = sender.next(100);
    sent = std::move(sent) + spec.segment.payload;
    arrive(spec);
  }
  const auto out = receive_all(port);
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(out[0].payload, sent);
  EXPECT_EQ(out[0].gso_size, 100);
  EXPECT_EQ(port.counters().rx_packets, 100u);
}

TEST_F(AggregatingPortTest, AnAggregateIsLentInABufferThatMayBeTaken) {
  AggregatingPort port = make(AggregatingPort::WhenIdle::kSend);
  std::vector<port::Buffer*> taken;
  std::vector<PacketBytes> sent;
  for (int round = 0; round < 10; ++round) {  // more often than there are buffers to take
    sent.emplace_back();
    for (int i = 0; i < 20; ++i) {
      const FrameSpec spec = sender.next(1000);
      sent.back() = std::move(sent.back()) + spec.segment.payload;
      arrive(spec);
    }
    std::array<RxPacket, 4> burst;
    ASSERT_EQ(port.receive(burst), 1u);
    const ByteSpan payload = burst[0].frame.last(20'000);
    port::Buffer* buffer = take_buffer(burst[0].buffer, payload);
    if (buffer == nullptr) {
      EXPECT_TRUE(std::ranges::equal(payload, sent.back()));
      sent.pop_back();
    } else {
      taken.push_back(buffer);
    }
    port.release();
  }
  EXPECT_GE(taken.size(), 2u);
  EXPECT_LT(taken.size(), 10u);
  for (size_t i = 0; i < taken.size(); ++i) {
    EXPECT_TRUE(std::ranges::equal(taken[i]->bytes(), sent[i]));
    taken[i]->pool->give_back(*taken[i]);
  }
}

TEST_F(AggregatingPortTest, WhatDoesNotFitABurstComesWithTheNext) {
  AggregatingPort port = make(AggregatingPort::WhenIdle::kSend);
  std::vector<FrameSpec> specs;
  for (uint16_t i = 0; i < 20; ++i) {
    sender.segment.from.port = i;
    specs.push_back(sender.next(100));
    specs.back().segment.flags = i % 2 == 0 ? 0x18 : 0x02;  // PSH: sent at once; SYN: passes
    arrive(specs.back());
  }
  const auto out = receive_all(port, 3);
  ASSERT_EQ(out.size(), specs.size());
  for (size_t i = 0; i < specs.size(); ++i) EXPECT_EQ(out[i].frame, frame_of(specs[i]));
}

TEST_F(AggregatingPortTest, WaitingEndsWithAgTimer) {
  AggregatingPort port = make(AggregatingPort::WhenIdle::kWait);
  arrive(sender.next());
  EXPECT_TRUE(receive_all(port).empty());
  now_read += microseconds(499);
  arrive(sender.next());
  EXPECT_TRUE(receive_all(port).empty());
  ASSERT_TRUE(port.next_deadline().has_value());
  now_read += microseconds(1);
  EXPECT_LE(*port.next_deadline(), now_read);
  EXPECT_EQ(receive_all(port).at(0).segments(), 2u);
}

struct BumpTest : testing::Test {
  BumpTest() { now_read = kHarnessStart; }

  MemoryPort::Pair network = MemoryPort::make_pair(info("network"), info("from"));
  MemoryPort::Pair host = MemoryPort::make_pair(info("host"), info("to"));
  MemoryPort* from = network.b.get();
  MemoryPort* to = host.b.get();
  Bump bump{{.from = std::move(network.b), .to = std::move(host.b)}, {}, read_now};
  Sender sender;
};

TEST_F(BumpTest, TheHostGetsAggregatesItsInterfaceCompletes) {
  for (int i = 0; i < 5; ++i) from->inject(frame_of(sender.next()));
  FrameSpec tagged = Sender::v6().next();
  tagged.tags = {7};
  from->inject(frame_of(tagged));
  EXPECT_FALSE(bump.turn());
  EXPECT_TRUE(receive_all(*host.a).empty());
  now_read += microseconds(500);
  bump.turn();
  const auto out = receive_all(*host.a);
  ASSERT_EQ(out.size(), 2u);
  EXPECT_EQ(out[0].segments(), 5u);
  EXPECT_EQ(out[0].checksum, port::ChecksumState::kPartial);
  EXPECT_EQ(fault_of(out[0].frame, true), "");
  EXPECT_EQ(out[1].flow, read_frame(frame_of(tagged)).flow);
  EXPECT_EQ(bump.statistics().aggregate.packets_in, 6u);
}

TEST_F(BumpTest, TheOtherWayFramesPassAsTheyAre) {
  const PacketBytes arp{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1};
  const PacketBytes segment = frame_of(sender.next());
  to->inject(arp);
  to->inject(segment);
  EXPECT_TRUE(bump.turn());
  const auto out = receive_all(*network.a);
  ASSERT_EQ(out.size(), 2u);
  EXPECT_EQ(out[0].frame, arp);
  EXPECT_EQ(out[1].frame, segment);
  EXPECT_FALSE(bump.turn());
}

}  // namespace
}  // namespace fairlead::test
