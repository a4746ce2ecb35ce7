#include "socket/scheduler.h"

#include <gtest/gtest.h>

#include <vector>

namespace fairlead {
namespace {

Time at(int ms) { return Time(milliseconds(ms)); }

Task<int> twice(int v) { co_return 2 * v; }

Task<void> add(std::vector<int>& out, int v) { out.push_back(co_await twice(v)); }

Task<void> sleeper(Scheduler& scheduler, std::vector<int>& out, int id, Duration d) {
  co_await scheduler.sleep_for(d);
  out.push_back(id);
}

struct Guard {
  int* count;
  explicit Guard(int& c) : count(&c) { ++*count; }
  Guard(const Guard&) = delete;
  ~Guard() { --*count; }
};

Task<void> guarded(Scheduler& scheduler, int& live) {
  Guard guard(live);
  co_await scheduler.sleep_for(hours(1));
}

Task<void> nested(Scheduler& scheduler, int& live) {
  Guard guard(live);
  co_await guarded(scheduler, live);
}

TEST(Scheduler, TasksRunInTheOrderTheyWereSpawned) {
  Scheduler scheduler(at(0));
  std::vector<int> out;
  for (int i = 1; i <= 3; ++i) EXPECT_TRUE(scheduler.spawn(add(out, i)));
  EXPECT_TRUE(out.empty());
  scheduler.run_ready(at(0));
  EXPECT_EQ(out, (std::vector{2, 4, 6}));
  EXPECT_EQ(scheduler.task_count(), 0u);
}

TEST(Scheduler, SleepersWakeInTheOrderOfTheirTimes) {
  Scheduler scheduler(at(0));
  std::vector<int> out;
  (void)scheduler.spawn(sleeper(scheduler, out, 30, milliseconds(30)));
  (void)scheduler.spawn(sleeper(scheduler, out, 10, milliseconds(10)));
  (void)scheduler.spawn(sleeper(scheduler, out, 20, milliseconds(20)));
  for (int ms = 0; ms <= 40; ++ms) scheduler.run_ready(at(ms));
  EXPECT_EQ(out, (std::vector{10, 20, 30}));
  EXPECT_EQ(scheduler.next_deadline(), std::nullopt);
}

TEST(Scheduler, DestroyingItCancelsWhatWaits) {
  int live = 0;
  {
    Scheduler scheduler(at(0));
    (void)scheduler.spawn(nested(scheduler, live));
    (void)scheduler.spawn(guarded(scheduler, live));
    scheduler.run_ready(at(1));
    EXPECT_EQ(live, 3);
  }
  EXPECT_EQ(live, 0);
}

TEST(Scheduler, RefusesTasksAboveItsCapacity) {
  int live = 0;
  Scheduler scheduler(at(0), 2);
  EXPECT_TRUE(scheduler.spawn(guarded(scheduler, live)));
  EXPECT_TRUE(scheduler.spawn(guarded(scheduler, live)));
  EXPECT_FALSE(scheduler.spawn(guarded(scheduler, live)));
  scheduler.run_ready(at(1));
  EXPECT_EQ(live, 2);
}

TEST(FramePool, ServesTheSteadyPathWithoutTheHeap) {
  Scheduler scheduler(at(0));
  std::vector<int> out;
  out.reserve(3000);
  auto round = [&](int ms) {
    for (int i = 0; i < 10; ++i) (void)scheduler.spawn(sleeper(scheduler, out, i, milliseconds(1)));
    scheduler.run_ready(at(ms));
    scheduler.run_ready(at(ms + 5));
  };
  round(0);
  uint64_t before = FramePool::current().counters().from_heap;
  for (int i = 1; i <= 200; ++i) round(10 * i);
  EXPECT_EQ(FramePool::current().counters().from_heap, before);
  EXPECT_EQ(out.size(), 2010u);
}

}  // namespace
}  // namespace fairlead
