#include "app/setup_seats.h"

#include <gtest/gtest.h>

namespace fairlead::app {
namespace {

const Endpoint kEndpoint{IpAddress::v4(0xc6336401), 80};

class SetupSeatsTest : public testing::Test {
 protected:
  void listen(size_t shard, uint16_t mss) {
    fl_setup_listener entry{};
    entry.mss = mss;
    seats.of(shard).listen({.endpoint = kEndpoint, .listener = entry});
  }
  void stop(size_t shard) { seats.of(shard).listen({.endpoint = kEndpoint, .listener = {}}); }

  uint16_t answers = 0;  // with this MSS
  int told = 0;
  SetupSeats seats{2, [this](const nic::ListenMessage& message) {
                     EXPECT_EQ(message.endpoint, kEndpoint);
                     answers = message.listener ? message.listener->mss : 0;
                     ++told;
                   }};
};

TEST_F(SetupSeatsTest, SynsAreAnsweredWhileEveryShardLeavesThem) {
  listen(0, 1400);
  EXPECT_EQ(answers, 0);
  listen(1, 1400);
  EXPECT_EQ(answers, 1400);
  stop(0);
  EXPECT_EQ(answers, 0);
  stop(1);
  listen(0, 1400);
  EXPECT_EQ(answers, 0);
  listen(1, 1400);
  EXPECT_EQ(answers, 1400);
  EXPECT_EQ(told, 3);
}

TEST_F(SetupSeatsTest, WhatChangesIsToldAndNothingElse) {
  stop(0);
  listen(0, 1400);
  stop(0);
  EXPECT_EQ(told, 0);
  listen(0, 1400);
  listen(1, 1400);
  listen(0, 1300);
  listen(1, 1300);
  EXPECT_EQ(answers, 1300);
}

}  // namespace
}  // namespace fairlead::app
