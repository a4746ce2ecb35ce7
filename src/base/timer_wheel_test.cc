#include "base/timer_wheel.h"

#include <gtest/gtest.h>

#include <bit>
#include <map>
#include <memory>
#include <random>
#include <vector>

namespace fairlead {
namespace {

struct Timer : TimerNode {
  int id = 0;
  Time due{};
  Time fired{};
};

TEST(TimerWheel, FiresNeverEarlyAndAtMostOneTickLate) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937_64 rng(seed);
    Time now{nanoseconds(static_cast<int64_t>(rng() % 1'000'000'000'000))};
    TimerWheel wheel(now);
    std::vector<std::unique_ptr<Timer>> timers;
    size_t outstanding = 0;
    for (int i = 0; i < 2000; ++i) {
      auto timer = std::make_unique<Timer>();
      timer->due = now + nanoseconds(static_cast<int64_t>(rng() >> (rng() % 36 + 20)));
      wheel.arm(*timer, timer->due);
      timers.push_back(std::move(timer));
      ++outstanding;
    }
    for (auto& timer : timers) {
      if (rng() % 4 == 0) {
        timer->due = now + nanoseconds(static_cast<int64_t>(rng() % 50'000'000'000));
        wheel.arm(*timer, timer->due);
      } else if (rng() % 8 == 0) {
        wheel.disarm(*timer);
        --outstanding;
      }
    }
    while (std::optional<Time> next = wheel.next_deadline()) {
      ASSERT_EQ(wheel.size(), outstanding);
      now = std::max(now, *next);
      wheel.expire(now, [&](TimerNode& node) {
        auto& timer = static_cast<Timer&>(node);
        EXPECT_FALSE(timer.is_armed());
        EXPECT_GE(now, timer.due);
        EXPECT_LE(now - timer.due, 2 * TimerWheel::kTick);
        --outstanding;
      });
    }
    EXPECT_EQ(outstanding, 0u);
  }
}

TEST(TimerWheel, TheSoonestIsTheFirstToFireToTheWidthOfItsSlot) {
  std::mt19937_64 rng(7);
  Time now{seconds(1000)};
  TimerWheel wheel(now);
  EXPECT_EQ(wheel.soonest(), nullptr);
  std::vector<std::unique_ptr<Timer>> timers;
  for (int i = 0; i < 500; ++i) {
    timers.push_back(std::make_unique<Timer>());
    wheel.arm(*timers.back(), now + nanoseconds(static_cast<int64_t>(rng() % 100'000'000'000)));
  }
  auto tick = [](Time t) {
    return static_cast<uint64_t>(t.time_since_epoch() / TimerWheel::kTick);
  };
  for (; wheel.size() > 0; now = *wheel.next_deadline(), wheel.expire(now, [](TimerNode&) {})) {
    Time first = Time::max();
    for (const auto& timer : timers) {
      if (timer->is_armed()) first = std::min(first, timer->armed_for());
    }
    // The highest group of 6 bits in which it differs from now is the level of its slot.
    const uint64_t due = tick(first) + 1;  // rounded up
    const int level = (63 - std::countl_zero(due ^ tick(now))) / 6;
    const uint64_t soonest = tick(wheel.soonest()->armed_for()) + 1;
    EXPECT_EQ(soonest >> 6 * level, due >> 6 * level);
  }
}

TEST(TimerWheel, OfThoseArmedForEquallyLongTheSoonestIsTheFirst) {
  Time now{seconds(1000)};
  TimerWheel wheel(now);
  std::vector<Timer> timers(5000);
  for (size_t i = 0; i < timers.size(); ++i) {
    if (i >= 100) {
      EXPECT_EQ(wheel.soonest(), &timers[i - 100]);
      wheel.disarm(timers[i - 100]);
    }
    wheel.arm(timers[i], now + seconds(60));
    wheel.expire(now += milliseconds(7), [](TimerNode&) {});
  }
  while (TimerNode* left = wheel.soonest()) wheel.disarm(*left);
  EXPECT_EQ(wheel.size(), 0u);
}

TEST(TimerWheel, ATimerArmedFromItsOwnCallbackFiresAgain) {
  TimerWheel wheel(Time{});
  Timer timer;
  int fired = 0;
  wheel.arm(timer, Time(milliseconds(1)));
  for (int ms = 1; ms <= 50; ++ms) {
    Time now{milliseconds(ms)};
    wheel.expire(now, [&](TimerNode& node) {
      ++fired;
      wheel.arm(node, now + milliseconds(9));
    });
  }
  EXPECT_EQ(fired, 5);
  wheel.disarm(timer);
}

TEST(TimerWheel, ACallbackMayDisarmATimerOfTheSameSlot) {
  TimerWheel wheel(Time{});
  Timer a, b;
  wheel.arm(a, Time(milliseconds(5)));
  wheel.arm(b, Time(milliseconds(5)));
  int fired = 0;
  wheel.expire(Time(milliseconds(6)), [&](TimerNode&) {
    ++fired;
    wheel.disarm(a);
    wheel.disarm(b);
  });
  EXPECT_EQ(fired, 1);
  EXPECT_EQ(wheel.next_deadline(), std::nullopt);
}

TEST(TimerWheel, ADeadlineBeyondTheWheelFiresWhenItIsDue) {
  TimerWheel wheel(Time{});
  Timer timer;
  wheel.arm(timer, Time(hours(24 * 365)));
  int fired = 0;
  wheel.expire(Time(hours(24 * 365 - 1)), [&](TimerNode&) { ++fired; });
  EXPECT_EQ(fired, 0);
  wheel.expire(Time(hours(24 * 365 + 1)), [&](TimerNode&) { ++fired; });
  EXPECT_EQ(fired, 1);
}

}  // namespace
}  // namespace fairlead
