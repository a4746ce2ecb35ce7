#include "socket/fork.h"

#include <gtest/gtest.h>

#include <string>

namespace fairlead {
namespace {

Task<int> add_after(Event& go, int a, int b) {
  co_await go.wait();
  co_return a + b;
}

Task<int> at_once(int value) { co_return value; }

Task<void> join_one(Scheduler& scheduler, Event& go, std::string& log) {
  Fork<int> fork(scheduler, add_after(go, 1, 2));
  log += fork.done() ? "done " : "running ";
  log += std::to_string(co_await fork.join());
}

TEST(Fork, RunsBesideItsMakerAndIsJoined) {
  Scheduler scheduler{Time{}};
  Event go(scheduler);
  std::string log;
  ASSERT_TRUE(scheduler.spawn(join_one(scheduler, go, log)));
  scheduler.run_ready(Time{});
  EXPECT_EQ(log, "running ");
  go.set();
  scheduler.run_ready(Time{});
  EXPECT_EQ(log, "running 3");
  EXPECT_EQ(scheduler.task_count(), 0u);
}

TEST(Fork, ATaskThatNeverWaitsIsDoneAtOnce) {
  Scheduler scheduler{Time{}};
  Fork<int> fork(scheduler, at_once(7));
  EXPECT_TRUE(fork.done());
}

Task<int> hold(std::shared_ptr<int> held, Event& go) {
  co_await go.wait();
  co_return *held;
}

TEST(Fork, DestroyingItCancelsItsTask) {
  Scheduler scheduler{Time{}};
  Event go(scheduler);
  auto held = std::make_shared<int>(1);
  {
    Fork<int> fork(scheduler, hold(held, go));
    EXPECT_EQ(held.use_count(), 2);
  }
  EXPECT_EQ(held.use_count(), 1);
  go.set();
  scheduler.run_ready(Time{});
}

TEST(Event, ASetBeforeTheWaitIsNotLostAndCountsOnce) {
  Scheduler scheduler{Time{}};
  Event event(scheduler);
  int passed = 0;
  auto twice = [](Event& e, int& n) -> Task<void> {
    co_await e.wait();
    ++n;
    co_await e.wait();
    ++n;
  };
  event.set();
  ASSERT_TRUE(scheduler.spawn(twice(event, passed)));
  scheduler.run_ready(Time{});
  EXPECT_EQ(passed, 1);
  event.set();
  scheduler.run_ready(Time{});
  EXPECT_EQ(passed, 2);
}

}  // namespace
}  // namespace fairlead
