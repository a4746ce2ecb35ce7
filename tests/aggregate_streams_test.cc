// Random streams through an aggregator, against a naive model: what came, cut into segments, is
// what left; and bounds: no byte waits for longer than AgTimer, no table grows.
#include <algorithm>
#include <cstdio>
#include <map>
#include <set>

#include "base/random.h"
#include "tests/aggregate_harness.h"
#include "tests/aggregate_random_flow.h"

namespace fairlead::test {
namespace {

using nic::AggregateConfig;
using Segments = std::multiset<std::pair<uint32_t, PacketBytes>>;

void expect_counts_add_up(const nic::AggregateCounters& counters) {
  uint64_t sent = counters.simple_packets();
  for (const uint64_t count : counters.flush) sent += count;
  EXPECT_EQ(counters.packets_out, sent);
  EXPECT_EQ(counters.packets_in, counters.packets_out - counters.aggregates + counters.merged);
}

class AggregateStreams : public testing::TestWithParam<uint64_t> {};
INSTANTIATE_TEST_SUITE_P(Seeds, AggregateStreams, testing::Range<uint64_t>(0, 200));

TEST_P(AggregateStreams, WhatLeavesIsWhatCame) {
  Rng rng(GetParam());
  const AggregateConfig config = random_config(rng);
  Harness harness(config);
  std::vector<RandomFlow> flows;
  for (uint16_t i = 0; i < 10; ++i) flows.emplace_back(rng.fork(), i);
  std::map<std::string, Segments> sent, received;
  std::multiset<PacketBytes> whole;  // without payload: unchanged
  size_t active = 1 + rng.below(flows.size());
  for (int i = 0; i < 600; ++i) {
    if (rng.chance(0.02)) active = 1 + rng.below(flows.size());
    const FrameSpec spec = flows[rng.below(active)].next();
    const PacketBytes frame = frame_of(spec);
    const Delivered read = read_frame(frame);
    if (read.payload.empty()) {
      whole.insert(frame);
    } else {
      sent[read.flow].emplace(read.seq, read.payload);
    }
    harness.arrive(spec,
                   rng.chance(0.01) ? milliseconds(rng.below(3000)) : microseconds(rng.below(30)));
  }
  harness.flush();
  uint64_t segments = 0;
  for (const Delivered& out : harness.delivered) {
    ASSERT_LE(out.frame.size() - 14, std::max<size_t>(config.max_aggregate, 1600) + 8);
    segments += out.segments();
    if (out.payload.empty()) {
      const auto at = whole.find(out.frame);
      ASSERT_NE(at, whole.end());
      whole.erase(at);
    }
    for (auto& segment : cut(out)) received[out.flow].insert(std::move(segment));
  }
  EXPECT_TRUE(whole.empty());
  EXPECT_EQ(segments, 600u);
  ASSERT_EQ(received.size(), sent.size());
  for (const auto& [flow, segments_sent] : sent) {
    // The same bytes at the same sequence numbers, cut at the same places, each as often.
    ASSERT_TRUE(received[flow] == segments_sent);
  }
  EXPECT_LE(harness.aggregator.delay().longest, config.ag_timer);
  EXPECT_LE(harness.aggregator.contexts(), config.contexts);
  expect_counts_add_up(harness.aggregator.counters());
}

/// When each byte came and left: the aggregator's own account is not asked.
TEST(AggregateBounds, NoByteWaitsForLongerThanAgTimer) {
  Rng rng(5);
  constexpr Duration kAgTimer = microseconds(200);
  Harness harness({.ag_timer = kAgTimer, .open_aggregates = 4});
  std::vector<RandomFlow> flows;
  for (uint16_t i = 0; i < 10; ++i) flows.emplace_back(rng.fork(), i);
  std::map<std::tuple<std::string, uint32_t, PacketBytes>, std::vector<Time>> came;
  Duration longest{};
  for (int i = 0; i < 30'000; ++i) {
    const FrameSpec spec = flows[rng.below(flows.size())].next();
    harness.wait(microseconds(rng.below(40)));
    const Delivered read = read_frame(frame_of(spec));
    came[{read.flow, read.seq, read.payload}].push_back(harness.now);
    harness.arrive(spec, Duration());
    if (i % 1000 == 999) harness.wait(milliseconds(1));
    for (const Delivered& out : harness.take()) {
      if (out.payload.empty()) continue;
      for (const auto& [seq, payload] : cut(out)) {
        auto& times = came[{out.flow, seq, payload}];
        ASSERT_FALSE(times.empty());
        longest = std::max(longest, out.when - times.front());
        times.erase(times.begin());
      }
    }
  }
  EXPECT_LE(longest, kAgTimer);
  EXPECT_GT(longest, kAgTimer - microseconds(1));
}

TEST(AggregateBounds, AMillionConnectionsPassThroughATableOfTenThousand) {
  constexpr size_t kTable = 10'000;
  constexpr uint32_t kPassing = 1'000'000;
  Harness harness({.del_timer = milliseconds(100), .contexts = kTable, .open_aggregates = 256});
  std::vector<Sender> active(50);
  for (uint16_t i = 0; i < active.size(); ++i) active[i].segment.from.port = i;
  const auto all_active = [&] {
    for (Sender& sender : active) {
      for (int i = 0; i < 10; ++i) harness.arrive(sender.next(100), nanoseconds(10));
    }
  };
  all_active();
  size_t most = 0;
  uint64_t active_out = 0, active_in = 0;
  Sender passing;
  for (uint32_t n = 0; n < kPassing; ++n) {
    passing.segment.from.address = IpAddress::v4(0x0a000000u + n);
    harness.arrive(passing.next(100), microseconds(6));
    if (n % 1000 == 0) {
      harness.wait(milliseconds(1));
      harness.take();
      all_active();
      harness.wait(milliseconds(1));
      active_in += 10 * active.size();
      for (const Delivered& out : harness.take()) active_out += out.segments() > 1 ? 1 : 0;
      most = std::max(most, harness.aggregator.contexts());
    }
  }
  harness.flush();
  const auto& counters = harness.aggregator.counters();
  const uint64_t simple = counters[nic::SimpleReason::kTableFull];
  std::printf("table full for %.1f %% of a million connections\n",
              100.0 * static_cast<double>(simple) / kPassing);
  RecordProperty("simple_path_packets", std::to_string(simple));
  EXPECT_EQ(active_in, active_out * 10);  // every ten of an active one left as one
  EXPECT_EQ(most, kTable);
  EXPECT_GT(simple, 0u);
  EXPECT_LT(simple, kPassing / 2);
  expect_counts_add_up(counters);
}

}  // namespace
}  // namespace fairlead::test
