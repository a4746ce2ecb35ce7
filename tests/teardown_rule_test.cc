// The rule by which the kernel's programs decide for connections in teardown, in user space, and
// what a Teardown makes of what they have decided.
#include "nic/teardown/teardown_rule.h"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstring>
#include <optional>
#include <thread>
#include <vector>

#include "nic/steering/load_from_span.h"
#include "tests/teardown_programs.h"
#include "wire/tcp.h"

namespace fairlead::nic {
namespace {

using namespace wire::tcp_flag;
using test::PacketBytes;
using test::Segment;
using test::TeardownDecision;

constexpr uint64_t kSeed = 77;
constexpr size_t kBuckets = 16;

/// As the XDP program.
class Rule final : public test::TeardownProgram {
 public:
  Rule() : Rule(std::vector<fl_teardown_bucket>(kBuckets)) {}

  TeardownDecision run(const PacketBytes& packet, Time now) override {
    ByteSpan bytes = packet;
    fl_segment segment;
    fl_teardown_look look{.tuple = {},
                          .now = static_cast<uint64_t>(now.time_since_epoch().count()),
                          .checksum = FL_CHECKSUM_TO_VERIFY};
    const __u16 ether_type = packet[0] >> 4 == 6 ? FL_ETH_P_IPV6 : FL_ETH_P_IP;
    if (fl_segment_read(&bytes, ether_type, static_cast<__u32>(bytes.size()), &segment) != 0 ||
        fl_teardown_is_candidate(&segment) == 0) {
      return {};
    }
    fl_teardown_read_tuple(&segment, &look.tuple);
    const __u32 bucket = fl_teardown_bucket_of(&look.tuple, kSeed, kBuckets);
    fl_teardown_entry* const entry = fl_teardown_find(&buckets_[bucket], &look.tuple);
    if (entry == nullptr || fl_segment_read_options(&bytes, &segment) != 0) return {};
    fl_teardown_decision decision;
    switch (fl_teardown_decide(entry, &segment, &look, &decision)) {
      case FL_TEARDOWN_UP:
        return {};
      case FL_TEARDOWN_TAKEN:
        return {.up = false};
      case FL_TEARDOWN_ANSWERED:
        fl_teardown_answer(&segment, entry, &look, &decision);
    }
    PacketBytes answer(segment.ip, segment.ip + segment.ip_size);
    answer.insert(answer.end(), segment.tcp, segment.tcp + segment.tcp_size);
    return {.up = false, .answer = answer};
  }

 private:
  explicit Rule(std::vector<fl_teardown_bucket> buckets)
      : TeardownProgram(TeardownTable({.buckets = buckets, .hash_seed = kSeed})),
        buckets_(std::move(buckets)) {}

  std::vector<fl_teardown_bucket> buckets_;
};

TEST(TeardownRule, DecidesEveryVector) {
  Rule rule;
  for (const test::TeardownVector& vector : test::teardown_vectors()) expect_vector(vector, rule);
}

TEST(TeardownRule, AnswersAsATeardownDoes) {
  Rule rule;
  size_t decided = 0;
  for (uint64_t seed = 0; seed < 5'000 && !testing::Test::HasFailure(); ++seed) {
    decided += compare_teardowns(rule, seed, Time(seconds(1000)));
  }
  EXPECT_GT(decided, 10'000u);
}

TEST(TeardownRule, AProcessThatTakesAFlowBackLearnsEachDecisionOnce) {
  std::vector<fl_teardown_bucket> buckets(1);
  TeardownTable table({.buckets = buckets, .hash_seed = kSeed});
  const FourTuple tuple = test::teardown_tuple(true);
  Segment fin{.from = tuple.remote, .to = tuple.local, .seq = 7, .ack = 8};
  fin.flags = kFin | kAck;
  fl_teardown_entry* const entry =
      table.reserve({.tuple = tuple, .end = SeqNum(fin.ack), .fin_seq = SeqNum(fin.seq)});
  ASSERT_NE(entry, nullptr);
  std::atomic<bool> done = false;
  std::atomic<size_t> closed = 0;
  std::thread program([&] {
    const PacketBytes packet = packet_of(fin);
    ByteSpan bytes = packet;
    fl_segment segment;
    fl_teardown_look look{.tuple = {}, .now = 0, .checksum = FL_CHECKSUM_TO_VERIFY};
    fl_teardown_decision decision;
    const auto size = static_cast<__u32>(bytes.size());
    ASSERT_EQ(fl_segment_read(&bytes, FL_ETH_P_IPV6, size, &segment), 0);
    fl_teardown_read_tuple(&segment, &look.tuple);
    while (!done) {
      const bool first =
          fl_teardown_decide(entry, &segment, &look, &decision) == FL_TEARDOWN_ANSWERED &&
          (decision.word & FL_TEARDOWN_AGAIN) == 0;
      closed += first ? 1 : 0;
    }
  });
  size_t learned = 0;
  // On a busy machine the program's thread may start late.
  const auto deadline = std::chrono::steady_clock::now() + seconds(60);
  const auto waits = [&] { return closed == 0 && std::chrono::steady_clock::now() < deadline; };
  for (int i = 0; i < 300'000 || waits(); ++i) {
    TeardownTable::give(*entry, FlowState{}, Time(seconds(60)));
    bool seen = false;
    for (int looks = i % 16; looks > 0; --looks) seen |= TeardownTable::read(*entry).peer_closed;
    const bool taken = TeardownTable::take_back(*entry).peer_closed;
    EXPECT_TRUE(taken || !seen);
    learned += taken ? 1 : 0;
  }
  done = true;
  program.join();
  EXPECT_EQ(learned, closed.load());
  EXPECT_GT(learned, 0u);
}

// ---- a Teardown behind the rule ----

constexpr Time kStart{seconds(5000)};
constexpr Duration kRto = milliseconds(300);
const SeqNum kUna(100);
const SeqNum kRcvNxt(9000);

class BehindTheRule : public testing::Test, public TeardownObserver {
 protected:
  void on_teardown_end(const TeardownReport& report) override { ends_.push_back(report.end); }

  static FourTuple tuple(uint16_t port) {
    return {test::setup_listener_endpoint(false), {*IpAddress::parse("198.51.100.7"), port}};
  }
  static Handover handover(uint16_t port, std::span<const ByteSpan> data) {
    return {.tuple = tuple(port),
            .local_mac = {},
            .next_hop = {},
            .mss = 1000,
            .window = 500,
            .receive_window = 60'000,
            .send_window = 60'000,
            .rto = kRto,
            .snd_una = kUna,
            .snd_nxt = kUna,
            .rcv_nxt = kRcvNxt,
            .timestamps = {},
            .data = data};
  }
  /// With three bytes to send, which are not sent yet.
  void take_only(uint16_t port, bool peer_closed = false) {
    const std::array<uint8_t, 3> bytes{1, 2, 3};
    const std::array data{ByteSpan(bytes)};
    Handover taken = handover(port, data);
    taken.peer_closed = peer_closed;
    ASSERT_TRUE(teardown_->take(taken, now_));
  }
  void take(uint16_t port = 1, bool peer_closed = false) {
    take_only(port, peer_closed);
    EXPECT_EQ(transmit(), 1u);
  }
  size_t transmit() {
    port::PacketBurst burst;
    EXPECT_FALSE(teardown_->transmit(burst, now_));
    return burst.size();
  }
  static Segment segment(uint8_t flags, SeqNum seq, SeqNum ack, uint16_t port = 1) {
    Segment out{.from = tuple(port).remote, .to = tuple(port).local};
    out.flags = flags;
    out.seq = seq.value();
    out.ack = ack.value();
    return out;
  }
  static Segment fin(uint16_t port = 1) { return segment(kFin | kAck, kRcvNxt, kUna + 4, port); }
  static Segment ack(SeqNum seq = kRcvNxt) { return segment(kAck, seq, kUna + 4); }

  /// What goes out: the program's answer, or the process's.
  enum class Way { kTaken, kAnswered, kUp };
  Way program(const Segment& segment) {
    const TeardownDecision decision = rule_.run(packet_of(segment), now_);
    if (decision.up) return Way::kUp;
    return decision.answer.empty() ? Way::kTaken : Way::kAnswered;
  }
  Teardown::Outcome process(const Segment& segment) {
    TeardownSegment out;
    out.tuple = {.local = segment.to, .remote = segment.from};
    out.seq = SeqNum(segment.seq);
    out.ack = SeqNum(segment.ack);
    out.flags = segment.flags;
    out.window = segment.window;
    return teardown_->on_segment(out, now_).outcome;
  }
  void pass(Duration duration) {
    for (const Time until = now_ + duration; now_ < until; now_ += milliseconds(1)) {
      teardown_->on_timer(now_);
    }
  }
  std::string state(uint16_t port = 1) const {
    const auto state = teardown_->state(tuple(port));
    return state ? std::string(teardown_state_name(*state)) : "gone";
  }
  void make(const Teardown::Options& options) {
    teardown_.emplace(options, SipKey{1, 2}, this, now_);
    teardown_->use_kernel(rule_.table);
  }
  void SetUp() override { make({}); }

  Time now_ = kStart;
  Rule rule_;
  std::vector<TeardownEnd> ends_;
  std::optional<Teardown> teardown_;
};

TEST_F(BehindTheRule, WhatWasDecidedIsLearnedWithoutAPacket) {
  take();
  EXPECT_EQ(program(ack()), Way::kTaken);
  EXPECT_GT(teardown_->held_bytes(), 0u);
  teardown_->on_timer(now_);
  EXPECT_EQ(state(), "FIN-WAIT-2");
  EXPECT_EQ(teardown_->held_bytes(), 0u);
  EXPECT_EQ(program(fin()), Way::kAnswered);
  teardown_->on_timer(now_);
  EXPECT_EQ(state(), "TIME-WAIT");
  EXPECT_EQ(ends_, std::vector{TeardownEnd::kClosed});
  EXPECT_EQ(transmit(), 0u);
  pass(seconds(61));
  EXPECT_EQ(state(), "gone");
  EXPECT_EQ(program(fin()), Way::kUp);
  EXPECT_EQ(teardown_->counters().acked_in_kernel, 1u);
  EXPECT_EQ(teardown_->counters().closed_in_kernel, 1u);
}

TEST_F(BehindTheRule, LastAckEndsTheFlow) {
  take(1, true);
  EXPECT_EQ(program(segment(kAck, kRcvNxt, kUna + 4)), Way::kTaken);
  teardown_->on_timer(now_);
  EXPECT_EQ(state(), "gone");
  EXPECT_EQ(ends_, std::vector{TeardownEnd::kClosed});
  EXPECT_EQ(teardown_->next_deadline(), std::nullopt);
}

TEST_F(BehindTheRule, AFlowThatHasEndedIsNotThePacketsThatComeUpNext) {
  take(1, true);
  EXPECT_EQ(program(ack()), Way::kTaken);
  EXPECT_EQ(process(segment(kSyn, kRcvNxt + 1000, SeqNum(0))), Teardown::Outcome::kNotOurs);
}

TEST_F(BehindTheRule, NothingIsDecidedBeforeAllIsSent) {
  take_only(1);
  EXPECT_EQ(program(fin()), Way::kUp);
  EXPECT_EQ(transmit(), 1u);
  EXPECT_EQ(program(fin()), Way::kAnswered);
}

TEST_F(BehindTheRule, ATimerFindsOutBeforeItSendsAgain) {
  make({.max_flows = 1024});
  for (uint16_t port = 1; port <= 20; ++port) take(port);
  // More than are looked at in passing.
  EXPECT_EQ(teardown_->counters().given_to_kernel + teardown_->counters().kernel_table_full, 20u);
  const bool given = program(fin(1)) == Way::kAnswered;
  ASSERT_TRUE(given);
  pass(kRto + milliseconds(2));
  EXPECT_EQ(state(1), "TIME-WAIT");
  EXPECT_EQ(teardown_->counters().retransmission_timeouts, 19u);
}

TEST_F(BehindTheRule, WhoeverCountsKnowsOfAllAtOnce) {
  for (uint16_t port = 1; port <= 200; ++port) take(port);
  size_t answered = 0;
  for (uint16_t port = 1; port <= 200; ++port) answered += program(fin(port)) == Way::kAnswered;
  EXPECT_EQ(answered, teardown_->counters().given_to_kernel);
  teardown_->catch_up(now_);
  EXPECT_EQ(teardown_->active(), 200 - answered);
}

TEST_F(BehindTheRule, AFullBucketLeavesTheFlowToTheProcess) {
  for (uint16_t port = 1; port <= 200; ++port) take(port);
  const TeardownCounters& counters = teardown_->counters();
  EXPECT_EQ(counters.given_to_kernel, kBuckets * FL_TEARDOWN_WAYS);
  EXPECT_EQ(counters.kernel_table_full, 200 - kBuckets * FL_TEARDOWN_WAYS);
  for (uint16_t port = 1; port <= 200; ++port) {
    if (program(fin(port)) == Way::kAnswered) continue;
    EXPECT_EQ(process(fin(port)), Teardown::Outcome::kTaken);
    EXPECT_EQ(transmit(), 1u);
  }
  pass(kRto);
  EXPECT_EQ(teardown_->active(), 0u);
  pass(seconds(61));
  EXPECT_EQ(teardown_->size(), 0u);
  for (uint16_t port = 1; port <= 200; ++port) take(port);
  EXPECT_EQ(counters.given_to_kernel, 2 * kBuckets * FL_TEARDOWN_WAYS) << "they are free again";
}

TEST_F(BehindTheRule, AFinThatComesAgainStartsTimeWaitAnew) {
  take();
  EXPECT_EQ(program(fin()), Way::kAnswered);
  teardown_->on_timer(now_);
  pass(seconds(50));
  EXPECT_EQ(program(fin()), Way::kAnswered);
  pass(seconds(11));
  EXPECT_EQ(state(), "TIME-WAIT");
  pass(seconds(48));
  EXPECT_EQ(state(), "TIME-WAIT") << "60 s since the FIN came again";
  pass(seconds(12));
  EXPECT_EQ(state(), "gone");
}

TEST_F(BehindTheRule, WhatComesUpIsDecidedWithWhatTheProgramKnows) {
  take();
  EXPECT_EQ(program(fin()), Way::kAnswered);
  const Segment syn = segment(kSyn, kRcvNxt + 5000, SeqNum(0));
  EXPECT_EQ(program(syn), Way::kUp);
  TeardownSegment opens;
  opens.tuple = tuple(1);
  opens.seq = kRcvNxt + 5000;
  opens.flags = kSyn;
  opens.to_listener = true;
  EXPECT_EQ(teardown_->on_segment(opens, now_).outcome, Teardown::Outcome::kReopened);
  EXPECT_EQ(program(fin()), Way::kUp) << "another connection's";
}

TEST_F(BehindTheRule, WhatTheProcessDecidesTheProgramKnows) {
  take();
  const Segment crossing = segment(kFin | kAck, kRcvNxt, kUna);
  EXPECT_EQ(program(crossing), Way::kUp);
  EXPECT_EQ(process(crossing), Teardown::Outcome::kTaken);
  EXPECT_EQ(state(), "CLOSING");
  EXPECT_EQ(transmit(), 1u);
  EXPECT_EQ(program(ack(kRcvNxt + 1)), Way::kTaken);
  teardown_->on_timer(now_);
  EXPECT_EQ(state(), "TIME-WAIT");
}

TEST_F(BehindTheRule, AnAckThatItsFinHasOvertakenIsNotAnswered) {
  take();
  EXPECT_EQ(program(fin()), Way::kAnswered);
  EXPECT_EQ(process(segment(kAck, kRcvNxt, kUna + 3)), Teardown::Outcome::kTaken);
  EXPECT_EQ(transmit(), 0u);
}

TEST_F(BehindTheRule, WhileTheProcessSendsAgainItDecides) {
  take();
  EXPECT_TRUE(teardown_->on_too_big(tuple(1), kUna, 576, now_));
  EXPECT_EQ(program(fin()), Way::kUp);
  EXPECT_EQ(transmit(), 1u);
  EXPECT_EQ(program(fin()), Way::kAnswered);
}

TEST_F(BehindTheRule, NobodyAnswersForeverForAProcessThatDied) {
  take();
  now_ += seconds(179);
  EXPECT_EQ(program(ack()), Way::kTaken);
  now_ += seconds(1);
  EXPECT_EQ(program(ack()), Way::kUp);
}

TEST(TeardownTable, AShardHasItsOwnBuckets) {
  constexpr unsigned kShards = 4;
  std::vector<fl_teardown_bucket> buckets(256 * kShards);
  for (uint16_t port = 1; port < 200; ++port) {
    const FourTuple tuple{test::setup_listener_endpoint(true),
                          {*IpAddress::parse("2001:db8:1::7"), port}};
    fl_endpoint local{.address = {}, .port = tuple.local.port};
    fl_endpoint remote{.address = {}, .port = tuple.remote.port};
    std::memcpy(&local.address, tuple.local.address.bytes().data(), 16);
    std::memcpy(&remote.address, tuple.remote.address.bytes().data(), 16);
    const unsigned home = fl_shard(fl_flow_hash(&local, &remote, kSeed), kShards);
    for (unsigned shard = 0; shard < kShards; ++shard) {
      TeardownTable table(
          {.buckets = buckets, .shard = shard, .shards = kShards, .hash_seed = kSeed});
      const fl_teardown_entry* const entry =
          table.reserve({.tuple = tuple, .end = {}, .fin_seq = {}});
      ASSERT_EQ(entry != nullptr, shard == home) << port;
      if (entry == nullptr) continue;
      const auto at = reinterpret_cast<const fl_teardown_bucket*>(entry) - buckets.data();
      EXPECT_EQ(static_cast<unsigned>(at / 256), home);
    }
  }
}

}  // namespace
}  // namespace fairlead::nic
