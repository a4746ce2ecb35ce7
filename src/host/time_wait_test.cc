#include "host/time_wait.h"

#include <gtest/gtest.h>

namespace fairlead::host {
namespace {

constexpr Time kStart{seconds(1000)};

FourTuple tuple(uint16_t port) {
  return {{IpAddress::v4(0xC0000201), port}, {IpAddress::v4(0xC0000202), 80}};
}

class TimeWaits : public testing::Test {
 protected:
  /// True when another had to go.
  bool insert(uint16_t port, Duration lasts) {
    bool recycled = false;
    table_.insert(tuple(port), {.from = now_, .lasts = lasts}, recycled);
    return recycled;
  }
  bool has(uint16_t port) { return table_.find(tuple(port)) != nullptr; }
  void pass(Duration duration) { table_.expire(now_ += duration); }

  Time now_ = kStart;
  TimeWaitTable table_{3, SipKey{}, kStart};
};

TEST_F(TimeWaits, EachEndsAfterItsOwnTime) {
  insert(1, seconds(60));
  insert(2, milliseconds(500));
  insert(3, hours(24));
  pass(milliseconds(499));
  EXPECT_TRUE(has(2));
  pass(milliseconds(2));
  EXPECT_FALSE(has(2));
  pass(milliseconds(59'498));
  EXPECT_TRUE(has(1));
  pass(milliseconds(2));
  EXPECT_FALSE(has(1));
  pass(hours(24) - seconds(61));
  EXPECT_TRUE(has(3));
  pass(seconds(2));
  EXPECT_EQ(table_.size(), 0u);
  EXPECT_FALSE(table_.next_deadline().has_value());
}

TEST_F(TimeWaits, ARestartLastsAsLongAgain) {
  insert(1, seconds(5));
  pass(seconds(4));
  table_.restart(*table_.find(tuple(1)), now_);
  EXPECT_EQ(table_.find(tuple(1))->since(), now_);
  pass(milliseconds(4999));
  EXPECT_TRUE(has(1));
  pass(milliseconds(2));
  EXPECT_FALSE(has(1));
}

TEST_F(TimeWaits, AtTheBoundTheOldestOfThoseThatRestEquallyLongGoes) {
  for (uint16_t port = 1; port <= 3; ++port) {
    EXPECT_FALSE(insert(port, seconds(60)));
    pass(milliseconds(1));
  }
  for (uint16_t port = 4; port <= 200; ++port) {
    EXPECT_TRUE(insert(port, seconds(60)));
    EXPECT_EQ(table_.size(), 3u);
    EXPECT_FALSE(has(static_cast<uint16_t>(port - 3)));
    EXPECT_TRUE(has(static_cast<uint16_t>(port - 2)));
    pass(milliseconds(100));
  }
}

TEST_F(TimeWaits, AtTheBoundOneThatEndsSoonGoesBeforeOlderOnesThatRestLonger) {
  insert(1, seconds(60));
  insert(2, seconds(60));
  pass(seconds(1));
  insert(3, seconds(2));
  EXPECT_TRUE(insert(4, seconds(60)));
  EXPECT_FALSE(has(3));
  EXPECT_TRUE(has(1));
}

TEST_F(TimeWaits, AnEntryKnowsSinceWhenItRestsHoweverLongItIsTo) {
  pass(seconds(7));
  insert(1, seconds(3));
  insert(2, Duration::max() / 2);
  EXPECT_EQ(table_.find(tuple(1))->since(), now_);
  EXPECT_EQ(table_.find(tuple(2))->since(), now_);
}

}  // namespace
}  // namespace fairlead::host
