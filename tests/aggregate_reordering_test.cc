// Segments that come early are held in order for as long as AgTimer allows, and what is not in
// sequence otherwise goes on as it came.
#include <algorithm>
#include <cstdio>

#include "base/random.h"
#include "tests/aggregate_harness.h"

namespace fairlead::test {
namespace {

using nic::Aggregate, nic::FlushReason;

struct AggregateReordering : testing::Test {
  /// Sends `count` segments, those at the positions `order` says, in that order.
  void arrive(const std::vector<size_t>& order, size_t size = 1000) {
    std::vector<FrameSpec> specs;
    for (size_t i = 0; i < order.size(); ++i) specs.push_back(sender.next(size));
    for (const size_t at : order) harness.arrive(specs[at]);
  }
  std::vector<size_t> segments() {
    std::vector<size_t> out;
    for (const Delivered& each : harness.take()) out.push_back(each.segments());
    return out;
  }
  Sender sender;
  Harness harness;
};

TEST_F(AggregateReordering, EarlySegmentsJoinWhenTheHoleIsFilled) {
  arrive({0, 2, 1, 5, 4, 3, 6});
  EXPECT_TRUE(harness.delivered.empty());
  harness.flush();
  const auto out = harness.take();
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(out[0].segments(), 7u);
  EXPECT_EQ(harness.aggregator.counters().held, 3u);
}

TEST_F(AggregateReordering, TheFirstOfAnAggregateIsWaitedForToo) {
  arrive({0});
  harness.flush();
  arrive({1, 0});
  harness.flush();
  EXPECT_EQ(segments(), (std::vector<size_t>{1, 2}));
}

TEST_F(AggregateReordering, AHoleIsWaitedForUntilAgTimerAndNotLonger) {
  const FrameSpec first = sender.next(), lost = sender.next(), third = sender.next();
  harness.arrive(first);
  harness.arrive(third);
  harness.wait(microseconds(498));
  EXPECT_TRUE(harness.delivered.empty());
  harness.wait(microseconds(1));
  const auto out = harness.take();
  ASSERT_EQ(out.size(), 2u);
  EXPECT_EQ(out[0].frame, frame_of(first));
  EXPECT_EQ(out[1].frame, frame_of(third));
  EXPECT_EQ(harness.flushed(FlushReason::kTimer), 2u);
  // What comes then is sent on at once, and the rest is in sequence.
  harness.arrive(lost);
  EXPECT_EQ(harness.take().at(0).frame, frame_of(lost));
  arrive({0, 1});
  EXPECT_TRUE(harness.delivered.empty());
  harness.flush();
  EXPECT_EQ(segments(), (std::vector<size_t>{2}));
}

TEST_F(AggregateReordering, WhatIsHeldOutlivesAnAggregateThatIsFull) {
  Harness small({.max_aggregate = 8000, .threshold = 4000});
  std::vector<FrameSpec> specs;
  for (int i = 0; i < 9; ++i) specs.push_back(sender.next());
  for (const size_t at : {0u, 1u, 2u, 5u, 3u}) small.arrive(specs[at]);
  ASSERT_EQ(small.delivered.size(), 1u);  // 0 to 3
  for (const size_t at : {4u, 6u, 7u, 8u}) small.arrive(specs[at]);
  small.flush();
  const auto out = small.take();
  ASSERT_EQ(out.size(), 3u);
  EXPECT_EQ(out[1].segments(), 4u);  // 4 to 7
  EXPECT_EQ(out[2].segments(), 1u);
}

TEST_F(AggregateReordering, WhatTheBufferHasNoRoomForMakesRoom) {
  Harness small({.max_aggregate = 8000, .threshold = 6500});
  std::vector<FrameSpec> specs;
  for (int i = 0; i < 10; ++i) specs.push_back(sender.next());
  for (const size_t at : {0u, 1u, 2u, 3u, 8u}) small.arrive(specs[at]);
  EXPECT_EQ(small.delivered.size(), 1u);
  EXPECT_EQ(small.flushed(FlushReason::kGap), 1u);
  for (const size_t at : {4u, 5u, 6u, 7u}) small.arrive(specs[at]);
  small.flush();
  EXPECT_EQ(small.take().size(), 2u);
}

TEST_F(AggregateReordering, NoMoreIsHeldThanTheBound) {
  std::vector<size_t> order{0};
  for (size_t i = 0; i < Aggregate::kMaxHeld; ++i) order.push_back(2 + i);
  order.push_back(Aggregate::kMaxHeld + 2);
  order.push_back(1);
  arrive(order, 500);
  // The last early one was one too many: all before it left, and it has begun the next.
  const auto out = harness.take();
  ASSERT_EQ(out.size(), 4u);
  EXPECT_EQ(out[1].segments(), Aggregate::kMaxHeld);
  EXPECT_EQ(harness.flushed(FlushReason::kGap), 2u);
  EXPECT_EQ(harness.flushed(FlushReason::kOldData), 2u);
}

TEST_F(AggregateReordering, ADuplicateOfWhatIsHeldIsNotLost) {
  std::vector<FrameSpec> specs{sender.next(), sender.next(), sender.next()};
  harness.arrive(specs[0]);
  harness.arrive(specs[2]);
  harness.arrive(specs[2]);
  const auto out = harness.take();
  ASSERT_EQ(out.size(), 3u);
  EXPECT_EQ(out[0].frame, frame_of(specs[0]));
  EXPECT_EQ(out[1].frame, frame_of(specs[2]));
  EXPECT_EQ(out[2].frame, frame_of(specs[2]));
}

TEST_F(AggregateReordering, WhatReachesIntoHeldDataIsNotLost) {
  std::vector<FrameSpec> specs{sender.next(), sender.next(), sender.next()};
  FrameSpec wide = specs[1];
  wide.segment.payload.resize(1500);
  for (const FrameSpec& spec : {specs[0], specs[2], wide}) harness.arrive(spec);
  const auto out = harness.take();
  ASSERT_EQ(out.size(), 3u);
  EXPECT_EQ(out[2].frame, frame_of(wide));
}

TEST_F(AggregateReordering, PushAndShortSegmentsCountWhenTheirTurnComes) {
  std::vector<FrameSpec> specs{sender.next(), sender.next(), sender.next(), sender.next(300)};
  specs[2].segment.flags |= 8;
  for (const size_t at : {0u, 3u, 2u, 1u}) harness.arrive(specs[at]);
  EXPECT_EQ(segments(), (std::vector<size_t>{3}));
  harness.flush();
  EXPECT_EQ(segments(), (std::vector<size_t>{1}));
}

TEST_F(AggregateReordering, AMismatchThatFillsTheHoleLeavesInSequence) {
  std::vector<FrameSpec> specs{sender.next(), sender.next(), sender.next()};
  specs[1].segment.traffic_class = 3;  // marked by a router
  for (const size_t at : {0u, 2u, 1u}) harness.arrive(specs[at]);
  const auto out = harness.take();
  ASSERT_EQ(out.size(), 3u);
  for (size_t i = 0; i < 3; ++i) EXPECT_EQ(out[i].frame, frame_of(specs[i]));
}

TEST_F(AggregateReordering, ASegmentSentAgainWithANewIpIdLeavesInSequence) {
  std::vector<FrameSpec> specs{sender.next(), sender.next(), sender.next(), sender.next()};
  specs[1].ip_id = static_cast<uint16_t>(specs[1].ip_id + 100);
  for (const size_t at : {0u, 2u, 3u, 1u}) harness.arrive(specs[at]);
  harness.flush();
  const auto out = harness.take();
  ASSERT_EQ(out.size(), 3u);
  EXPECT_EQ(out[1].frame, frame_of(specs[1]));
  EXPECT_EQ(out[2].segments(), 2u);
}

TEST_F(AggregateReordering, ARetransmissionPassesAtOnceAndARunOfThemIsMerged) {
  std::vector<FrameSpec> specs;
  for (int i = 0; i < 8; ++i) specs.push_back(sender.next());
  for (const FrameSpec& spec : specs) harness.arrive(spec);
  harness.flush();
  harness.take();
  harness.arrive(specs[1]);
  EXPECT_EQ(segments(), (std::vector<size_t>{1}));
  for (const size_t at : {2u, 3u, 4u}) harness.arrive(specs[at]);
  EXPECT_TRUE(harness.delivered.empty());
  harness.flush();
  EXPECT_EQ(segments(), (std::vector<size_t>{3}));
}

TEST_F(AggregateReordering, AForgedSequenceNumberDoesNotEndAggregationForGood) {
  arrive({0, 1});
  FrameSpec forged = Sender{sender}.next();
  forged.segment.seq += 1'000'000'000;
  harness.arrive(forged);
  harness.flush();
  harness.take();
  arrive({0, 1, 2, 3, 4});
  harness.flush();
  EXPECT_EQ(segments(), (std::vector<size_t>{1, 4}));
}

TEST_F(AggregateReordering, FivePercentDoNotMatter) {
  constexpr size_t kPackets = 20'000;
  Rng rng(1);
  // One in twenty is overtaken by one to three others.
  std::vector<std::pair<size_t, FrameSpec>> line;
  for (size_t i = 0; i < kPackets; ++i) {
    line.emplace_back(i * 2 + (rng.chance(0.05) ? 1 + 2 * (1 + rng.below(3)) : 0),
                      sender.next(1448));
  }
  std::ranges::sort(line, {}, &std::pair<size_t, FrameSpec>::first);
  Harness in_order_only({.max_held = 0});
  for (const auto& [at, spec] : line) {
    harness.arrive(spec);
    in_order_only.arrive(spec);
  }
  harness.flush();
  in_order_only.flush();
  std::printf("packets per aggregate: %.1f; in order only: %.1f\n",
              kPackets * 1.0 / static_cast<double>(harness.delivered.size()),
              kPackets * 1.0 / static_cast<double>(in_order_only.delivered.size()));
  EXPECT_GT(in_order_only.delivered.size() * 10, kPackets);
  const auto out = harness.take();
  EXPECT_LT(out.size() * 40, kPackets);
  EXPECT_GT(harness.aggregator.counters().held, kPackets / 20);
  // In sequence, which it was not before.
  for (size_t i = 1; i < out.size(); ++i) {
    ASSERT_EQ(out[i].seq, out[i - 1].seq + static_cast<uint32_t>(out[i - 1].payload.size()));
  }
}

}  // namespace
}  // namespace fairlead::test
