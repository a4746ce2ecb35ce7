// A packet that goes on with what was gathered is recognised by its bytes, without parsing and
// look-up: the outcome is that of the full way, to the byte and to the nanosecond.
#include <algorithm>

#include "base/random.h"
#include "nic/aggregate/run_headers.h"
#include "tests/aggregate_harness.h"
#include "tests/aggregate_random_flow.h"

namespace fairlead::test {
namespace {

using nic::PayloadSum, nic::RunHeaders, nic::SegmentFields, port::ChecksumState;

auto all_of(const SegmentFields& f) {
  return std::tuple(f.seq.value(), f.ack.value(), f.timestamps.value, f.timestamps.echo, f.window,
                    f.ip_id, f.size, f.sum, f.flags, f.partial, f.payload);
}

/// A packet that may follow a first one, and what is known of it.
struct Candidate {
  PacketBytes frame;
  ChecksumState checksum = ChecksumState::kUnknown;
  uint16_t gso_size = 0;
  port::RxPacket packet() const {
    return {.frame = frame, .gso_size = gso_size, .checksum = checksum};
  }
};

class Pair {
 public:
  explicit Pair(Rng& rng) : rng_(rng) {
    if (rng_.chance(0.5)) sender_ = Sender::v6();
    for (uint64_t i = rng_.below(3); i > 0; --i) tags_.push_back(static_cast<uint16_t>(i + 0x2000));
    with_timestamps_ = rng_.chance(0.5);
  }
  PacketBytes first() { return frame_of(make()); }
  /// The next segment as it should be, or with something wrong.
  Candidate next() {
    FrameSpec spec = make();
    if (rng_.chance(0.1)) spec.segment.flags |= 8;
    if (rng_.chance(0.1)) spec.padding = rng_.below(60);
    Candidate out{.frame = frame_of(spec)};
    constexpr ChecksumState kStates[] = {ChecksumState::kUnknown, ChecksumState::kVerified,
                                         ChecksumState::kPartial};
    out.checksum = kStates[rng_.below(3)];
    if (rng_.chance(0.05)) out.gso_size = 100;
    if (rng_.chance(0.05)) out.frame.resize(rng_.below(out.frame.size()));
    if (rng_.chance(0.7)) damage(out.frame);
    return out;
  }

 private:
  FrameSpec make() {
    FrameSpec spec = sender_.next(rng_.below(200));
    spec.tags = tags_;
    sender_.segment.ack += static_cast<uint32_t>(rng_.below(2));
    if (with_timestamps_) spec.segment.options = nops(2) + timestamps(clock_++, 7);
    return spec;
  }
  /// A bit of the headers is flipped; IPv4's checksum may be right for it.
  void damage(PacketBytes& frame) {
    if (frame.empty()) return;
    frame[rng_.below(std::min<size_t>(frame.size(), 100))] ^=
        static_cast<uint8_t>(1u << rng_.below(8));
    const size_t l3 = 14 + 4 * tags_.size();
    if (frame.size() < l3 + 20 || rng_.chance(0.2)) return;
    if (!sender_.segment.from.address.is_v4()) return;
    write16(frame, l3 + 10, 0);
    uint32_t sum = 0;
    for (size_t at = l3; at < l3 + 20; at += 2) sum += read16(frame, at);
    sum = (sum & 0xffff) + (sum >> 16);
    write16(frame, l3 + 10, static_cast<uint16_t>(~((sum & 0xffff) + (sum >> 16))));
  }

  Rng& rng_;
  Sender sender_;
  std::vector<uint16_t> tags_;
  bool with_timestamps_ = false;
  uint32_t clock_ = 0xffff'ffff;
};

/// What the full way finds out about a packet; nothing when it is not the ordinary next one.
std::optional<SegmentFields> read_in_full(const nic::Segment& first, const Candidate& candidate,
                                          PayloadSum wanted, SeqNum next) {
  nic::Segment segment;
  const ByteSpan headers = first.frame.first(first.layout.payload);
  if (nic::read_segment(candidate.packet(), wanted, segment) || segment.obstacle ||
      segment.key != first.key || nic::header_mismatch(segment, first.layout, headers) ||
      segment.fields.seq != next || (segment.fields.flags & 1) != 0) {
    return std::nullopt;
  }
  return segment.fields;
}

TEST(AggregateRecognition, TheNextSegmentOfARunIsReadAsInFullAndNothingElseIs) {
  Rng rng(1);
  size_t recognised = 0, not_next = 0, too_short = 0;
  for (int i = 0; i < 50'000; ++i) {
    Pair pair(rng);
    const PacketBytes first_frame = pair.first();
    const PayloadSum wanted = rng.chance(0.5) ? PayloadSum::kWanted : PayloadSum::kNotWanted;
    nic::Segment first;
    ASSERT_FALSE(nic::read_segment({.frame = first_frame}, wanted, first));
    if (first.obstacle) continue;  // no payload
    RunHeaders headers;
    headers.set(first);
    const Candidate candidate = pair.next();
    const SeqNum next = first.fields.end();
    const auto expected = read_in_full(first, candidate, wanted, next);
    SegmentFields fields;
    const bool found = headers.read_next(candidate.packet(), wanted, next, fields);
    if (candidate.frame.size() < RunHeaders::kCompared) {
      ASSERT_FALSE(found);
      ++too_short;
      continue;
    }
    ASSERT_EQ(found, expected.has_value()) << "case " << i;
    if (found) ASSERT_EQ(all_of(fields), all_of(*expected)) << "case " << i;
    ++(found ? recognised : not_next);
  }
  EXPECT_GT(recognised, 10'000u);
  EXPECT_GT(not_next, 10'000u);
  EXPECT_GT(too_short, 1'000u);
}

struct Outcome {
  std::vector<Delivered> delivered;
  std::vector<uint64_t> counters;  // but `recognised`
  nic::AggregateDelay delay;
  uint64_t recognised = 0;
};

/// The stream of this seed in bursts; `recent` slots.
Outcome run(uint64_t seed, size_t recent) {
  Rng rng(seed);
  nic::AggregateConfig config = random_config(rng);
  config.recent = recent;
  Harness harness(config);
  std::vector<RandomFlow> flows;
  for (uint16_t i = 0; i < 10; ++i) flows.emplace_back(rng.fork(), i);
  for (int bursts = 0; bursts < 40; ++bursts) {
    const size_t active = 1 + rng.below(flows.size());
    std::vector<FrameSpec> burst;
    for (uint64_t i = 1 + rng.below(40); i > 0; --i) {
      RandomFlow& flow = flows[rng.below(active)];
      for (uint64_t train = 1 + rng.below(4); train > 0; --train) burst.push_back(flow.next());
    }
    const auto wait =
        rng.chance(0.05) ? Duration(milliseconds(rng.below(3000))) : microseconds(rng.below(300));
    const bool verified = rng.chance(0.5);
    // The harness wants a frame that is said to be right to be as long as it says, too.
    if (verified) std::ranges::for_each(burst, [](FrameSpec& spec) { spec.padding = 0; });
    harness.arrive_together(burst, wait,
                            verified ? ChecksumState::kVerified : ChecksumState::kUnknown);
  }
  harness.flush();
  const nic::AggregateCounters& counters = harness.aggregator.counters();
  Outcome out{.delivered = harness.take(),
              .counters = {},
              .delay = harness.aggregator.delay(),
              .recognised = counters.recognised};
  counters.for_each([&](std::string_view name, uint64_t value) {
    if (name != "recognised") out.counters.push_back(value);
  });
  return out;
}

TEST(AggregateRecognition, StreamsLeaveAsIfEveryPacketHadBeenLookedUp) {
  uint64_t recognised = 0;
  for (uint64_t seed = 0; seed < 24; ++seed) {
    const Outcome full = run(seed, 0);
    ASSERT_EQ(full.recognised, 0u);
    const Outcome quick = run(seed, 1u << seed % 8);  // few slots: they are fought over
    recognised += quick.recognised;
    ASSERT_EQ(quick.counters, full.counters) << "seed " << seed;
    ASSERT_EQ(quick.delay.total, full.delay.total) << "seed " << seed;
    ASSERT_EQ(quick.delay.longest, full.delay.longest) << "seed " << seed;
    ASSERT_EQ(quick.delivered.size(), full.delivered.size()) << "seed " << seed;
    for (size_t i = 0; i < full.delivered.size(); ++i) {
      const Delivered &a = quick.delivered[i], &b = full.delivered[i];
      ASSERT_TRUE(a.frame == b.frame) << "seed " << seed << ", packet " << i;
      ASSERT_EQ(std::tuple(a.gso_size, a.checksum, a.when, a.fragments),
                std::tuple(b.gso_size, b.checksum, b.when, b.fragments))
          << "seed " << seed << ", packet " << i;
    }
  }
  EXPECT_GT(recognised, 5'000u);
}

TEST(AggregateRecognition, OfATrainAllButTheFirstAreRecognised) {
  for (Sender sender : {Sender(), Sender::v6()}) {
    Harness harness;
    for (int i = 0; i < 40; ++i) harness.arrive(sender.next(100));
    EXPECT_EQ(harness.aggregator.counters().recognised, 39u);
  }
}

}  // namespace
}  // namespace fairlead::test
