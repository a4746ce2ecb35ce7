// Splices found in the kernel's table, over a seat that is a table in this process.
#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <string>

#include "nic/splice/splice_table.h"

namespace fairlead::nic {
namespace {

constexpr uint16_t kShard = 3;
const Time kNow{seconds(1000)};

class FakeRouter : public port::Router {
 public:
  Result<port::Path> resolve(const IpAddress& remote) override {
    ++asked;
    if (!reachable) return fail(Errc::kWouldBlock);
    port::Path path;
    path.gateway = remote;
    path.mtu = mtu;
    return path;
  }
  std::optional<IpAddress> source_for(const IpAddress&) override { return std::nullopt; }
  std::optional<uint16_t> mtu_for(const IpAddress&) const override { return mtu; }
  uint64_t generation() const override { return generation_number; }
  bool is_local(const IpAddress&) const override { return true; }

  uint64_t generation_number = 1;
  uint64_t asked = 0;
  uint16_t mtu = 1500;
  bool reachable = true;
};

class FakeSeat : public KernelSeat {
 public:
  SpliceSeat seat() const override { return SpliceSeat::kTc; }
  Result<void> install(const SpliceRecords& records) override {
    rule(records.from_client) = records.from_client.rule;
    rule(records.from_server) = records.from_server.rule;
    return {};
  }
  Result<void> rewire(const SpliceRecords& records) override {
    if (!has_way) return fail(Errc::kNotSupported);
    for (const SpliceRecord* record : {&records.from_client, &records.from_server}) {
      set_way(rule(*record), way_of(record->rule));
      rule(*record).shard = record->rule.shard;
    }
    return {};
  }
  void send_up(const SpliceRecords& records) override {
    for (const SpliceRecord* record : {&records.from_client, &records.from_server}) {
      const auto found = rules.find(name(*record));
      if (found == rules.end()) continue;
      found->second.state |= FL_SPLICE_SENT_UP;
      found->second.shard = record->rule.shard;
    }
  }
  bool read(SpliceRecords& records) override {
    if (rules.empty()) return false;
    records.from_client.rule = rule(records.from_client);
    records.from_server.rule = rule(records.from_server);
    return true;
  }
  bool remove(SpliceRecords& records) override {
    const bool both = read(records);
    rules.erase(name(records.from_client));
    rules.erase(name(records.from_server));
    return both;
  }
  void poll_events(unsigned, const std::function<void(const fl_splice_event&)>&) override {}
  int event_fd(unsigned) const override { return -1; }
  uint64_t events_lost() const override { return lost; }

  fl_splice_rule& rule(const SpliceRecord& record) { return rules[name(record)]; }

  std::map<std::string, fl_splice_rule> rules;
  bool has_way = true;
  uint64_t lost = 0;

 private:
  static std::string name(const SpliceRecord& record) {
    return {reinterpret_cast<const char*>(&record.key), sizeof record.key};
  }
};

SplicePair pair_number(uint16_t n) {
  const auto address = [](std::string_view text) { return *IpAddress::parse(text); };
  const SpliceWay way{.interface = 2, .next_hop = address("10.0.0.1")};
  return {.client = {{address("10.0.0.2"), 80}, {address("10.0.0.1"), n}},
          .server = {{address("10.0.0.2"), n}, {address("10.0.0.1"), 60000}},
          .scales = {},
          .to_server = way,
          .to_client = way,
          .generation = n};
}

class SpliceAdoption : public testing::Test {
 protected:
  SpliceAdoption() { table.use_kernel_seat(&seat, {2}); }
  ~SpliceAdoption() override { table.use_kernel_seat(nullptr); }

  SpliceRecords put(uint16_t n) {
    const SpliceRecords records = records_of(pair_number(n));
    EXPECT_TRUE(seat.install(records));
    return records;
  }
  bool adopt(uint16_t n, bool split = false) {
    return table.adopt(pair_number(n), {.shard = kShard, .split = split ? &splits : nullptr}, kNow);
  }
  fl_splice_event event(const SpliceRecord& record, fl_splice_event_kind kind) const {
    fl_splice_event out{};
    out.key = record.key;
    out.generation = record.rule.generation;
    out.kind = kind;
    return out;
  }

  FakeRouter router;
  FakeSeat seat;
  SplitTuples splits;
  SpliceTable table{{.max_splices = 2000, .max_over = 16}, router, SipKey{}, kNow};
};

TEST_F(SpliceAdoption, ItsAddressesAreInUseAndItsRulesAreThisShards) {
  const SpliceRecords records = put(1);
  ASSERT_TRUE(adopt(1));
  EXPECT_FALSE(table.give_way(pair_number(1).server, kNow));
  EXPECT_EQ(seat.rule(records.from_client).shard, kShard);
  EXPECT_EQ(seat.rule(records.from_server).shard, kShard);
  table.for_each([](const Splice& splice) { EXPECT_EQ(splice.seat, SpliceSeat::kTc); });
}

TEST_F(SpliceAdoption, TheIdleTimerRunsFromTheLastPacket) {
  SpliceRecords records = put(1);
  const Time last = kNow - hours(23);
  seat.rule(records.from_client).last_at = static_cast<uint64_t>(last.time_since_epoch().count());
  ASSERT_TRUE(adopt(1));
  EXPECT_LE(*table.next_deadline(), kNow + hours(24) + seconds(10));
  table.on_timer(kNow + hours(25));
  EXPECT_EQ(table.size(), 0u);
  EXPECT_TRUE(seat.rules.empty());
}

TEST_F(SpliceAdoption, BothEndsOfOneThatIsIdleForTooLongAreReset) {
  put(1);
  ASSERT_TRUE(adopt(1));
  table.on_timer(kNow + hours(23));
  EXPECT_TRUE(table.take_idle_resets().empty());
  table.on_timer(kNow + hours(25));
  const auto resets = table.take_idle_resets();
  ASSERT_EQ(resets.size(), 2u);
  EXPECT_EQ(resets[0].tuple, pair_number(1).client);
  EXPECT_EQ(resets[1].tuple, pair_number(1).server);
  EXPECT_TRUE(table.take_idle_resets().empty());
}

TEST_F(SpliceAdoption, AFinThatTheKernelHasPassedOnIsFoundByLooking) {
  SpliceRecords records = put(1);
  ASSERT_TRUE(adopt(1));
  table.for_each([&](Splice& splice) {
    table.set_options(splice, {.half_closed_timeout = minutes(5)}, kNow);
  });
  const Time last = kNow + minutes(12);
  fl_splice_rule& rule = seat.rule(records.from_server);
  rule.last_at = static_cast<uint64_t>(last.time_since_epoch().count());
  rule.state = FL_SPLICE_PEER_FIN | FL_SPLICE_PEER_FIN_ACKED;
  table.on_timer(last + minutes(4));
  EXPECT_EQ(table.size(), 1u);
  table.on_timer(last + minutes(11));
  EXPECT_EQ(table.size(), 0u);
}

TEST_F(SpliceAdoption, AtTheEndOnlyTheKernelsOwnCanBeLeft) {
  put(1);
  ASSERT_TRUE(adopt(1));
  EXPECT_TRUE(table.reset_all(SunkSplices::kLeave).empty());
  EXPECT_EQ(table.size(), 1u);
  EXPECT_EQ(seat.rules.size(), 2u);
  EXPECT_EQ(table.reset_all(SunkSplices::kReset).size(), 2u);
  EXPECT_EQ(table.size(), 0u);
  EXPECT_TRUE(seat.rules.empty());
}

TEST_F(SpliceAdoption, OneThatIsOverAlreadyWaitsForLatePacketsAndGoes) {
  SpliceRecords records = put(1);
  seat.rule(records.from_client).state = FL_SPLICE_OVER;
  seat.rule(records.from_server).state = FL_SPLICE_OVER;
  ASSERT_TRUE(adopt(1));
  EXPECT_EQ(table.active(), 0u);
  EXPECT_TRUE(seat.rules.empty());
  table.on_timer(kNow + minutes(2));
  EXPECT_EQ(table.size(), 0u);
}

TEST_F(SpliceAdoption, BeyondTheBoundRulesAreTakenOut) {
  for (uint16_t n = 1; n <= 2000; ++n) {
    put(n);
    ASSERT_TRUE(adopt(n));
  }
  put(2001);
  EXPECT_FALSE(adopt(2001));
  EXPECT_EQ(seat.rules.size(), 4000u);
  EXPECT_EQ(table.counters().adopt_refused, 1u);
}

TEST_F(SpliceAdoption, AWayOutWithoutASeatBringsItIntoTheProcess) {
  put(1);
  seat.has_way = false;
  ASSERT_TRUE(adopt(1));
  EXPECT_TRUE(seat.rules.empty());
  table.for_each([](const Splice& splice) { EXPECT_EQ(splice.seat, SpliceSeat::kUser); });
}

TEST_F(SpliceAdoption, ASplitOnesRulesStayUntilItIsForgotten) {
  SpliceRecords records = put(1);
  ASSERT_TRUE(adopt(1, true));
  seat.rule(records.from_client).state = FL_SPLICE_OVER;
  seat.rule(records.from_server).state = FL_SPLICE_OVER;
  table.on_event(event(records.from_client, FL_SPLICE_EVENT_OVER), kNow);
  EXPECT_EQ(table.active(), 0u);
  EXPECT_EQ(seat.rules.size(), 2u);
  table.on_timer(kNow + minutes(2));
  EXPECT_TRUE(seat.rules.empty());
}

TEST_F(SpliceAdoption, ASplitOnesAddressesAreFreeWhenItsRulesAreGone) {
  SpliceRecords records = put(1);
  put(2);
  ASSERT_TRUE(adopt(1, true));
  ASSERT_TRUE(adopt(2));
  const auto are_kept = [this](uint16_t n) {
    const SplicePair pair = pair_number(n);
    EXPECT_EQ(splits.contains(pair.client), splits.contains(pair.server));
    return splits.contains(pair.server);
  };
  EXPECT_TRUE(are_kept(1));
  EXPECT_FALSE(are_kept(2));
  seat.rule(records.from_client).state = FL_SPLICE_OVER;
  seat.rule(records.from_server).state = FL_SPLICE_OVER;
  table.on_event(event(records.from_client, FL_SPLICE_EVENT_OVER), kNow);
  EXPECT_TRUE(are_kept(1));  // late packets are still on their way
  table.on_timer(kNow + minutes(2));
  EXPECT_FALSE(are_kept(1));
}

TEST_F(SpliceAdoption, ASplitOneThatComesIntoTheProcessIsStillBroughtThereByItsRules) {
  SpliceRecords records = put(1);
  ASSERT_TRUE(adopt(1, true));
  seat.rule(records.from_client).bytes = 1000;
  seat.rule(records.from_server).state = FL_SPLICE_PEER_FIN;
  seat.has_way = false;
  router.mtu = 1400;
  ++router.generation_number;
  table.on_timer(kNow);
  ASSERT_EQ(seat.rules.size(), 2u);
  for (const auto& [name, rule] : seat.rules) {
    EXPECT_NE(rule.state & FL_SPLICE_SENT_UP, 0u);
    EXPECT_EQ(rule.shard, kShard);
  }
  table.for_each([&](Splice& splice) {
    EXPECT_EQ(splice.seat, SpliceSeat::kUser);
    EXPECT_EQ(splice.state(), FL_SPLICE_PEER_FIN);
    EXPECT_EQ(table.status(splice).flows[Splice::kUp].bytes, 1000u);
  });
  EXPECT_TRUE(splits.contains(pair_number(1).server));
  table.on_timer(kNow + hours(50));
  EXPECT_EQ(table.size(), 0u);
  EXPECT_TRUE(seat.rules.empty());
  EXPECT_FALSE(splits.contains(pair_number(1).server));
}

TEST_F(SpliceAdoption, TheEndOfASplitOneInTheProcessIsSeenThere) {
  put(1);
  seat.has_way = false;
  ASSERT_TRUE(adopt(1, true));
  ASSERT_EQ(seat.rules.size(), 2u);
  for (const auto& [name, rule] : seat.rules) EXPECT_EQ(rule.shard, kShard);
  EXPECT_EQ(table.reset_all(SunkSplices::kLeave).size(), 2u) << "nobody would translate it";
  EXPECT_TRUE(seat.rules.empty());
}

TEST_F(SpliceAdoption, ASplitOneBeyondTheBoundKeepsNoAddresses) {
  SpliceTable full({.max_splices = 0}, router, SipKey{}, kNow);
  full.use_kernel_seat(&seat, {2});
  put(1);
  EXPECT_FALSE(full.adopt(pair_number(1), {.shard = kShard, .split = &splits}, kNow));
  EXPECT_FALSE(splits.contains(pair_number(1).server));
}

TEST_F(SpliceAdoption, ASplitOneOutlivesADoubtfulReset) {
  SpliceRecords records = put(1);
  ASSERT_TRUE(adopt(1, true));
  seat.rule(records.from_client).state = FL_SPLICE_RESET;
  table.on_event(event(records.from_client, FL_SPLICE_EVENT_RESET), kNow);
  seat.rule(records.from_server).packets = 5;
  table.on_timer(kNow + seconds(20));
  EXPECT_EQ(table.counters().resets_doubted, 1u);
  EXPECT_EQ(table.size(), 1u);
}

TEST_F(SpliceAdoption, WhatWasOnItsWayDoesNotDoubtAResetThatMustBeBelieved) {
  SpliceRecords records = put(1);
  ASSERT_TRUE(adopt(1, true));
  seat.rule(records.from_client).state = FL_SPLICE_RESET | FL_SPLICE_RESET_EXACT;
  table.on_event(event(records.from_client, FL_SPLICE_EVENT_RESET), kNow);
  seat.rule(records.from_server).packets = 20;
  seat.rule(records.from_client).packets = 20;
  table.on_timer(kNow + seconds(20));
  EXPECT_EQ(table.counters().resets_doubted, 0u);
  EXPECT_EQ(table.size(), 0u);
}

TEST_F(SpliceAdoption, TheAnswerThatCameBeforeTheEventDoubtsAReset) {
  SpliceRecords records = put(1);
  ASSERT_TRUE(adopt(1));
  seat.rule(records.from_client).state = FL_SPLICE_RESET;
  seat.rule(records.from_server).packets = 1;
  table.on_event(event(records.from_client, FL_SPLICE_EVENT_RESET), kNow);
  table.on_timer(kNow + seconds(20));
  EXPECT_EQ(table.counters().resets_doubted, 1u);
  EXPECT_EQ(table.size(), 1u);
}

class SpliceLostEvent : public SpliceAdoption, public testing::WithParamInterface<uint32_t> {};

TEST_P(SpliceLostEvent, TheEndIsFoundByLooking) {
  const SpliceRecords records = put(1);
  ASSERT_TRUE(adopt(1));
  seat.rule(records.from_client).state = seat.rule(records.from_server).state = GetParam();
  table.on_timer(kNow + hours(25));
  EXPECT_EQ(table.size(), 1u);  // it waits for late packets
  table.on_timer(kNow + hours(26));
  EXPECT_EQ(table.size(), 0u);
  EXPECT_TRUE(table.take_idle_resets().empty());
}

INSTANTIATE_TEST_SUITE_P(, SpliceLostEvent, testing::Values(FL_SPLICE_OVER, FL_SPLICE_RESET));

class SpliceSweep : public SpliceAdoption {
 protected:
  /// What has sunk, and whose end nobody will be told of.
  void end_unheard(uint16_t n, uint32_t state = FL_SPLICE_OVER) {
    const SpliceRecords records = put(n);
    ASSERT_TRUE(adopt(n));
    seat.rule(records.from_client).state = seat.rule(records.from_server).state = state;
  }
  /// As a shard: whenever there is something to do, until `end`.
  void run_until(Time end) {
    while (const std::optional<Time> next = table.next_deadline()) {
      if (*next > end) break;
      now = std::max(now, *next);
      table.on_timer(now);
      ++turns;
    }
  }

  Time now = kNow;
  int turns = 0;
};

TEST_F(SpliceSweep, EndsThatNobodyWasToldOfAreFoundSoon) {
  end_unheard(1);
  end_unheard(2, FL_SPLICE_RESET | FL_SPLICE_RESET_EXACT);
  put(3);
  ASSERT_TRUE(adopt(3));
  seat.lost = 2;
  run_until(kNow + seconds(2));
  EXPECT_EQ(table.counters().sweeps, 1u);
  EXPECT_EQ(table.active(), 2u);     // 2 waits for what may follow its RST
  EXPECT_EQ(seat.rules.size(), 2u);  // 3's
  run_until(kNow + minutes(2));
  EXPECT_EQ(table.size(), 1u);
  EXPECT_EQ(table.counters().sweeps, 1u);
}

TEST_F(SpliceSweep, RulesThatMadeRoomForANewConnectionAreMissed) {
  put(1);
  ASSERT_TRUE(adopt(1));
  seat.rules.clear();
  seat.lost = 1;
  run_until(kNow + seconds(2));
  EXPECT_EQ(table.size(), 0u);
}

TEST_F(SpliceSweep, NothingIsLookedAtWhileNothingIsLost) {
  end_unheard(1);
  run_until(kNow + minutes(1));
  EXPECT_EQ(table.active(), 1u);
  EXPECT_EQ(table.counters().sweeps, 0u);
  EXPECT_LE(turns, 70);
}

TEST_F(SpliceSweep, EveryLossIsAnswered) {
  for (uint16_t n = 1; n <= 3; ++n) {
    end_unheard(n);
    ++seat.lost;
    run_until(kNow + seconds(2 * n));
    EXPECT_EQ(table.active(), 0u);
    EXPECT_EQ(table.counters().sweeps, n);
  }
}

TEST_F(SpliceSweep, GoesInStepsAlsoWhileRoutesChange) {
  for (uint16_t n = 1; n <= 2000; ++n) {
    put(n);
    ASSERT_TRUE(adopt(n));
  }
  for (uint16_t n = 10; n <= 2000; n += 10) {
    SpliceRecords records = records_of(pair_number(n));
    seat.rule(records.from_client).state = seat.rule(records.from_server).state = FL_SPLICE_OVER;
  }
  seat.lost = 1;
  router.mtu = 1400;
  ++router.generation_number;
  table.on_timer(kNow);
  EXPECT_GE(table.active(), 2000u - 26);  // 256 were looked at
  run_until(kNow);
  EXPECT_EQ(table.active(), 1800u);
  EXPECT_EQ(table.counters().sweeps, 1u);
  for (const auto& [name, rule] : seat.rules) EXPECT_EQ(rule.mtu, 1400);
}

TEST_F(SpliceSweep, ASplitOneThatIsOverIsTakenOnce) {
  const SpliceRecords records = put(1);
  ASSERT_TRUE(adopt(1, true));
  seat.rule(records.from_client).state = seat.rule(records.from_server).state = FL_SPLICE_OVER;
  for (int second = 0; second < 70; second += 2) {
    ++seat.lost;
    run_until(kNow + seconds(second));
  }
  EXPECT_EQ(table.size(), 0u);  // its time was not begun anew
  EXPECT_EQ(table.counters().ended, 1u);
}

TEST_F(SpliceAdoption, OneWhoseRulesAreGoneIsForgotten) {
  put(1);
  ASSERT_TRUE(adopt(1));
  seat.rules.clear();
  table.on_timer(kNow + hours(25));
  EXPECT_EQ(table.size(), 0u);
  EXPECT_TRUE(table.take_idle_resets().empty());
}

TEST_F(SpliceAdoption, RoutesAreFollowedInStepsAndOnlyChangesAreWritten) {
  for (uint16_t n = 1; n <= 1000; ++n) {
    put(n);
    ASSERT_TRUE(adopt(n));
  }
  table.on_timer(kNow);
  ++router.generation_number;  // an answer like the one before
  while (table.on_timer(kNow), *table.next_deadline() <= kNow) {
  }
  EXPECT_EQ(table.counters().rewired, 0u);
  router.mtu = 1400;
  ++router.generation_number;
  table.on_timer(kNow);
  const uint64_t step = table.counters().rewired;
  EXPECT_GT(step, 0u);
  EXPECT_LT(step, 1000u);
  while (*table.next_deadline() <= kNow) table.on_timer(kNow);
  EXPECT_EQ(table.counters().rewired, 1000u);
  for (const auto& [name, rule] : seat.rules) EXPECT_EQ(rule.mtu, 1400);
}

TEST_F(SpliceAdoption, AWayThatIsNotKnownNowIsLookedUpAgain) {
  const SpliceRecords records = put(1);
  ASSERT_TRUE(adopt(1));
  router.reachable = false;
  router.mtu = 1400;
  ++router.generation_number;
  table.on_timer(kNow);
  EXPECT_EQ(seat.rule(records.from_client).mtu, 1500);
  router.reachable = true;
  ++router.generation_number;
  table.on_timer(kNow);
  EXPECT_EQ(seat.rule(records.from_client).mtu, 1400);
}

}  // namespace
}  // namespace fairlead::nic
