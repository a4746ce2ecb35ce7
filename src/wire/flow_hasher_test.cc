#include "wire/flow_hasher.h"

#include <gtest/gtest.h>

#include <iterator>
#include <set>

#include "base/latest_hasher.h"
#include "base/random.h"

namespace fairlead {
namespace {

/// Without a memory of others.
uint64_t hashed(const SipKey& key, const FourTuple& tuple) { return FlowHasher(key)(tuple); }

TEST(FlowHasher, IsTheKeyedHashHoweverOftenAndByWhicheverCopyItIsAsked) {
  const SipKey key{7, 8};
  const FlowHasher hasher(key);
  FlowHasher copy({});
  copy = hasher;
  Rng rng(1);
  EXPECT_EQ(hasher({}), siphash13(key, FourTuple{}));
  for (int i = 0; i < 100'000; ++i) {
    // Few enough to meet again, more than are remembered, some of which share a place.
    const FourTuple tuple{{IpAddress::v4(1), static_cast<uint16_t>(rng.below(4))},
                          {IpAddress::v4(static_cast<uint32_t>(rng.below(3))),
                           static_cast<uint16_t>(rng.below(100))}};
    ASSERT_EQ((rng.chance(0.5) ? hasher : copy)(tuple), hashed(key, tuple));
  }
}

TEST(FlowHasher, CoversBothAddressesAndBothPortsOfEitherFamily) {
  const SipKey key{7, 8};
  const IpAddress v6 = IpAddress::v6({0x20, 1, 0xd, 0xb8});
  const FourTuple tuples[] = {{{IpAddress::v4(1), 80}, {IpAddress::v4(2), 81}},
                              {{IpAddress::v4(3), 80}, {IpAddress::v4(2), 81}},
                              {{IpAddress::v4(1), 80}, {IpAddress::v4(3), 81}},
                              {{IpAddress::v4(1), 82}, {IpAddress::v4(2), 81}},
                              {{IpAddress::v4(1), 80}, {IpAddress::v4(2), 82}},
                              {{IpAddress::v4(2), 81}, {IpAddress::v4(1), 80}},
                              {{v6, 80}, {IpAddress(), 81}},
                              {{IpAddress(), 80}, {v6, 81}},
                              {{v6, 81}, {IpAddress(), 81}},
                              {{v6, 80}, {IpAddress(), 80}}};
  std::set<uint64_t> hashes;
  for (const FourTuple& tuple : tuples) hashes.insert(hashed(key, tuple));
  EXPECT_EQ(hashes.size(), std::size(tuples));
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
