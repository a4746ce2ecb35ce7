#include "base/spsc_ring.h"

#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <thread>
#include <vector>

#include "base/random.h"

namespace fairlead {
namespace {

TEST(SpscRing, IsFirstInFirstOutAndRefusesWhenFull) {
  SpscRing<int> ring(4);
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(ring.push(i));
  EXPECT_FALSE(ring.push(4));
  EXPECT_EQ(ring.size(), ring.capacity());
  int value = -1;
  for (int i = 0; i < 4; ++i) {
    ASSERT_TRUE(ring.pop(value));
    EXPECT_EQ(value, i);
  }
  EXPECT_FALSE(ring.pop(value));
  EXPECT_TRUE(ring.empty());
}

TEST(SpscRing, ABurstIsTakenAsFarAsThereIsRoom) {
  SpscRing<int> ring(4);
  std::array<int, 6> in{0, 1, 2, 3, 4, 5};
  EXPECT_EQ(ring.push_burst(in), 4u);
  EXPECT_EQ(ring.push_burst(std::span(in).subspan(4)), 0u);
  std::array<int, 3> out{};
  EXPECT_EQ(ring.pop_burst(out), 3u);
  EXPECT_EQ(out, (std::array{0, 1, 2}));
  EXPECT_EQ(ring.push_burst(std::span(in).subspan(4)), 2u);
  EXPECT_EQ(ring.pop_burst(out), 3u);
  EXPECT_EQ(out, (std::array{3, 4, 5}));
  EXPECT_EQ(ring.pop_burst(out), 0u);
}

TEST(SpscRing, AMoveOnlyObjectThatDoesNotFitStaysWithTheCaller) {
  SpscRing<std::unique_ptr<int>> ring(1);
  EXPECT_TRUE(ring.push(std::make_unique<int>(1)));
  auto second = std::make_unique<int>(2);
  EXPECT_FALSE(ring.push(std::move(second)));
  ASSERT_NE(second, nullptr);
  std::unique_ptr<int> out;
  ASSERT_TRUE(ring.pop(out));
  EXPECT_EQ(*out, 1);
}

TEST(SpscRingDeathTest, ACapacityThatIsNoPowerOfTwoIsABug) {
  EXPECT_DEATH(SpscRing<int>(3), "CHECK failed");
  EXPECT_DEATH(SpscRing<int>(0), "CHECK failed");
}

TEST(SpscRing, CarriesEveryObjectInOrderBetweenTwoThreads) {
  constexpr uint64_t kCount = 200'000;
  SpscRing<uint64_t> ring(64);
  std::thread producer([&ring] {
    Rng rng(1);
    std::vector<uint64_t> burst;
    for (uint64_t next = 0; next < kCount;) {
      burst.clear();
      const uint64_t size = std::min(rng.below(40) + 1, kCount - next);
      for (uint64_t i = 0; i < size; ++i) burst.push_back(next + i);
      const size_t pushed = ring.push_burst(burst);
      if (pushed == 0) std::this_thread::yield();
      next += pushed;
    }
  });
  Rng rng(2);
  std::array<uint64_t, 40> burst;
  uint64_t expected = 0;
  uint64_t wrong = 0;
  while (expected < kCount) {
    const size_t popped = ring.pop_burst(std::span(burst).first(rng.below(40) + 1));
    if (popped == 0) std::this_thread::yield();
    for (size_t i = 0; i < popped; ++i) wrong += burst[i] != expected++ ? 1 : 0;
  }
  producer.join();
  EXPECT_EQ(wrong, 0u);
  EXPECT_TRUE(ring.empty());
}

}  // namespace
}  // namespace fairlead
