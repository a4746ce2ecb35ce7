#include "nic/teardown/timer_bitmap_wheel.h"

#include <gtest/gtest.h>

#include <array>
#include <map>
#include <optional>
#include <queue>
#include <vector>

#include "base/random.h"

namespace fairlead::nic {
namespace {

constexpr Time kStart{seconds(1000)};
using Alarm = TimerBitmapWheel::Alarm;

/// A wheel and what its user keeps per flow.
struct Wheel {
  explicit Wheel(const TimerBitmapWheel::Options& options, Time start = kStart)
      : wheel(options, start), alarms(options.flows) {}

  void set(uint32_t flow, Time deadline) { alarms[flow] = wheel.set(flow, deadline); }
  bool clear(uint32_t flow) { return wheel.clear(flow, alarms[flow].slot); }
  std::vector<uint32_t> expire(Time now) {
    std::vector<uint32_t> due;
    for (uint32_t region = 0; region < wheel.regions(); ++region) {
      wheel.expire(region, now, [&](uint32_t flow) {
        if (alarms[flow].turns-- > 0) return wheel.again(flow, alarms[flow].slot);
        due.push_back(flow);
      });
    }
    return due;
  }

  TimerBitmapWheel wheel;
  std::vector<Alarm> alarms;
};

TEST(TimerBitmapWheel, ATimerComesUpOnceAtTheEndOfTheIntervalItsDeadlineLiesIn) {
  Wheel w({.flows = 100});
  w.set(7, kStart + microseconds(250));
  w.set(64, kStart + microseconds(300));
  EXPECT_EQ(w.wheel.next_deadline(0), kStart + microseconds(300));
  EXPECT_TRUE(w.expire(kStart + microseconds(299)).empty());
  EXPECT_EQ(w.expire(kStart + microseconds(300)), (std::vector<uint32_t>{7, 64}));
  EXPECT_EQ(w.wheel.next_deadline(0), std::nullopt);
  EXPECT_TRUE(w.expire(kStart + seconds(1)).empty());
}

TEST(TimerBitmapWheel, ADeadlineInThePastComesUpWithTheNextInterval) {
  Wheel w({.flows = 64});
  w.set(3, kStart - seconds(5));
  EXPECT_TRUE(w.expire(kStart).empty());
  EXPECT_EQ(w.expire(kStart + microseconds(100)), std::vector<uint32_t>{3});
}

TEST(TimerBitmapWheel, WhatIsClearedDoesNotComeUpAndClearSaysWhoWasFirst) {
  Wheel w({.flows = 64});
  w.set(1, kStart + milliseconds(1));
  w.set(2, kStart + milliseconds(1));
  EXPECT_TRUE(w.clear(1));
  EXPECT_FALSE(w.clear(1));
  EXPECT_EQ(w.expire(kStart + milliseconds(2)), std::vector<uint32_t>{2});
  EXPECT_FALSE(w.clear(2));
}

TEST(TimerBitmapWheel, BeyondTheWheelTurnsAreCounted) {
  for (int64_t intervals : {63, 64, 65, 127, 128, 129, 6400, 64 * 65535}) {
    Wheel w({.flows = 64, .slots = 64});
    const Time due = kStart + microseconds(100) * intervals;
    w.set(5, due);
    EXPECT_TRUE(w.expire(due - Duration(1)).empty()) << intervals;
    EXPECT_EQ(w.expire(due), std::vector<uint32_t>{5}) << intervals;
  }
}

TEST(TimerBitmapWheel, ALateExpiryStillGivesEachTimerOnce) {
  Wheel w({.flows = 256, .slots = 64});
  for (uint32_t flow = 0; flow < 256; ++flow) w.set(flow, kStart + milliseconds(flow));
  EXPECT_EQ(w.expire(kStart + seconds(1)).size(), 256u);
  EXPECT_TRUE(w.expire(kStart + seconds(2)).empty());
}

TEST(TimerBitmapWheel, SkippingTimeCostsNoStepsAndLosesNothingSetAfterwards) {
  Wheel w({.flows = 64});
  w.wheel.skip(0, kStart + hours(24 * 365));
  w.set(9, kStart + hours(24 * 365) + milliseconds(1));
  EXPECT_EQ(w.expire(kStart + hours(24 * 365) + milliseconds(1)), std::vector<uint32_t>{9});
}

TEST(TimerBitmapWheel, RegionsAreScannedIndependently) {
  Wheel w({.flows = 2048, .regions = 4});
  for (uint32_t flow = 0; flow < 2048; flow += 100) w.set(flow, kStart + milliseconds(1));
  for (uint32_t region = 4; region-- > 0;) {
    std::vector<uint32_t> up;
    w.wheel.expire(region, kStart + milliseconds(1), [&](uint32_t flow) { up.push_back(flow); });
    EXPECT_EQ(up.size(), region == 0 ? 6u : 5u) << region;
    for (uint32_t flow : up) EXPECT_EQ(w.wheel.region_of(flow), region);
    EXPECT_EQ(w.wheel.next_deadline(region), std::nullopt);
  }
}

TEST(TimerBitmapWheel, TakesSlotsTimesFlowsBits) {
  EXPECT_EQ(TimerBitmapWheel({.flows = 1 << 16}, kStart).memory_bytes(), size_t{8} << 20);
}

TEST(TimerBitmapWheelDeathTest, WhatIsOutOfBoundsIsABug) {
  TimerBitmapWheel wheel({.flows = 64, .slots = 64}, kStart);
  EXPECT_DEATH(wheel.set(64, kStart), "CHECK failed");
  wheel.set(0, kStart + wheel.longest() - wheel.interval());
  EXPECT_DEATH(wheel.set(1, kStart + wheel.longest() + 100 * wheel.interval()), "CHECK failed");
  EXPECT_DEATH(TimerBitmapWheel({.slots = 100}, kStart), "CHECK failed");
  EXPECT_DEATH(TimerBitmapWheel({.flows = 512, .regions = 2}, kStart), "CHECK failed");
}

/// The model: a queue of all that was ever set, in the order of the deadlines.
class Model {
 public:
  void set(uint32_t flow, Time deadline) {
    live_[flow] = deadline;
    queue_.push({deadline, flow});
  }
  void clear(uint32_t flow) { live_.erase(flow); }
  bool has(uint32_t flow) const { return live_.contains(flow); }
  Time deadline(uint32_t flow) const { return live_.at(flow); }
  size_t size() const { return live_.size(); }
  /// A timer that should have come up before `t`; nullopt: none.
  std::optional<uint32_t> overdue(Time t) {
    while (!queue_.empty() && queue_.top().first < t) {
      const auto [deadline, flow] = queue_.top();
      if (has(flow) && live_.at(flow) == deadline) return flow;
      queue_.pop();
    }
    return std::nullopt;
  }

 private:
  using Entry = std::pair<Time, uint32_t>;
  std::priority_queue<Entry, std::vector<Entry>, std::greater<>> queue_;
  std::map<uint32_t, Time> live_;
};

/// Random operations on a wheel and on the model; the timers that come up are set again at times.
class Race {
 public:
  explicit Race(uint64_t seed)
      : rng_(seed),
        options_{.flows = static_cast<uint32_t>(512 + rng_.below(2048)),
                 .slots = 64u << rng_.below(4),
                 .regions = 1,
                 .interval = microseconds(static_cast<int64_t>(1 + rng_.below(300)))},
        now_(Duration(static_cast<int64_t>(rng_.below(1'000'000'000'000)))),
        wheel_(options_, now_),
        alarms_(options_.flows),
        late_(options_.flows) {}

  void run() {
    for (int step = 0; step < 3000; ++step) {
      const auto flow = static_cast<uint32_t>(rng_.below(options_.flows));
      if (!model_.has(flow)) {
        set(flow, 1);
      } else if (rng_.chance(0.5)) {
        ASSERT_TRUE(wheel_.clear(flow, alarms_[flow].slot)) << "flow " << flow;
        model_.clear(flow);
      }
      if (rng_.chance(0.3)) pass(random_wait() / 8);
    }
    while (model_.size() > 0 && !testing::Test::HasFailure()) {
      const std::optional<Time> next = wheel_.next_deadline(0);
      ASSERT_TRUE(next.has_value()) << model_.size() << " timers are lost";
      pass(std::max(*next - now_, Duration::zero()));
    }
    pass(options_.interval * options_.slots);
    EXPECT_EQ(wheel_.next_deadline(0), std::nullopt);
  }

 private:
  /// Within a turn, of several turns, or a whole number of intervals.
  Duration random_wait() {
    const Duration turn = options_.interval * options_.slots;
    auto below = [this](Duration d) {
      return Duration(static_cast<int64_t>(rng_.below(static_cast<uint64_t>(d.count()) + 1)));
    };
    switch (rng_.below(3)) {
      case 0:
        return below(turn / 16);
      case 1:
        return below(5 * turn);
      default:
        return options_.interval * static_cast<int64_t>(rng_.below(4 * options_.slots));
    }
  }
  void set(uint32_t flow, int may_be_late) {
    const Time deadline = now_ + random_wait();
    alarms_[flow] = wheel_.set(flow, deadline);
    late_[flow] = may_be_late;
    model_.set(flow, deadline);
  }
  /// Time passes one interval's end after the other, as it does for a loop that wakes in time.
  void pass(Duration duration) {
    const Time until = now_ + duration;
    for (;;) {
      const std::optional<Time> next = wheel_.next_deadline(0);
      if (!next || *next > until) break;
      now_ = std::max(now_, *next);
      expire();
    }
    now_ = until;
    expire();
    const auto overdue = model_.overdue(now_ - 2 * options_.interval);
    ASSERT_FALSE(overdue.has_value()) << "flow " << *overdue << " never came up";
  }
  void expire() {
    wheel_.expire(0, now_, [&](uint32_t flow) {
      if (alarms_[flow].turns > 0) {
        --alarms_[flow].turns;
        return wheel_.again(flow, alarms_[flow].slot);
      }
      ASSERT_TRUE(model_.has(flow)) << "flow " << flow << " came up, cleared or a second time";
      const Time deadline = model_.deadline(flow);
      ASSERT_GE(now_, deadline) << "flow " << flow << " is early";
      // What was past when it was set comes up with the interval that follows.
      ASSERT_LE(now_ - deadline, late_[flow] * options_.interval) << "flow " << flow << " is late";
      model_.clear(flow);
      if (rng_.chance(0.3)) set(flow, 2);
    });
  }

  Rng rng_;
  TimerBitmapWheel::Options options_;
  Time now_;
  TimerBitmapWheel wheel_;
  std::vector<Alarm> alarms_;
  std::vector<int> late_;  // intervals it may be
  Model model_;
};

TEST(TimerBitmapWheel, DoesWhatAPriorityQueueDoes) {
  for (uint64_t seed = 1; seed <= 60 && !testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Race(seed).run();
  }
}

}  // namespace
}  // namespace fairlead::nic
