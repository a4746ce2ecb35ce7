#include "socket/timeout.h"

#include <gtest/gtest.h>

#include <memory>

namespace fairlead {
namespace {

Time at(int ms) { return Time(milliseconds(ms)); }

struct Guard {
  explicit Guard(int& c) : count(&c) { ++*count; }
  Guard(const Guard&) = delete;
  ~Guard() { --*count; }
  int* count;
};

Task<int> number_after(Scheduler& scheduler, Duration d, int value, int& live) {
  Guard guard(live);
  co_await scheduler.sleep_for(d);
  co_return value;
}

Task<Result<int>> failure() { co_return fail(Errc::kConnectionReset); }
Task<void> nothing() { co_return; }

Task<void> race(Scheduler& scheduler, Duration work, Duration patience, int& live,
                std::optional<Result<int>>& out) {
  Result<int> result =
      co_await with_timeout(scheduler, number_after(scheduler, work, 7, live), patience);
  EXPECT_EQ(live, 0);  // also a task that timed out is gone, with all it owned
  out = result;
}

class WithTimeout : public testing::Test {
 protected:
  void run(int ms) {
    for (; now_ <= ms; ++now_) scheduler_.run_ready(at(now_));
  }

  Scheduler scheduler_{at(0)};
  int now_ = 0;
  int live_ = 0;
  std::optional<Result<int>> out_;
};

TEST_F(WithTimeout, ATaskThatEndsInTimeGivesItsValue) {
  ASSERT_TRUE(scheduler_.spawn(race(scheduler_, milliseconds(5), milliseconds(10), live_, out_)));
  run(20);
  ASSERT_TRUE(out_ && out_->has_value());
  EXPECT_EQ(**out_, 7);
  EXPECT_EQ(live_, 0);
  EXPECT_EQ(scheduler_.timers().size(), 0u);
}

TEST_F(WithTimeout, ATaskThatDoesNotIsCancelled) {
  ASSERT_TRUE(scheduler_.spawn(race(scheduler_, hours(1), milliseconds(10), live_, out_)));
  run(9);
  EXPECT_FALSE(out_);
  EXPECT_EQ(live_, 1);
  run(20);
  ASSERT_TRUE(out_ && !out_->has_value());
  EXPECT_EQ(out_->error().code, Errc::kTimedOut);
  EXPECT_EQ(scheduler_.task_count(), 0u);
  EXPECT_EQ(scheduler_.timers().size(), 0u);
}

TEST_F(WithTimeout, WhenBothHaveComeTheTimeoutWinsAndNothingIsLeft) {
  ASSERT_TRUE(scheduler_.spawn(race(scheduler_, milliseconds(5), milliseconds(4), live_, out_)));
  scheduler_.run_ready(at(0));
  scheduler_.run_ready(at(50));  // the shard was busy elsewhere
  ASSERT_TRUE(out_.has_value());
  EXPECT_EQ(live_, 0);
  EXPECT_EQ(scheduler_.timers().size(), 0u);
}

TEST_F(WithTimeout, CancellingWhoAwaitsCancelsTheTask) {
  ASSERT_TRUE(scheduler_.spawn(race(scheduler_, hours(1), hours(1), live_, out_)));
  run(1);
  EXPECT_EQ(live_, 1);
  scheduler_.cancel_all();
  EXPECT_EQ(live_, 0);
  EXPECT_EQ(scheduler_.timers().size(), 0u);
}

TEST_F(WithTimeout, ResultsAreNotWrappedTwiceAndNothingIsAResultToo) {
  auto both = [](Scheduler& scheduler, int& done) -> Task<void> {
    Result<int> failed = co_await with_timeout(scheduler, failure(), seconds(1));
    EXPECT_EQ(failed.error().code, Errc::kConnectionReset);
    Result<void> empty = co_await with_timeout(scheduler, nothing(), seconds(1));
    EXPECT_TRUE(empty.has_value());
    ++done;
  };
  int done = 0;
  ASSERT_TRUE(scheduler_.spawn(both(scheduler_, done)));
  run(1);
  EXPECT_EQ(done, 1);
}

}  // namespace
}  // namespace fairlead
