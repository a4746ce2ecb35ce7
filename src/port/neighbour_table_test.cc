#include "port/neighbour_table.h"

#include <gtest/gtest.h>

#include <vector>

namespace fairlead::port {
namespace {

using Effect = NeighbourTable::Effect;

class NeighbourTableTest : public testing::Test {
 protected:
  static NeighbourTable::Key key(uint32_t host) { return {3, IpAddress::v4(0x0a000000 + host)}; }
  static MacAddress mac(uint8_t last) { return {.bytes = {2, 0, 0, 0, 0, last}}; }
  Effect tell(NeighbourState state, uint8_t last = 1) {
    return table_.update(
        {.interface_index = 3, .address = key(1).address, .state = state, .mac = mac(last)});
  }

  size_t solicitations_ = 0;
  NeighbourTable table_{[this](const NeighbourTable::Key&) { ++solicitations_; }, 2};
  Time now_{seconds(1000)};
};

TEST_F(NeighbourTableTest, UnknownNeighbourIsAskedForOncePerSecondUntilItAnswers) {
  EXPECT_EQ(table_.resolve(key(1), now_).error().code, Errc::kWouldBlock);
  EXPECT_EQ(table_.resolve(key(1), now_ + milliseconds(999)).error().code, Errc::kWouldBlock);
  EXPECT_EQ(solicitations_, 1u);
  EXPECT_EQ(table_.resolve(key(1), now_ + seconds(1)).error().code, Errc::kWouldBlock);
  EXPECT_EQ(solicitations_, 2u);
  EXPECT_EQ(tell(NeighbourState::kReachable), Effect::kPathsChanged);
  EXPECT_EQ(*table_.resolve(key(1), now_ + seconds(2)), mac(1));
  EXPECT_EQ(solicitations_, 2u);
}

TEST_F(NeighbourTableTest, NeighbourNobodyAskedForChangesNoPath) {
  EXPECT_EQ(tell(NeighbourState::kReachable), Effect::kNone);
  EXPECT_EQ(tell(NeighbourState::kStale), Effect::kNone);
}

TEST_F(NeighbourTableTest, StaleNeighbourIsUsedAndConfirmedEveryThirtySeconds) {
  tell(NeighbourState::kStale);
  EXPECT_TRUE(table_.resolve(key(1), now_));
  EXPECT_TRUE(table_.resolve(key(1), now_ + seconds(29)));
  EXPECT_EQ(solicitations_, 1u);
  EXPECT_TRUE(table_.resolve(key(1), now_ + seconds(30)));
  EXPECT_EQ(solicitations_, 2u);
}

TEST_F(NeighbourTableTest, NeighbourInUseGoingStaleIsReported) {
  tell(NeighbourState::kReachable);
  EXPECT_TRUE(table_.resolve(key(1), now_));
  EXPECT_EQ(tell(NeighbourState::kReachable), Effect::kNone);
  EXPECT_EQ(tell(NeighbourState::kStale), Effect::kPathsStale);
}

TEST_F(NeighbourTableTest, NewLinkAddressOfANeighbourInUseChangesPaths) {
  tell(NeighbourState::kReachable);
  EXPECT_TRUE(table_.resolve(key(1), now_));
  EXPECT_EQ(tell(NeighbourState::kReachable, 9), Effect::kPathsChanged);
  EXPECT_EQ(*table_.resolve(key(1), now_), mac(9));
}

TEST_F(NeighbourTableTest, FailedNeighbourIsUnreachableAndAskedForAgain) {
  tell(NeighbourState::kFailed);
  EXPECT_EQ(table_.resolve(key(1), now_).error().code, Errc::kHostUnreachable);
  EXPECT_EQ(solicitations_, 1u);
  EXPECT_EQ(tell(NeighbourState::kReachable), Effect::kPathsChanged);
  EXPECT_TRUE(table_.resolve(key(1), now_));
}

TEST_F(NeighbourTableTest, RemovedNeighbourInUseChangesPaths) {
  tell(NeighbourState::kReachable);
  EXPECT_TRUE(table_.resolve(key(1), now_));
  EXPECT_EQ(
      table_.update({.removed = true, .interface_index = 3, .address = key(1).address, .mac = {}}),
      Effect::kPathsChanged);
  EXPECT_EQ(table_.resolve(key(1), now_).error().code, Errc::kWouldBlock);
}

TEST_F(NeighbourTableTest, FullTableRefusesAndCounts) {
  EXPECT_EQ(table_.resolve(key(1), now_).error().code, Errc::kWouldBlock);
  EXPECT_EQ(table_.resolve(key(2), now_).error().code, Errc::kWouldBlock);
  EXPECT_EQ(table_.resolve(key(3), now_).error().code, Errc::kHostUnreachable);
  EXPECT_EQ(table_.size(), 2u);
  EXPECT_EQ(table_.overflows(), 1u);
}

}  // namespace
}  // namespace fairlead::port
