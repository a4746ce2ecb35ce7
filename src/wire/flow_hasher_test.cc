#include "wire/flow_hasher.h"

#include <gtest/gtest.h>

#include "base/latest_hasher.h"
#include "base/random.h"

namespace fairlead {
namespace {

TEST(FlowHasher, IsTheKeyedHashHoweverOftenAndByWhicheverCopyItIsAsked) {
  const SipKey key{7, 8};
  const FlowHasher hasher(key);
  const FlowHasher copy = hasher;
  Rng rng(1);
  EXPECT_EQ(hasher({}), siphash13(key, FourTuple{}));
  for (int i = 0; i < 100'000; ++i) {
    // Few enough to meet again, more than are remembered, some of which share a place.
    const FourTuple tuple{{IpAddress::v4(1), static_cast<uint16_t>(rng.below(4))},
                          {IpAddress::v4(static_cast<uint32_t>(rng.below(3))),
                           static_cast<uint16_t>(rng.below(100))}};
    ASSERT_EQ((rng.chance(0.5) ? hasher : copy)(tuple), siphash13(key, tuple));
  }
}

TEST(LatestHasher, IsSipHash) {
  const SipKey key{1, 2};
  const LatestHasher<IpAddress> hasher(key);
  EXPECT_EQ(hasher({}), siphash13(key, IpAddress{}));
  Rng rng(1);
  for (int i = 0; i < 1000; ++i) {
    const auto address = IpAddress::v4(static_cast<uint32_t>(rng.below(3)));
    ASSERT_EQ(hasher(address), siphash13(key, address));
  }
}

TEST(FlowHasher, AnotherKeyIsAnotherHash) {
  const FourTuple tuple{{IpAddress::v4(1), 80}, {IpAddress::v4(2), 1000}};
  EXPECT_NE(FlowHasher(SipKey{1, 2})(tuple), FlowHasher(SipKey{1, 3})(tuple));
}

}  // namespace
}  // namespace fairlead
