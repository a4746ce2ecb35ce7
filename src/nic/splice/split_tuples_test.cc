// SplitTuples between shards.
#include "nic/splice/split_tuples.h"

#include <gtest/gtest.h>

#include <thread>

namespace fairlead::nic {
namespace {

constexpr uint16_t kTuples = 2000;

FourTuple tuple_number(uint16_t n) {
  return {{IpAddress::v4(0x0a000001), n}, {IpAddress::v4(0x0a000002), 80}};
}

TEST(SplitTuples, OneShardFreesWhatAnotherAsksFor) {
  SplitTuples splits;
  for (uint16_t n = 0; n < kTuples; ++n) splits.add(tuple_number(n));
  std::thread ending([&] {
    for (uint16_t n = 0; n < kTuples; n += 2) splits.remove(tuple_number(n));
  });
  for (uint16_t n = 1; n < kTuples; n += 2) EXPECT_TRUE(splits.contains(tuple_number(n)));
  ending.join();
  for (uint16_t n = 0; n < kTuples; ++n) {
    EXPECT_EQ(splits.contains(tuple_number(n)), n % 2 == 1);
  }
}

}  // namespace
}  // namespace fairlead::nic
