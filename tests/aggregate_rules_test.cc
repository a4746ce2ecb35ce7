// What is merged, what is not, and when what was gathered is sent: a case for each rule.
#include <functional>

#include "tests/aggregate_harness.h"

namespace fairlead::test {
namespace {

using nic::Aggregate, nic::AggregateConfig, nic::FlushReason, nic::SimpleReason;

constexpr uint8_t kFin = 1, kSyn = 2, kRst = 4, kPsh = 8, kAck = 16, kUrg = 32, kEce = 64,
                  kCwr = 128;

PacketBytes stamps(uint32_t value, uint32_t echo) { return nops(2) + timestamps(value, echo); }

/// Merged payload of `sent`.
PacketBytes joined(const std::vector<FrameSpec>& sent) {
  PacketBytes out;
  for (const FrameSpec& spec : sent) out = std::move(out) + spec.segment.payload;
  return out;
}

class AggregateFamilies : public testing::TestWithParam<bool> {
 protected:
  Sender sender = GetParam() ? Sender::v6() : Sender{};
  Harness harness;
};
INSTANTIATE_TEST_SUITE_P(Families, AggregateFamilies, testing::Bool(),
                         [](const auto& chosen) { return chosen.param ? "ipv6" : "ipv4"; });

TEST_P(AggregateFamilies, SegmentsInOrderLeaveAsOneLegalPacket) {
  // An odd segment size: sums of every other segment count swapped.
  std::vector<FrameSpec> sent;
  for (uint32_t i = 0; i < 5; ++i) {
    sent.push_back(sender.next(i == 4 ? 778 : 999));
    sent.back().segment.ack = 5 + i;
    sent.back().segment.window = static_cast<uint16_t>(500 + i);
    harness.arrive(sent.back());
  }
  const auto out = harness.take();
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(out[0].payload, joined(sent));
  EXPECT_EQ(out[0].seq, sent[0].segment.seq);
  EXPECT_EQ(out[0].ack, 9u);
  EXPECT_EQ(out[0].window, 504);
  EXPECT_EQ(out[0].flags, kAck);
  EXPECT_EQ(out[0].gso_size, 999);
  EXPECT_EQ(out[0].segments(), 5u);
  EXPECT_EQ(out[0].checksum, port::ChecksumState::kVerified);
  EXPECT_EQ(harness.flushed(FlushReason::kShortSegment), 1u);
}

TEST_P(AggregateFamilies, AgTimerSendsWhatHasBeenGatheredAndNotLater) {
  const Time start = harness.now + microseconds(1);
  const auto first = sender.next();
  harness.arrive(first);
  harness.arrive(sender.next(), microseconds(300));
  harness.wait(microseconds(199));
  EXPECT_TRUE(harness.delivered.empty());
  harness.wait(microseconds(10));
  const auto out = harness.take();
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(out[0].when, start + microseconds(500));
  EXPECT_EQ(out[0].segments(), 2u);
  EXPECT_EQ(harness.flushed(FlushReason::kTimer), 1u);
  EXPECT_EQ(harness.aggregator.delay().longest, microseconds(500));
  EXPECT_EQ(harness.aggregator.delay().total, microseconds(500 + 200));
}

TEST_P(AggregateFamilies, WhoseSegmentsComeFurtherApartThanAgTimerIsNotKeptWaiting) {
  for (int i = 0; i < 2; ++i) {  // two wait in vain, the next ones do not wait
    harness.arrive(sender.next(), microseconds(600));
    EXPECT_TRUE(harness.delivered.empty());
    harness.wait(microseconds(500));
    EXPECT_EQ(harness.take().size(), 1u);
  }
  for (uint64_t sent = 1; sent < 4; ++sent) {
    harness.arrive(sender.next(), microseconds(600));
    EXPECT_EQ(harness.take().size(), 1u);
    EXPECT_EQ(harness.flushed(FlushReason::kSparse), sent);
  }
  // What comes sooner is gathered, and so is the beginning of the next train.
  for (int train = 0; train < 2; ++train) {
    harness.arrive(sender.next(), microseconds(train == 0 ? 500 : 5000));
    harness.arrive(sender.next());
    EXPECT_TRUE(harness.delivered.empty());
    harness.wait(milliseconds(1));
    const auto out = harness.take();
    ASSERT_EQ(out.size(), 1u);
    EXPECT_EQ(out[0].segments(), 2u);
  }
  EXPECT_EQ(harness.flushed(FlushReason::kSparse), 3u);
  EXPECT_EQ(harness.aggregator.delay().longest, microseconds(500));
}

TEST_P(AggregateFamilies, AloneASegmentLeavesByteForByte) {
  auto spec = sender.next();
  spec.segment.options = stamps(0xfffffff0, 7);
  spec.segment.traffic_class = 0x2a;
  spec.segment.flow_label = GetParam() ? 0x12345 : 0;
  spec.segment.ttl = 3;
  spec.tags = {5, 7};
  const PacketBytes frame = frame_of(spec);
  spec.padding = 3;
  harness.arrive(spec);
  harness.wait(milliseconds(1));
  const auto out = harness.take();
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(out[0].frame, frame);
  EXPECT_EQ(out[0].gso_size, 0);
}

TEST_P(AggregateFamilies, TimestampsKeepTheFirstValueAndTheLastEcho) {  // RFC 7323 §4.3
  for (uint32_t i = 0; i < 3; ++i) {
    auto spec = sender.next();
    spec.segment.options = stamps(0xffff'ffff + i, 70 + i);
    harness.arrive(spec);
  }
  harness.flush();
  const auto out = harness.take();
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(out[0].options, stamps(0xffff'ffff, 72));
  EXPECT_EQ(out[0].segments(), 3u);
}

TEST_P(AggregateFamilies, FullSizedSegmentsFillSixtyFourKibibytes) {
  const size_t size = GetParam() ? 1440 : 1460;
  for (int i = 0; i < 100; ++i) harness.arrive(sender.next(size));
  const auto out = harness.take();
  ASSERT_EQ(out.size(), 2u);
  EXPECT_GE(out[0].segments(), 43u);
  EXPECT_LE(out[0].frame.size(), 14u + 65535u);
  EXPECT_EQ(out[0].segments(), out[1].segments());
  EXPECT_EQ(harness.flushed(FlushReason::kFull), 2u);
}

/// What makes the last of three packets go separately; the first two are merged.
struct Difference {
  const char* name;
  FlushReason reason;
  std::function<void(FrameSpec&)> change;
  bool v4 = true;
  bool v6 = true;
  bool gathers = true;  // the packet itself is gathered again; else it passes at once
};

void PrintTo(const Difference& difference, std::ostream* out) { *out << difference.name; }

Difference flag(const char* name, uint8_t flag) {
  return {.name = name,
          .reason = FlushReason::kFlags,
          .change = [flag](FrameSpec& f) { f.segment.flags |= flag; },
          .gathers = false};
}

const std::vector<Difference> kDifferences{
    flag("syn", kSyn),
    flag("rst", kRst),
    flag("urg", kUrg),
    flag("ece", kEce),
    flag("cwr", kCwr),
    {"no_ack", FlushReason::kFlags, [](auto& f) { f.segment.flags = kPsh; }, true, true, false},
    {"urgent_pointer", FlushReason::kFlags, [](auto& f) { f.segment.urgent = 1; }, true, true,
     false},
    {"no_payload", FlushReason::kNoPayload, [](auto& f) { f.segment.payload.clear(); }, true, true,
     false},
    {"pure_fin", FlushReason::kFin,
     [](auto& f) {
       f.segment.payload.clear();
       f.segment.flags |= kFin;
     },
     true, true, false},
    {"ttl", FlushReason::kTtl, [](auto& f) { f.segment.ttl = 63; }},
    {"dscp", FlushReason::kTos, [](auto& f) { f.segment.traffic_class = 0x80; }},
    {"low_dscp", FlushReason::kTos, [](auto& f) { f.segment.traffic_class = 0x08; }},
    {"congestion_experienced", FlushReason::kTos, [](auto& f) { f.segment.traffic_class = 3; }},
    {"flow_label_high", FlushReason::kFlowLabel, [](auto& f) { f.segment.flow_label = 0x80000; },
     false},
    {"flow_label_low", FlushReason::kFlowLabel, [](auto& f) { f.segment.flow_label = 1; }, false},
    {"dont_fragment", FlushReason::kDontFragment, [](auto& f) { f.fragment = 0; }, true, false},
    {"ip_id_skips", FlushReason::kIpId, [](auto& f) { ++f.ip_id; }, true, false},
    {"ip_id_stays_once_it_counted", FlushReason::kIpId, [](auto& f) { --f.ip_id; }, true, false},
    {"mac", FlushReason::kLinkHeader, [](auto& f) { f.mac = 2; }},
    {"appears_timestamp", FlushReason::kOptions, [](auto& f) { f.segment.options = stamps(1, 2); }},
    {"sack", FlushReason::kOptions, [](auto& f) { f.segment.options = nops(2) + sack({1, 2}); },
     true, true, false},
    {"nops", FlushReason::kOptions, [](auto& f) { f.segment.options = nops(12); }, true, true,
     false},
    {"ack_goes_back", FlushReason::kAck, [](auto& f) { f.segment.ack = 4; }},
    {"longer", FlushReason::kLongerSegment, [](auto& f) { f.segment.payload.resize(1001); }},
    {"sent_again", FlushReason::kOldData, [](auto& f) { f.segment.seq -= 1000; }, true, true,
     false},
    {"overlaps", FlushReason::kOldData, [](auto& f) { f.segment.seq -= 1; }, true, true, false},
    {"far_ahead", FlushReason::kGap, [](auto& f) { f.segment.seq += 100'000; }},
};

class MustNotMerge : public testing::TestWithParam<std::tuple<Difference, bool>> {};
INSTANTIATE_TEST_SUITE_P(EveryRule, MustNotMerge,
                         testing::Combine(testing::ValuesIn(kDifferences), testing::Bool()),
                         [](const auto& chosen) {
                           return std::string(std::get<0>(chosen.param).name) +
                                  (std::get<1>(chosen.param) ? "_ipv6" : "_ipv4");
                         });

TEST_P(MustNotMerge, WhatWasGatheredIsSentFirst) {
  const auto& [difference, v6] = GetParam();
  if (v6 ? !difference.v6 : !difference.v4) return;
  Harness harness;
  Sender sender = v6 ? Sender::v6() : Sender{};
  const std::vector<FrameSpec> sent{sender.next(), sender.next()};
  for (const FrameSpec& spec : sent) harness.arrive(spec);
  FrameSpec other = sender.next();
  difference.change(other);
  harness.arrive(other);
  auto out = harness.take();
  ASSERT_EQ(out.size(), difference.gathers ? 1u : 2u);
  EXPECT_EQ(out[0].payload, joined(sent));
  EXPECT_EQ(harness.flushed(difference.reason), out.size());
  if (difference.gathers) {
    harness.flush();
    out.push_back(harness.take().at(0));
  }
  EXPECT_EQ(out[1].frame, frame_of(other));
  EXPECT_EQ(out[1].gso_size, 0);
}

TEST(AggregateRules, ChangedTimestampsEndAnAggregateOnlyWhenTheyGoBack) {
  Harness harness;
  Sender sender;
  for (const uint32_t value : {7u, 7u, 9u, 8u}) {
    auto spec = sender.next();
    spec.segment.options = stamps(value, 1);
    harness.arrive(spec);
  }
  EXPECT_EQ(harness.take().at(0).segments(), 3u);
  EXPECT_EQ(harness.flushed(FlushReason::kTimestamp), 1u);
}

TEST(AggregateRules, VlansAndPortsAreConnectionsOfTheirOwn) {
  Harness harness;
  Sender plain;
  Sender other = plain;
  other.segment.from.port = 1001;
  for (int i = 0; i < 3; ++i) {
    FrameSpec spec = plain.next();
    harness.arrive(spec);
    spec.tags = {5};
    harness.arrive(spec);
    spec.tags = {5, 5};
    harness.arrive(spec);
    harness.arrive(other.next());
  }
  EXPECT_TRUE(harness.delivered.empty());
  EXPECT_EQ(harness.aggregator.contexts(), 4u);
  harness.flush();
  const auto out = harness.take();
  ASSERT_EQ(out.size(), 4u);
  for (const Delivered& each : out) EXPECT_EQ(each.segments(), 3u);
}

TEST(AggregateRules, VlanPriorityBelongsToTheLinkHeader) {
  Harness harness;
  Sender sender;
  for (const uint16_t tag : {uint16_t{0x0005}, uint16_t{0x6005}}) {
    FrameSpec spec = sender.next();
    spec.tags = {tag};
    harness.arrive(spec);
  }
  EXPECT_EQ(harness.delivered.size(), 1u);
  EXPECT_EQ(harness.flushed(FlushReason::kLinkHeader), 1u);
}

TEST(AggregateRules, IpIdMayStayWithDfOnly) {  // RFC 6864 §4.1; inet_gro_flush() of Linux
  for (const bool dont_fragment : {true, false}) {
    Harness harness;
    Sender sender;
    for (int i = 0; i < 3; ++i) {
      FrameSpec spec = sender.next();
      spec.ip_id = 77;
      spec.fragment = dont_fragment ? 0x4000 : 0;
      harness.arrive(spec);
    }
    harness.flush();
    EXPECT_EQ(harness.take().size(), dont_fragment ? 1u : 3u);
  }
}

TEST(AggregateRules, IpIdThatStayedMayNotCountThen) {
  Harness harness;
  Sender sender;
  for (const uint16_t id : {uint16_t{7}, uint16_t{7}, uint16_t{8}}) {
    FrameSpec spec = sender.next();
    spec.ip_id = id;
    harness.arrive(spec);
  }
  EXPECT_EQ(harness.take().at(0).segments(), 2u);
  EXPECT_EQ(harness.flushed(FlushReason::kIpId), 1u);
}

TEST(AggregateRules, CongestionExperiencedIsGatheredAmongItsOwn) {
  Harness harness;
  Sender sender;
  for (int i = 0; i < 4; ++i) {
    FrameSpec spec = sender.next();
    spec.segment.traffic_class = i < 2 ? 2 : 3;
    harness.arrive(spec);
  }
  harness.flush();
  const auto out = harness.take();
  ASSERT_EQ(out.size(), 2u);
  EXPECT_EQ(out[0].segments(), 2u);
  EXPECT_EQ(out[1].segments(), 2u);
}

TEST(AggregateRules, PushEndsAnAggregateAndIsKept) {
  Harness harness;
  Sender sender;
  harness.arrive(sender.next());
  FrameSpec spec = sender.next();
  spec.segment.flags |= kPsh;
  harness.arrive(spec);
  const auto out = harness.take();
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(out[0].segments(), 2u);
  EXPECT_EQ(out[0].flags, kAck | kPsh);
  EXPECT_EQ(harness.flushed(FlushReason::kPush), 1u);
}

TEST(AggregateRules, PushIsCarriedWhenConfigured) {
  Harness harness({.carry_push = true});
  Sender sender;
  for (const uint8_t flags : {kAck, uint8_t{kAck | kPsh}, kAck}) {
    FrameSpec spec = sender.next();
    spec.segment.flags = flags;
    harness.arrive(spec);
  }
  EXPECT_TRUE(harness.delivered.empty());
  harness.flush();
  const auto out = harness.take();
  EXPECT_EQ(out.at(0).segments(), 3u);
  EXPECT_EQ(out.at(0).flags, kAck | kPsh);
}

TEST(AggregateRules, FinSendsAndDeletes) {
  Harness harness;
  Sender sender;
  harness.arrive(sender.next());
  FrameSpec spec = sender.next(500);
  spec.segment.flags |= kFin;
  harness.arrive(spec);
  const auto out = harness.take();
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(out[0].segments(), 2u);
  EXPECT_EQ(out[0].flags, kAck | kFin);
  EXPECT_EQ(harness.aggregator.contexts(), 0u);
  EXPECT_EQ(harness.aggregator.counters().contexts_ended, 1u);
}

TEST(AggregateRules, FinOfEveryKindDeletes) {
  for (const int kind : {0, 1, 2, 3}) {
    Harness harness;
    Sender sender;
    harness.arrive(sender.next());
    FrameSpec spec = sender.next();
    spec.segment.flags |= kFin;
    if (kind == 0) spec.segment.payload.clear();
    if (kind == 1) spec.segment.seq += 1000;  // ahead
    if (kind == 2) spec.segment.seq -= 1000;  // sent again
    if (kind == 3) spec.segment.ttl = 9;
    harness.arrive(spec);
    const auto out = harness.take();
    ASSERT_EQ(out.size(), 2u) << kind;
    EXPECT_EQ(out[1].frame, frame_of(spec)) << kind;
    EXPECT_EQ(harness.aggregator.contexts(), 0u) << kind;
  }
}

TEST(AggregateRules, ThresholdIsWhatMakesAnAggregateLeave) {
  Harness harness({.max_aggregate = 20'000, .threshold = 5000});
  Sender sender;
  for (int i = 0; i < 4; ++i) harness.arrive(sender.next());
  EXPECT_TRUE(harness.delivered.empty());  // 4040
  harness.arrive(sender.next());
  EXPECT_EQ(harness.take().at(0).segments(), 5u);  // 5040
}

TEST(AggregateRules, WhatWouldNotFitStartsAfreshAndWhatIsTooLongPasses) {
  Harness harness({.max_aggregate = 6000, .mtu = 1500, .threshold = 4500});
  Sender sender;
  harness.arrive(sender.next(4000));
  EXPECT_TRUE(harness.delivered.empty());
  harness.arrive(sender.next(4000));
  EXPECT_EQ(harness.take().size(), 1u);
  const FrameSpec jumbo = sender.next(8000);
  harness.arrive(jumbo);
  const auto out = harness.take();
  ASSERT_EQ(out.size(), 2u);
  EXPECT_EQ(out[1].frame, frame_of(jumbo));
}

TEST(AggregateRules, DelTimerSendsAndDeletes) {
  Harness harness({.ag_timer = seconds(10)});
  Sender sender;
  harness.arrive(sender.next());
  harness.wait(milliseconds(900));
  harness.arrive(sender.next());
  harness.wait(milliseconds(999));
  EXPECT_TRUE(harness.delivered.empty());
  harness.wait(milliseconds(2));
  EXPECT_EQ(harness.take().at(0).segments(), 2u);
  EXPECT_EQ(harness.flushed(FlushReason::kIdle), 1u);
  EXPECT_EQ(harness.aggregator.contexts(), 0u);
}

TEST(AggregateRules, AFullTableMeansTheSimplePathForNewConnectionsOnly) {
  Harness harness({.contexts = 1});
  Sender known, other;
  other.segment.from.port = 7;
  harness.arrive(known.next());
  const FrameSpec spec = other.next();
  harness.arrive(spec);
  harness.arrive(known.next());
  EXPECT_EQ(harness.take().at(0).frame, frame_of(spec));
  EXPECT_EQ(harness.simple(SimpleReason::kTableFull), 1u);
  harness.wait(seconds(2));
  EXPECT_EQ(harness.take().at(0).segments(), 2u);
  harness.arrive(other.next());
  EXPECT_EQ(harness.aggregator.contexts(), 1u);
  EXPECT_TRUE(harness.delivered.empty());
}

TEST(AggregateRules, TheOldestGivesItsBufferToAnotherConnection) {
  Harness harness({.open_aggregates = 2});
  std::array<Sender, 3> senders;
  for (uint16_t i = 0; i < 3; ++i) senders[i].segment.from.port = i;
  for (Sender& sender : senders) harness.arrive(sender.next());
  const auto out = harness.take();
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(harness.flushed(FlushReason::kNoBuffer), 1u);
  EXPECT_EQ(out[0].flow, read_frame(frame_of(Sender{senders[0]}.next())).flow);
  harness.wait(milliseconds(1));
  EXPECT_EQ(harness.take().size(), 2u);
}

TEST(AggregateRules, TheConsumerMayCompleteTheChecksum) {
  Harness harness({.leave_checksum = true});  // deliver() compares with the pseudo header's sum
  Sender sender;
  harness.arrive(sender.next());
  harness.arrive(sender.next());
  harness.flush();
  EXPECT_EQ(harness.take().at(0).checksum, port::ChecksumState::kPartial);
}

TEST_P(AggregateFamilies, ChainedPayloadIsDeliveredInTheFramesItCameIn) {
  Harness chaining({.chain = true});
  std::vector<PacketBytes> payloads;
  for (int i = 0; i < 3; ++i) {
    const FrameSpec spec = sender.next(999);
    payloads.push_back(spec.segment.payload);
    chaining.arrive(spec);
  }
  chaining.flush();
  const FrameSpec alone = sender.next(999);
  chaining.arrive(alone);
  chaining.flush();
  const auto out = chaining.take();
  ASSERT_EQ(out.size(), 2u);
  EXPECT_EQ(out[0].fragments, 3u);
  EXPECT_EQ(out[0].gso_size, 999);
  EXPECT_EQ(out[0].payload, std::move(payloads[0]) + payloads[1] + payloads[2]);
  EXPECT_EQ(out[1].fragments, 0u);
  EXPECT_EQ(out[1].frame, frame_of(alone));
}

TEST(AggregateRules, AChainHasABoundedNumberOfFragments) {
  Harness harness({.chain = true});
  Sender sender;
  for (size_t i = 0; i < Aggregate::kMaxFragments + 2; ++i) harness.arrive(sender.next(10));
  EXPECT_EQ(harness.take().at(0).segments(), Aggregate::kMaxFragments);
  EXPECT_EQ(harness.flushed(FlushReason::kFull), 1u);
  harness.flush();
  EXPECT_EQ(harness.take().at(0).segments(), 2u);
}

TEST(AggregateRules, ABurstIsLikeItsPacketsOneAfterTheOther) {
  std::vector<FrameSpec> specs;
  std::array<Sender, 3> senders;
  for (uint16_t i = 0; i < 150; ++i) {
    Sender& sender = senders[i % senders.size()];
    sender.segment.from.port = i % senders.size();
    sender.segment.flags = i % 50 == 49 ? kAck | kFin : kAck;
    specs.push_back(sender.next(100));
  }
  Harness together, one_by_one;
  together.arrive_together(specs);
  for (const FrameSpec& spec : specs) one_by_one.arrive(spec, Duration());
  together.flush();
  one_by_one.flush();
  ASSERT_EQ(together.delivered.size(), one_by_one.delivered.size());
  for (size_t i = 0; i < together.delivered.size(); ++i) {
    EXPECT_EQ(together.delivered[i].frame, one_by_one.delivered[i].frame);
  }
}

TEST(AggregateRules, ChecksumsTheInterfaceVerifiedOrLeftOpenAreMadeWhole) {
  using enum port::ChecksumState;
  for (const auto state : {kUnknown, kVerified, kPartial}) {
    Harness harness;
    Sender sender;
    for (int i = 0; i < 3; ++i) {
      FrameSpec spec = sender.next(999);
      spec.segment.partial_checksum = state == kPartial;
      const PacketBytes frame = frame_of(spec);
      harness.arrive(port::RxPacket{.frame = frame, .checksum = state});
    }
    harness.flush();
    EXPECT_EQ(harness.take().at(0).segments(), 3u);
  }
}

TEST(AggregateRules, ASuperPacketPassesAndOvertakesNothing) {
  Harness harness;
  Sender sender;
  harness.arrive(sender.next());
  const PacketBytes frame = frame_of(sender.next(5000));
  harness.arrive(port::RxPacket{.frame = frame, .gso_size = 1000});
  const auto out = harness.take();
  ASSERT_EQ(out.size(), 2u);
  EXPECT_EQ(out[1].frame, frame);
  EXPECT_EQ(out[1].gso_size, 1000);
  EXPECT_EQ(harness.flushed(FlushReason::kSuperPacket), 2u);
  harness.arrive(sender.next());
  EXPECT_TRUE(harness.delivered.empty());  // in sequence behind it
}

/// A packet that is no candidate.
struct NoCandidate {
  const char* name;
  SimpleReason reason;
  std::function<void(PacketBytes&)> change;
  bool v6 = false;
};

void PrintTo(const NoCandidate& candidate, std::ostream* out) { *out << candidate.name; }

constexpr size_t kIp = 14;

class SimplePath : public testing::TestWithParam<NoCandidate> {};
INSTANTIATE_TEST_SUITE_P(
    EveryReason, SimplePath,
    testing::ValuesIn(std::vector<NoCandidate>{
        {"arp", SimpleReason::kNotIp, [](auto& f) { write16(f, 12, 0x0806); }},
        {"runt", SimpleReason::kNotIp, [](auto& f) { f.resize(13); }},
        {"udp", SimpleReason::kNotTcp, [](auto& f) { f[kIp + 9] = 17; }},
        {"udp_ipv6", SimpleReason::kNotTcp, [](auto& f) { f[kIp + 6] = 17; }, true},
        {"short", SimpleReason::kMalformed, [](auto& f) { f.pop_back(); }},
        {"short_ipv6", SimpleReason::kMalformed, [](auto& f) { f.pop_back(); }, true},
        {"wrong_version", SimpleReason::kMalformed, [](auto& f) { f[kIp] = 0x65; }},
        {"data_offset", SimpleReason::kMalformed, [](auto& f) { f[kIp + 32] = 0x40; }},
        {"fragment", SimpleReason::kFragment, [](auto& f) { write16(f, kIp + 6, 0x2000); }},
        {"later_fragment", SimpleReason::kFragment, [](auto& f) { write16(f, kIp + 6, 8); }},
        {"ip_checksum", SimpleReason::kBadChecksum, [](auto& f) { f[kIp + 8] ^= 1; }},
        {"tcp_checksum", SimpleReason::kBadChecksum, [](auto& f) { f.back() ^= 1; }},
        {"tcp_checksum_ipv6", SimpleReason::kBadChecksum, [](auto& f) { f.back() ^= 1; }, true},
        {"ip_options", SimpleReason::kIpOptions, [](auto& f) { f[kIp] = 0x46; }},
        {"extension_header", SimpleReason::kIpOptions,
         [](auto& f) {
           f[kIp + 6] = 60;  // destination options: one of 8 bytes, then TCP
           const PacketBytes options{6, 0, 1, 4, 0, 0, 0, 0};
           f.insert(f.begin() + kIp + 40, options.begin(), options.end());
           write16(f, kIp + 4, static_cast<uint16_t>(read16(f, kIp + 4) + 8));
         },
         true}}),
    [](const auto& chosen) { return chosen.param.name; });

TEST_P(SimplePath, PassesAsItIsAndLeavesNoTrace) {
  Harness harness;
  Sender sender = GetParam().v6 ? Sender::v6() : Sender{};
  PacketBytes frame = frame_of(sender.next());
  GetParam().change(frame);
  harness.arrive(port::RxPacket{.frame = frame});
  const auto out = harness.take();
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(out[0].frame, frame);
  EXPECT_EQ(out[0].checksum, port::ChecksumState::kUnknown);
  EXPECT_EQ(harness.simple(GetParam().reason), 1u);
  EXPECT_EQ(harness.aggregator.contexts(), 0u);
}

TEST(AggregateRules, NothingIsRememberedOfSynsAndPureAcks) {  // a flood of them fills no table
  Harness harness;
  for (uint16_t port = 0; port < 100; ++port) {
    Sender sender;
    sender.segment.from.port = port;
    sender.segment.flags = port % 2 == 0 ? kSyn : kAck;
    harness.arrive(sender.next(0));
  }
  EXPECT_EQ(harness.take().size(), 100u);
  EXPECT_EQ(harness.aggregator.contexts(), 0u);
  EXPECT_EQ(harness.simple(SimpleReason::kNoContext), 100u);
}

TEST(AggregateRules, AConfigurationThatCannotBeKeptIsRefused) {
  EXPECT_TRUE(AggregateConfig{}.check());
  for (const AggregateConfig& wrong : std::vector<AggregateConfig>{{.max_aggregate = 65536},
                                                                   {.max_aggregate = 1499},
                                                                   {.threshold = 64036},
                                                                   {.ag_timer = {}},
                                                                   {.del_timer = {}},
                                                                   {.contexts = 0},
                                                                   {.open_aggregates = 0},
                                                                   {.max_held = 33}}) {
    EXPECT_FALSE(wrong.check());
  }
}

}  // namespace
}  // namespace fairlead::test
