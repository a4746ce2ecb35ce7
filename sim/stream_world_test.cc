// Seeds of adverse worlds. FAIRLEAD_SEEDS sets how many (default 300), FAIRLEAD_SEED runs one.
#include "sim/stream_world.h"

#include <gtest/gtest.h>

#include <cstdlib>

namespace fairlead::sim {
namespace {

uint64_t from_environment(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text != nullptr ? std::strtoull(text, nullptr, 10) : otherwise;
}

/// Of many worlds, summed up.
struct Totals {
  uint64_t worlds = 0;
  uint64_t errors = 0;  // connections that ended with a named error
  uint64_t bytes = 0;
  uint64_t ack_holds_ended = 0;
  uint64_t spliced = 0;
  uint64_t confirmed = 0;
  uint64_t torn_down = 0;
};

/// One world a seed, with what `shape` makes of its options. Stops at the first failure.
template <typename Shape>
void run_seeds(const Shape& shape, Totals& sum) {
  uint64_t first = 1, last = from_environment("FAIRLEAD_SEEDS", 300);
  if (uint64_t one = from_environment("FAIRLEAD_SEED", 0)) first = last = one;
  for (uint64_t seed = first; seed <= last; ++seed) {
    WorldOptions o;
    o.seed = seed;
    shape(o);
    const WorldResult r = run_world(o);
    ASSERT_EQ(r.failure, "") << "FAIRLEAD_SEED=" << seed;
    if (r.errors == 0) {
      ASSERT_EQ(r.splices_idle, 0u) << "the end of a splice was not seen, FAIRLEAD_SEED=" << seed;
    }
    ++sum.worlds;
    sum.errors += static_cast<uint64_t>(r.errors);
    sum.bytes += r.bytes;
    sum.ack_holds_ended += r.server.ack_holds_ended;
    sum.spliced += r.spliced;
    sum.confirmed += r.confirmed;
    sum.torn_down += r.torn_down;
  }
}

/// Named errors should be rare: in one of so many worlds, and two more.
void expect_few_errors(const Totals& sum, uint64_t one_in) {
  EXPECT_LE(sum.errors, sum.worlds / one_in + 2) << "named errors should be rare";
}

TEST(StreamWorld, ACleanLinkCarriesBothStreams) {
  for (bool offload : {false, true}) {
    for (bool ipv6 : {false, true}) {
      WorldOptions o;
      o.random_impairment = false;
      o.segmentation_offload = offload;
      o.ipv6 = ipv6;
      o.upload = 3'000'000;
      o.download = 1'000'000;
      WorldResult r = run_world(o);
      EXPECT_EQ(r.failure, "");
      EXPECT_EQ(r.errors, 0);
      EXPECT_EQ(r.bytes, 4'000'000u);
      EXPECT_EQ(r.client.retransmitted_segments, 0u);
      EXPECT_EQ(r.client.connections_reset_by_peer + r.server.connections_reset_by_peer, 0u);
    }
  }
}

/// Window shifts a SYN may offer; the largest is coarse, 16 KiB a step.
constexpr std::optional<uint8_t> kShifts[] = {{}, 0, 3, 14};

TEST(StreamWorld, WhateverIsOfferedACleanLinkCarriesBothStreams) {
  for (std::optional<uint8_t> shift : kShifts) {
    for (int bits = 0; bits < 4; ++bits) {
      WorldOptions o;
      o.random_impairment = false;
      o.upload = 1'000'000;
      o.download = 3'000'000;
      o.offer = {.timestamps = (bits & 1) != 0,
                 .sack = (bits & 2) != 0,
                 .window_shift = shift,
                 .mss_max = 1400};
      WorldResult r = run_world(o);
      EXPECT_EQ(r.failure, "");
      EXPECT_EQ(r.errors, 0);
      EXPECT_EQ(r.bytes, 4'000'000u);
      EXPECT_EQ(r.server.retransmitted_segments, 0u);
    }
  }
}

TEST(StreamWorld, AdverseLinksDeliverTheExactStreamOrANamedError) {
  Totals sum;
  run_seeds([](WorldOptions&) {}, sum);
  RecordProperty("errors", static_cast<int>(sum.errors));
  RecordProperty("megabytes", static_cast<int>(sum.bytes >> 20));
  expect_few_errors(sum, 20);
}

TEST(StreamWorld, ARelayForwardsBothStreamsExactly) {
  Totals sum;
  run_seeds([](WorldOptions& o) { o.relay = true; }, sum);
  expect_few_errors(sum, 10);
}

TEST(StreamWorld, SplicingAtAnyMomentLeavesBothStreamsExact) {
  Totals sum;
  run_seeds([](WorldOptions& o) { o.relay = o.splice = true; }, sum);
  RecordProperty("spliced", static_cast<int>(sum.spliced));
  expect_few_errors(sum, 10);
  EXPECT_GE(sum.spliced, sum.worlds / 2) << "most pairs should have become one";
}

TEST(StreamWorld, SplicesThatGoDownToTheKernelLeaveBothStreamsExactAndTheirEndIsSeen) {
  Totals sum;
  run_seeds([](WorldOptions& o) { o.relay = o.splice = o.kernel_seat = true; }, sum);
  RecordProperty("spliced", static_cast<int>(sum.spliced));
  expect_few_errors(sum, 10);
  EXPECT_GE(sum.spliced, sum.worlds / 2) << "most pairs should have become one";
}

TEST(StreamWorld, TheEndOfASpliceIsSeenHoweverSoonItComes) {
  Totals sum;
  run_seeds(
      [](WorldOptions& o) {
        Rng rng(o.seed);
        o.relay = o.splice = o.kernel_seat = true;
        o.random_impairment = false;
        o.upload = 1 + rng.below(2000);
        o.download = 2900 + rng.below(5000);
        o.connections = 10;
        o.answer_close = true;
        o.read_lag = microseconds(static_cast<int64_t>(1 + rng.below(50)));
        for (LinkOptions* link : {&o.there, &o.back}) {
          link->delay = microseconds(static_cast<int64_t>(1 + rng.below(50)));
          link->jitter = microseconds(static_cast<int64_t>(1 + rng.below(50)));
        }
      },
      sum);
  EXPECT_EQ(sum.errors, 0u);
  EXPECT_GE(sum.spliced, sum.worlds) << "most pairs should have become one";
}

TEST(StreamWorld, WhateverIsOfferedSplicesLeaveBothStreamsExact) {
  uint64_t spliced = 0;
  for (std::optional<uint8_t> shift : kShifts) {
    for (int bits = 0; bits < 8; ++bits) {
      WorldOptions o;
      o.seed = static_cast<uint64_t>(bits) + 1;
      o.random_impairment = false;
      o.relay = o.splice = true;
      o.upload = o.download = 3'000'000;
      o.offer = {.timestamps = (bits & 1) != 0,
                 .sack = (bits & 2) != 0,
                 .ecn = (bits & 4) != 0,
                 .window_shift = shift,
                 .mss_max = 1400};
      WorldResult r = run_world(o);
      EXPECT_EQ(r.failure, "");
      EXPECT_EQ(r.errors, 0);
      EXPECT_EQ(r.splices_refused, 0u);
      EXPECT_EQ(r.splices_idle, 0u);
      spliced += r.spliced;
    }
  }
  EXPECT_GE(spliced, std::size(kShifts) * 4) << "at least half of them";
}

TEST(StreamWorld, WhateverIsOfferedAdverseLinksDeliverTheExactStreamOrANamedError) {
  Totals sum;
  run_seeds(
      [](WorldOptions& o) {
        Rng rng(o.seed);
        o.offer = {.timestamps = rng.chance(0.5),
                   .sack = rng.chance(0.5),
                   .ecn = rng.chance(0.5),
                   .window_shift = kShifts[rng.below(std::size(kShifts))],
                   .mss_max = static_cast<uint16_t>(500 + rng.below(1500)),
                   .isn = SeqNum(static_cast<uint32_t>(rng.next()))};
      },
      sum);
  expect_few_errors(sum, 20);
}

TEST(StreamWorld, AServerThatHoldsBackItsFirstAcksGetsTheExactStreamAndAnswers) {
  Totals sum;
  run_seeds([](WorldOptions& o) { o.hold_first_acks = true; }, sum);
  EXPECT_GE(sum.ack_holds_ended, sum.worlds) << "connections should have begun so";
  expect_few_errors(sum, 20);
}

TEST(StreamWorld, WithTheNicStackAtBothEndsOfConnectionsStreamsAreExact) {
  Totals sum;
  run_seeds([](WorldOptions& o) { o.nic_stack = true; }, sum);
  EXPECT_GE(sum.confirmed, sum.worlds) << "one to three connections a world";
  EXPECT_GE(sum.torn_down, sum.worlds / 2);
  expect_few_errors(sum, 20);
}

TEST(StreamWorld, TwoRunsOfOneSeedAreIdentical) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    WorldOptions o;
    o.seed = seed;
    EXPECT_EQ(run_world(o).hash, run_world(o).hash) << seed;
  }
}

}  // namespace
}  // namespace fairlead::sim
