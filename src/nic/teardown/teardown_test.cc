#include "nic/teardown/teardown.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "base/random.h"
#include "nic/teardown/teardown_fixture.h"

namespace fairlead::nic {
namespace {

using namespace wire::tcp_flag;

// ---- sending ----

TEST_F(Teardowns, DataAndFinGoOutAtOnceInSegmentsOfTheMss) {
  Handover h = handover();
  h.timestamps = wire::Timestamps{.value = 777, .echo = 42};
  now_ += milliseconds(5);
  ASSERT_TRUE(take(h, 2500).has_value());
  now_ += milliseconds(3);
  const std::vector<Sent> out = sent();
  ASSERT_EQ(out.size(), 3u);
  std::vector<uint8_t> stream;
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(out[i].seq, kUna + static_cast<uint32_t>(1000 * i));
    EXPECT_EQ(out[i].ack, kRcvNxt);
    EXPECT_EQ(out[i].flags, i == 2 ? kFin | kPsh | kAck : kAck);
    EXPECT_EQ(out[i].options.timestamps, (wire::Timestamps{780, 42}));
    stream.insert(stream.end(), out[i].payload.begin(), out[i].payload.end());
  }
  EXPECT_EQ(stream, data(2500));
  EXPECT_TRUE(sent().empty());
}

TEST_F(Teardowns, WhatIsOnItsWayAlreadyIsNotSentAgainButKept) {
  Handover h = handover();
  h.snd_nxt = kUna + kBytes;
  ASSERT_TRUE(take(h).has_value());
  std::vector<Sent> out = sent();
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(out[0].flags, kFin | kAck);
  EXPECT_EQ(out[0].seq, kUna + kBytes);
  pass(latest(kRto));
  out = sent();
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(out[0].seq, kUna);
  EXPECT_EQ(out[0].size, kMss);
}

TEST_F(Teardowns, AFinThatIsOnItsWayAlreadyIsRepeatedWhenItIsLost) {
  Handover h = handover();
  h.snd_nxt = kUna + 1;
  ASSERT_TRUE(take(h, 0).has_value());
  EXPECT_TRUE(sent().empty());
  pass(latest(kRto));
  const std::vector<Sent> out = sent();
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(out[0].flags, kFin | kAck);
  EXPECT_EQ(out[0].seq, kUna);
}

TEST_F(Teardowns, WithoutDataTheFinGoesAlone) {
  ASSERT_TRUE(take(handover(), 0).has_value());
  EXPECT_EQ(teardown_->held_bytes(), 0u);
  const std::vector<Sent> out = sent();
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(out[0].flags, kFin | kAck);
  EXPECT_EQ(out[0].seq, kUna);
}

TEST_F(Teardowns, MoreThanABurstTakesIsSentInSeveral) {
  for (uint16_t port = 1; port <= 100; ++port) ASSERT_TRUE(take(handover(port)).has_value());
  EXPECT_EQ(sent().size(), 300u);
  EXPECT_EQ(teardown_->counters().segments_sent, 300u);
}

TEST_F(Teardowns, Ipv6IsSentAsWell) {
  Handover h = handover();
  h.tuple = {{*IpAddress::parse("2001:db8::1"), 80}, {*IpAddress::parse("2001:db8::2"), 5000}};
  ASSERT_TRUE(take(h).has_value());
  EXPECT_EQ(sent().size(), 3u);
}

// ---- loss ----

TEST_F(Teardowns, TimeoutsBackOffAndEndIt) {  // RFC 6298 (5.5)
  ASSERT_TRUE(take(handover()).has_value());
  sent();
  Duration wait = kRto;
  for (int i = 0; i < 8; ++i, wait *= 2) {
    const Time before = now_;
    std::vector<Sent> out;
    while (out.empty()) {
      now_ = *teardown_->next_deadline();
      teardown_->on_timer(now_);
      out = sent();
    }
    EXPECT_GE(now_ - before, wait) << i;
    EXPECT_LE(now_ - before, latest(wait)) << i;
    ASSERT_EQ(out.size(), 1u) << i;
    EXPECT_EQ(out[0].seq, kUna);
    EXPECT_EQ(out[0].size, kMss);
  }
  EXPECT_EQ(state(), "FIN-WAIT-1");
  pass(latest(wait));
  EXPECT_EQ(state(), "timed out");
  EXPECT_EQ(teardown_->counters().timed_out, 1u);
  EXPECT_TRUE(sent().empty());
  expect_empty();
}

// 10 ms of flows, one each 100 us: a slot of the wheel for each would be a wake-up for each.
TEST_F(Teardowns, TimersThatAreCloseComeUpTogether) {
  for (uint16_t port = 1; port <= 100; ++port, now_ += microseconds(100)) {
    ASSERT_TRUE(take(handover(port)).has_value());
  }
  sent();
  int wakes = 0;
  while (teardown_->counters().retransmission_timeouts < 100) {
    now_ = std::max(now_, *teardown_->next_deadline());
    teardown_->on_timer(now_);
    sent();
    ASSERT_LE(++wakes, 24);  // slots come up each turn, and 200 ms are nearly two
  }
}

// Beyond kMaxSlack they would all be in one slot: each is a multiple of the wheel's turn then.
TEST_F(Teardowns, LongTimersDoNotAllComeUpTogether) {
  Handover h = handover();
  h.rto = seconds(60);
  for (uint16_t port = 1; port <= 16; ++port, now_ += microseconds(6400)) {
    h.tuple = tuple(port);
    ASSERT_TRUE(take(h).has_value());
  }
  sent();
  pass(seconds(59));
  uint64_t before = 0;
  while (before < 16) {
    now_ = std::max(now_, *teardown_->next_deadline());
    teardown_->on_timer(now_);
    sent();
    const uint64_t up = teardown_->counters().retransmission_timeouts;
    ASSERT_LE(up - before, 1u);
    before = up;
  }
}

TEST_F(Teardowns, TheBackOffEndsAtAMinute) {  // RFC 6298 (2.5)
  Handover h = handover();
  h.rto = seconds(40);
  ASSERT_TRUE(take(h).has_value());
  sent();
  pass(seconds(41));
  EXPECT_EQ(sent().size(), 1u);
  pass(latest(seconds(60)) - seconds(1));
  EXPECT_EQ(sent().size(), 1u);
}

TEST_F(Teardowns, ThreeDuplicateAcksResendTheFirstSegmentOnce) {  // RFC 5681 §3.2
  ASSERT_TRUE(take(handover()).has_value());
  sent();
  deliver_ack(kUna);  // the first one shows the window
  deliver_ack(kUna);
  deliver_ack(kUna);
  EXPECT_TRUE(sent().empty());
  deliver_ack(kUna);
  const std::vector<Sent> out = sent();
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(out[0].seq, kUna);
  for (int i = 0; i < 10; ++i) deliver_ack(kUna);
  EXPECT_TRUE(sent().empty());
  EXPECT_EQ(teardown_->counters().fast_retransmits, 1u);
}

TEST_F(Teardowns, WindowUpdatesAreNoDuplicateAcks) {
  ASSERT_TRUE(take(handover()).has_value());
  sent();
  for (uint16_t window = 10; window < 20; ++window) {
    TeardownSegment s = segment(kAck, kRcvNxt, kUna);
    s.window = window;
    deliver(s);
  }
  EXPECT_TRUE(sent().empty());
}

TEST_F(Teardowns, APartialAckInRecoveryResendsTheNextHole) {  // RFC 6582 §3.2
  ASSERT_TRUE(take(handover()).has_value());
  sent();
  deliver_ack(kUna + 1000);  // nothing was lost yet
  EXPECT_TRUE(sent().empty());
  pass(latest(kRto));
  EXPECT_EQ(sent().at(0).seq, kUna + 1000);
  deliver_ack(kUna + 2000);
  const std::vector<Sent> out = sent();
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(out[0].seq, kUna + 2000);
  EXPECT_EQ(out[0].flags, kFin | kPsh | kAck);
  deliver_ack(kEnd);
  EXPECT_TRUE(sent().empty());
  EXPECT_EQ(teardown_->counters().retransmitted_segments, 2u);
}

TEST_F(Teardowns, AnAcknowledgementStartsTheTimerAnew) {  // RFC 6298 (5.3)
  ASSERT_TRUE(take(handover()).has_value());
  sent();
  pass(kRto - milliseconds(10));
  deliver_ack(kUna + 1000);
  pass(kRto - milliseconds(10));
  EXPECT_TRUE(sent().empty());
  pass(latest(kRto) - kRto + milliseconds(10));
  EXPECT_EQ(sent().size(), 1u);
}

TEST_F(Teardowns, WithoutTimestampsTheBackOffOutlivesAnAmbiguousAck) {  // Karn
  for (const bool timestamps : {false, true}) {
    reset({});
    Handover h = handover();
    if (timestamps) h.timestamps = wire::Timestamps{1, 2};
    ASSERT_TRUE(take(h).has_value());
    sent();
    pass(latest(kRto));
    EXPECT_EQ(sent().size(), 1u);
    TeardownSegment ack = segment(kAck, kRcvNxt, kUna + 1000);
    if (timestamps) ack.timestamps = wire::Timestamps{3, 1};
    deliver(ack);
    EXPECT_EQ(sent().size(), 1u);
    pass(latest(kRto));
    EXPECT_EQ(sent().size(), timestamps ? 1u : 0u);
  }
}

TEST_F(Teardowns, HeldDataGoesAsItIsAcknowledged) {
  ASSERT_TRUE(take(handover()).has_value());
  sent();
  EXPECT_EQ(teardown_->held_bytes(), 3 * 1024u);
  deliver_ack(kUna + 2500);
  EXPECT_EQ(teardown_->held_bytes(), 1024u);
  deliver_ack(kEnd);
  EXPECT_EQ(teardown_->held_bytes(), 0u);
}

// ---- what arrives ----

TEST_F(Teardowns, TheReportTellsWhatHappenedOnce) {
  ASSERT_TRUE(take(handover()).has_value());
  sent();
  pass(latest(kRto));
  sent();
  deliver_ack(kEnd);
  deliver(segment(kFin | kAck, kRcvNxt, kEnd));
  ASSERT_EQ(reports_.size(), 1u);
  EXPECT_EQ(reports_[0].tuple, tuple(5000));
  EXPECT_EQ(reports_[0].end, TeardownEnd::kClosed);
  EXPECT_EQ(reports_[0].bytes, kBytes);
  EXPECT_EQ(reports_[0].acked, kBytes);
  EXPECT_EQ(reports_[0].retransmitted, 1u);
  EXPECT_EQ(reports_[0].lasted, latest(kRto));
  sent();
  pass(seconds(61));
  EXPECT_EQ(reports_.size(), 1u);
  expect_empty();
}

TEST_F(Teardowns, AResetReportsWhatWasAcknowledged) {
  ASSERT_TRUE(take(handover()).has_value());
  sent();
  deliver_ack(kUna + 1200);
  deliver(segment(kRst, kRcvNxt, {}));
  ASSERT_EQ(reports_.size(), 1u);
  EXPECT_EQ(reports_[0].end, TeardownEnd::kResetByPeer);
  EXPECT_EQ(reports_[0].acked, 1200u);
  expect_empty();
}

TEST_F(Teardowns, TheResetForDataIsExact) {
  ASSERT_TRUE(take(handover()).has_value());
  sent();
  deliver(segment(kAck, kRcvNxt, kUna + 1000, 10));
  const std::vector<Sent> out = sent();
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(out[0].flags, kRst | kAck);
  EXPECT_EQ(out[0].seq, kEnd);
  EXPECT_EQ(out[0].ack, kRcvNxt);
  EXPECT_EQ(deliver(segment(kAck, kRcvNxt, kUna)), Teardown::Outcome::kNotOurs);
  expect_empty();
}

TEST_F(Teardowns, RstsBeyondTheBoundOfABurstAreCountedNotSent) {
  for (uint16_t port = 1; port <= 300; ++port) ASSERT_TRUE(take(handover(port), 10).has_value());
  sent();
  for (uint16_t port = 1; port <= 300; ++port) {
    TeardownSegment s = segment(kAck, kRcvNxt, kUna, 1);
    s.tuple = tuple(port);
    deliver(s);
  }
  EXPECT_EQ(sent().size(), 256u);
  EXPECT_EQ(teardown_->counters().drop_reply_queue_full, 44u);
  expect_empty();
}

TEST_F(Teardowns, OldTimestampsAreRefused) {  // RFC 7323 §5.3
  Handover h = handover();
  h.timestamps = wire::Timestamps{.value = 1, .echo = 100};
  ASSERT_TRUE(take(h).has_value());
  sent();
  TeardownSegment s = segment(kAck, kRcvNxt, kEnd);
  s.timestamps = wire::Timestamps{99, 1};
  deliver(s);
  s.timestamps.reset();
  deliver(s);
  EXPECT_EQ(state(), "FIN-WAIT-1");
  EXPECT_EQ(teardown_->counters().drop_paws, 2u);
  s.timestamps = wire::Timestamps{101, 1};
  deliver(s);
  EXPECT_EQ(state(), "FIN-WAIT-2");
  s = segment(kFin | kAck, kRcvNxt, kEnd);
  s.timestamps = wire::Timestamps{105, 1};
  sent();
  deliver(s);
  EXPECT_EQ(sent().at(0).options.timestamps->echo, 105u);
}

TEST_F(Teardowns, ChallengeAcksAreLimited) {  // RFC 5961 §7
  reset({.challenge_acks_per_second = 5});
  ASSERT_TRUE(take(handover()).has_value());
  sent();
  size_t answers = 0;
  for (int i = 0; i < 20; ++i) {
    deliver(segment(kRst, kRcvNxt + 1, {}));
    answers += sent().size();
  }
  EXPECT_EQ(answers, 5u);
  EXPECT_EQ(teardown_->counters().challenge_acks_limited, 15u);
}

TEST_F(Teardowns, TwoEndsThatDisagreeDoNotAnswerEachOtherForever) {
  ASSERT_TRUE(take(handover()).has_value());
  sent();
  size_t answers = 0;
  for (int i = 0; i < 100; ++i) {
    deliver(segment(kAck, kRcvNxt - 5, kUna));
    answers += sent().size();
  }
  EXPECT_EQ(answers, 1u);
}

TEST_F(Teardowns, WhateverArrivesEveryFlowDrains) {
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    reset({.max_flows = 6});
    Rng rng(seed);
    const auto near = [&rng](SeqNum s) {
      const auto far = static_cast<uint32_t>(rng.next());
      return rng.chance(0.7) ? s + static_cast<uint32_t>(rng.below(3)) - 1 : s + far;
    };
    for (int step = 0; step < 300; ++step) {
      const auto port = static_cast<uint16_t>(1 + rng.below(8));
      Handover h = handover(port);
      h.peer_closed = rng.chance(0.3);
      if (rng.chance(0.3)) h.timestamps = wire::Timestamps{1, 100};
      if (rng.chance(0.2)) (void)take(h, static_cast<uint32_t>(rng.below(kBytes + 1)));
      const SeqNum acks[] = {kUna, kUna + 1000, kUna + 2000, kEnd};
      TeardownSegment s = segment(static_cast<uint8_t>(rng.next()), near(kRcvNxt),
                                  near(acks[rng.below(4)]), static_cast<uint32_t>(rng.below(3)));
      s.tuple = tuple(port);
      s.to_listener = rng.chance(0.5);
      if (rng.chance(0.5)) s.timestamps = wire::Timestamps{static_cast<uint32_t>(99 + step), 1};
      deliver(s);
      if (rng.chance(0.5)) sent();
      if (rng.chance(0.2)) pass(milliseconds(static_cast<int64_t>(rng.below(500))));
    }
    while (teardown_->size() > 0) {
      sent();
      pass(seconds(1));
      ASSERT_LT(now_, kStart + hours(1)) << "seed " << seed;
    }
    ASSERT_EQ(reports_.size(), teardown_->counters().taken) << "seed " << seed;
    sent();
    expect_empty();
  }
}

TEST_F(Teardowns, AnotherConnectionsPacketsAreNotOurs) {
  ASSERT_TRUE(take(handover()).has_value());
  TeardownSegment s = segment(kAck, kRcvNxt, kUna);
  s.tuple = tuple(5001);
  EXPECT_EQ(deliver(s), Teardown::Outcome::kNotOurs);
}

// ---- TIME-WAIT ----

class InTimeWait : public Teardowns {
 protected:
  void enter(std::optional<wire::Timestamps> timestamps = {}, uint16_t port = 5000) {
    Handover h = handover(port);
    h.timestamps = timestamps;
    ASSERT_TRUE(take(h).has_value());
    sent();
    TeardownSegment s = segment(kFin | kAck, kRcvNxt, kEnd);
    s.tuple = tuple(port);
    s.timestamps = timestamps ? std::optional(wire::Timestamps{timestamps->echo, 0}) : std::nullopt;
    deliver(s);
    sent();
    ASSERT_EQ(state(port), "TIME-WAIT");
  }
  static TeardownSegment syn(SeqNum seq, std::optional<uint32_t> ts = {}) {
    TeardownSegment s = segment(kSyn, seq, {});
    if (ts) s.timestamps = wire::Timestamps{*ts, 0};
    s.to_listener = true;
    return s;
  }
};

TEST_F(InTimeWait, ItEndsAfterTwoMslAndAFinStartsItAnew) {
  enter();
  pass(seconds(59));
  deliver(segment(kFin | kAck, kRcvNxt, kEnd));
  EXPECT_EQ(sent().size(), 1u);
  pass(seconds(59));
  EXPECT_EQ(state(), "TIME-WAIT");
  pass(seconds(1));
  expect_empty();
}

TEST_F(InTimeWait, AResetDoesNotEndIt) {  // RFC 1337
  enter();
  deliver(segment(kRst, kRcvNxt + 1, {}));
  EXPECT_EQ(state(), "TIME-WAIT");
  EXPECT_EQ(teardown_->counters().time_wait_reset_ignored, 1u);
}

TEST_F(InTimeWait, WhichSynsReopenIt) {  // RFC 6191 §2
  const SeqNum above = kRcvNxt + 2, below = kRcvNxt;
  struct Case {
    std::optional<wire::Timestamps> agreed;
    SeqNum seq;
    std::optional<uint32_t> ts;
    bool reopens;
  };
  const wire::Timestamps agreed{1, 100};
  const Case cases[] = {
      {{}, above, {}, true},      {{}, below, {}, false},     {{}, above, 5, true},
      {agreed, below, 101, true}, {agreed, above, 100, true}, {agreed, below, 100, false},
      {agreed, above, 99, false}, {agreed, above, {}, true},  {agreed, below, {}, false},
  };
  for (const Case& c : cases) {
    reset({});
    enter(c.agreed);
    const Teardown::Verdict verdict = teardown_->on_segment(syn(c.seq, c.ts), now_);
    EXPECT_EQ(verdict.outcome == Teardown::Outcome::kReopened, c.reopens) << &c - cases;
    EXPECT_EQ(teardown_->size(), c.reopens ? 0u : 1u);
    if (c.reopens) EXPECT_EQ(verdict.isn_above, kEnd);
    if (!c.reopens) EXPECT_EQ(sent().size(), 1u);
  }
}

TEST_F(InTimeWait, GivesWayToOursAfterASecondWithTimestamps) {
  enter(wire::Timestamps{1, 100});
  EXPECT_FALSE(teardown_->give_way(tuple(5000), now_));
  now_ += seconds(1);
  EXPECT_TRUE(teardown_->give_way(tuple(5000), now_));
  expect_empty();
  EXPECT_TRUE(teardown_->give_way(tuple(5000), now_));
  enter();
  now_ += seconds(10);
  EXPECT_FALSE(teardown_->give_way(tuple(5000), now_));
}

// ---- bounds ----

TEST_F(InTimeWait, AtTheBoundTheOldestInTimeWaitGoesAndWithoutOneItRefuses) {
  reset({.max_flows = 2});
  enter({}, 1);
  enter({}, 2);
  ASSERT_TRUE(take(handover(3)).has_value());
  EXPECT_FALSE(teardown_->state(tuple(1)).has_value());
  EXPECT_TRUE(teardown_->state(tuple(2)).has_value());
  ASSERT_TRUE(take(handover(4)).has_value());
  EXPECT_EQ(teardown_->counters().time_wait_recycled, 2u);
  EXPECT_EQ(take(handover(5)).error(), TeardownRefusal::kFull);
  EXPECT_EQ(teardown_->counters().refused_full, 1u);
  EXPECT_EQ(teardown_->active(), 2u);
}

TEST_F(Teardowns, RefusesWhatItCannotHoldAndNothingChanges) {
  reset({.max_flows = 10, .max_held_bytes = 4096});
  Handover h = handover(1);
  h.send_window = kWindow;
  EXPECT_TRUE(take(h, 3 * HeldChunk::kCapacity).has_value());
  h.tuple = tuple(2);
  EXPECT_EQ(take(h, HeldChunk::kCapacity + 1).error(), TeardownRefusal::kBytes);
  EXPECT_TRUE(take(h, HeldChunk::kCapacity).has_value());
  EXPECT_EQ(take(h, 0).error(), TeardownRefusal::kInUse);
  EXPECT_EQ(take(handover(3), kBytes + 1).error(), TeardownRefusal::kWindow);
  EXPECT_EQ(teardown_->size(), 2u);
  EXPECT_EQ(teardown_->counters().refused_bytes, 1u);
  EXPECT_EQ(teardown_->counters().refused_in_use, 1u);
  EXPECT_EQ(teardown_->counters().refused_window, 1u);
}

TEST_F(Teardowns, AHandOverThatContradictsItselfIsRefused) {
  const auto refuses = [this](const auto& spoil) {
    Handover h = handover();
    spoil(h);
    return take(h) == std::unexpected(TeardownRefusal::kInvalid);
  };
  EXPECT_TRUE(refuses([](Handover& h) { h.mss = 0; }));
  EXPECT_TRUE(refuses([](Handover& h) { h.rto = {}; }));
  EXPECT_TRUE(refuses([](Handover& h) { h.snd_nxt = kUna - 1; }));
  EXPECT_TRUE(refuses([](Handover& h) { h.snd_nxt = kUna + kBytes + 2; }));
  EXPECT_TRUE(refuses([](Handover& h) { h.receive_window = 0x8000'0000; }));
  EXPECT_EQ(teardown_->counters().refused_invalid, 5u);
  expect_empty();
}

TEST_F(Teardowns, IdsAreUsedAgain) {
  reset({.max_flows = 4});
  for (int round = 0; round < 1000; ++round) {
    for (uint16_t port = 1; port <= 4; ++port) {
      Handover h = handover(port);
      h.peer_closed = true;
      ASSERT_TRUE(take(h).has_value());
    }
    sent();
    for (uint16_t port = 1; port <= 4; ++port) {
      TeardownSegment s = segment(kAck, kRcvNxt, kEnd);
      s.tuple = tuple(port);
      deliver(s);
    }
    now_ += microseconds(50);
    teardown_->on_timer(now_);
  }
  EXPECT_EQ(teardown_->counters().closed, 4000u);
  expect_empty();
}

TEST_F(Teardowns, AProvenHandshakeEndsAFlowUnlessItAcknowledgesTheFlowsData) {
  ASSERT_TRUE(take(handover()).has_value());
  EXPECT_FALSE(teardown_->yield_to(tuple(5000), kUna, 1, now_));
  EXPECT_FALSE(teardown_->yield_to(tuple(5000), kEnd, 1, now_));
  EXPECT_EQ(state(), "FIN-WAIT-1");
  EXPECT_TRUE(teardown_->yield_to(tuple(5000), kEnd + 1, 1, now_));
  EXPECT_EQ(state(), "reset by peer");
}

TEST_F(Teardowns, WhatIsLeftIsReportedWhenItIsDestroyed) {
  ASSERT_TRUE(take(handover()).has_value());
  teardown_.reset();
  ASSERT_EQ(reports_.size(), 1u);
  EXPECT_EQ(reports_[0].end, TeardownEnd::kRemoved);
}

TEST_F(Teardowns, EveryCounterHasAName) {
  std::map<std::string_view, uint64_t> all;
  teardown_->counters().for_each([&](std::string_view name, uint64_t value) { all[name] = value; });
  EXPECT_EQ(all.size() * sizeof(uint64_t), sizeof(TeardownCounters));
}

}  // namespace
}  // namespace fairlead::nic
