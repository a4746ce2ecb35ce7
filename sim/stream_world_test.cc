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
  uint64_t first = 1, last = from_environment("FAIRLEAD_SEEDS", 300);
  if (uint64_t one = from_environment("FAIRLEAD_SEED", 0)) first = last = one;
  uint64_t errors = 0, bytes = 0;
  for (uint64_t seed = first; seed <= last; ++seed) {
    WorldOptions o;
    o.seed = seed;
    WorldResult r = run_world(o);
    errors += static_cast<uint64_t>(r.errors);
    bytes += r.bytes;
    ASSERT_EQ(r.failure, "") << "FAIRLEAD_SEED=" << seed;
  }
  RecordProperty("errors", static_cast<int>(errors));
  RecordProperty("megabytes", static_cast<int>(bytes >> 20));
  EXPECT_LE(errors, (last - first + 1) / 20 + 2) << "named errors should be rare";
}

TEST(StreamWorld, ARelayForwardsBothStreamsExactly) {
  uint64_t first = 1, last = from_environment("FAIRLEAD_SEEDS", 300);
  if (uint64_t one = from_environment("FAIRLEAD_SEED", 0)) first = last = one;
  uint64_t errors = 0;
  for (uint64_t seed = first; seed <= last; ++seed) {
    WorldOptions o;
    o.seed = seed;
    o.relay = true;
    WorldResult r = run_world(o);
    errors += static_cast<uint64_t>(r.errors);
    ASSERT_EQ(r.failure, "") << "FAIRLEAD_SEED=" << seed;
  }
  EXPECT_LE(errors, (last - first + 1) / 10 + 2) << "named errors should be rare";
}

TEST(StreamWorld, SplicingAtAnyMomentLeavesBothStreamsExact) {
  uint64_t first = 1, last = from_environment("FAIRLEAD_SEEDS", 300);
  if (uint64_t one = from_environment("FAIRLEAD_SEED", 0)) first = last = one;
  uint64_t errors = 0, spliced = 0, idle = 0;
  for (uint64_t seed = first; seed <= last; ++seed) {
    WorldOptions o;
    o.seed = seed;
    o.relay = o.splice = true;
    WorldResult r = run_world(o);
    errors += static_cast<uint64_t>(r.errors);
    spliced += r.spliced;
    idle += r.splices_idle;
    ASSERT_EQ(r.failure, "") << "FAIRLEAD_SEED=" << seed;
  }
  RecordProperty("spliced", static_cast<int>(spliced));
  EXPECT_LE(errors, (last - first + 1) / 10 + 2) << "named errors should be rare";
  EXPECT_LE(idle, spliced / 100) << "the end of nearly every splice should be seen";
  EXPECT_GE(spliced, (last - first + 1) / 2) << "most pairs should have become one";
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
  uint64_t first = 1, last = from_environment("FAIRLEAD_SEEDS", 300);
  if (uint64_t one = from_environment("FAIRLEAD_SEED", 0)) first = last = one;
  uint64_t errors = 0;
  for (uint64_t seed = first; seed <= last; ++seed) {
    Rng rng(seed);
    WorldOptions o;
    o.seed = seed;
    o.offer = {.timestamps = rng.chance(0.5),
               .sack = rng.chance(0.5),
               .ecn = rng.chance(0.5),
               .window_shift = kShifts[rng.below(std::size(kShifts))],
               .mss_max = static_cast<uint16_t>(500 + rng.below(1500)),
               .isn = SeqNum(static_cast<uint32_t>(rng.next()))};
    WorldResult r = run_world(o);
    errors += static_cast<uint64_t>(r.errors);
    ASSERT_EQ(r.failure, "") << "FAIRLEAD_SEED=" << seed;
  }
  EXPECT_LE(errors, (last - first + 1) / 20 + 2) << "named errors should be rare";
}

TEST(StreamWorld, AServerThatHoldsBackItsFirstAcksGetsTheExactStreamAndAnswers) {
  uint64_t first = 1, last = from_environment("FAIRLEAD_SEEDS", 300);
  if (uint64_t one = from_environment("FAIRLEAD_SEED", 0)) first = last = one;
  uint64_t errors = 0, ended = 0;
  for (uint64_t seed = first; seed <= last; ++seed) {
    WorldOptions o;
    o.seed = seed;
    o.hold_first_acks = true;
    WorldResult r = run_world(o);
    errors += static_cast<uint64_t>(r.errors);
    ended += r.server.ack_holds_ended;
    ASSERT_EQ(r.failure, "") << "FAIRLEAD_SEED=" << seed;
  }
  EXPECT_GE(ended, last - first + 1) << "connections should have begun so, one to three a seed";
  EXPECT_LE(errors, (last - first + 1) / 20 + 2) << "named errors should be rare";
}

TEST(StreamWorld, WithTheNicStackAtBothEndsOfConnectionsStreamsAreExact) {
  uint64_t first = 1, last = from_environment("FAIRLEAD_SEEDS", 300);
  if (uint64_t one = from_environment("FAIRLEAD_SEED", 0)) first = last = one;
  uint64_t errors = 0, confirmed = 0, torn_down = 0;
  for (uint64_t seed = first; seed <= last; ++seed) {
    WorldOptions o;
    o.seed = seed;
    o.nic_stack = true;
    WorldResult r = run_world(o);
    errors += static_cast<uint64_t>(r.errors);
    confirmed += r.confirmed;
    torn_down += r.torn_down;
    ASSERT_EQ(r.failure, "") << "FAIRLEAD_SEED=" << seed;
  }
  EXPECT_GE(confirmed, last - first + 1) << "one to three a seed";
  EXPECT_GE(torn_down, (last - first + 1) / 2);
  EXPECT_LE(errors, (last - first + 1) / 20 + 2) << "named errors should be rare";
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
