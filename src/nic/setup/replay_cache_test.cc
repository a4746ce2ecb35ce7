#include "nic/setup/replay_cache.h"

#include <gtest/gtest.h>

#include "base/random.h"

namespace fairlead::nic {
namespace {

TEST(ReplayCache, KnowsWhatWasInsertedAndNothingElse) {
  ReplayCache cache(1 << 16, 0x9e3779b97f4a7c15);
  Rng rng(1);
  std::vector<uint64_t> used;
  for (int i = 0; i < 4000; ++i) {
    used.push_back(rng.next());
    EXPECT_FALSE(cache.contains(used.back()));
    EXPECT_TRUE(cache.insert(used.back(), 10));
  }
  for (const uint64_t hash : used) EXPECT_TRUE(cache.contains(hash));
  for (int i = 0; i < 100'000; ++i) EXPECT_FALSE(cache.contains(rng.next()));
}

TEST(ReplayCache, EmptyCacheKnowsNoHashNotEvenZero) {
  ReplayCache cache(8, 3);
  EXPECT_FALSE(cache.contains(0));
  EXPECT_TRUE(cache.insert(0, 0));
  EXPECT_TRUE(cache.contains(0));
}

TEST(ReplayCache, FullBucketForgetsItsOldestAndSaysSoWhileThatIsValid) {
  ReplayCache cache(8, 3);
  for (uint64_t i = 1; i <= 8; ++i) EXPECT_TRUE(cache.insert(i << 8, 100));
  EXPECT_FALSE(cache.insert(9 << 8, 100 + FL_COOKIE_WINDOW));
  EXPECT_FALSE(cache.contains(1 << 8));
  for (uint64_t i = 2; i <= 9; ++i) EXPECT_TRUE(cache.contains(i << 8));
  EXPECT_TRUE(cache.insert(10 << 8, 101 + FL_COOKIE_WINDOW)) << "its cookie is refused anyway";
  EXPECT_FALSE(cache.contains(2 << 8));
}

}  // namespace
}  // namespace fairlead::nic
