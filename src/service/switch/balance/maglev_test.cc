#include "service/switch/balance/maglev.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>
#include <set>
#include <string>
#include <vector>

namespace fairlead::balance {
namespace {

constexpr size_t kEntries = MaglevTable::kEntries;

struct Fleet {
  std::vector<std::string> names;
  std::vector<uint32_t> weights;

  explicit Fleet(size_t n) : weights(n, 1) {
    for (size_t i = 0; i < n; ++i) names.push_back("198.51.100." + std::to_string(i) + ":80");
  }
  explicit Fleet(std::vector<uint32_t> w) : Fleet(w.size()) { weights = std::move(w); }

  std::vector<MaglevTable::Member> members() const {
    std::vector<MaglevTable::Member> out;
    for (size_t i = 0; i < names.size(); ++i) {
      out.push_back({.name = names[i], .weight = weights[i], .id = static_cast<uint16_t>(i)});
    }
    return out;
  }
  // The table when the server `gone` has left.
  MaglevTable table(size_t gone = SIZE_MAX) const {
    std::vector<MaglevTable::Member> left = members();
    std::erase_if(left, [&](const MaglevTable::Member& m) { return m.id == gone; });
    MaglevTable out;
    out.build(left);
    return out;
  }
  std::vector<double> shares(const MaglevTable& table) const {
    std::vector<double> out(names.size());
    for (size_t i = 0; i < kEntries; ++i) out[table.at(i)] += 1.0 / kEntries;
    return out;
  }
};

TEST(Maglev, SharesOfEqualServersDifferByOneEntryAtMost) {
  for (const size_t n : std::vector<size_t>{1, 2, 3, 10, 50, MaglevTable::kMaxServers}) {
    const Fleet fleet(n);
    const std::vector<double> shares = fleet.shares(fleet.table());
    const auto [least, most] = std::ranges::minmax(shares);
    EXPECT_LE(most - least, 1.01 / kEntries) << n;
  }
}

TEST(Maglev, SharesAreThoseOfTheWeights) {
  for (const std::vector<uint32_t>& weights : {std::vector<uint32_t>{1, 2, 3, 4, 5},
                                               {1, 1, 8},
                                               {256, 1},
                                               {7, 13, 100, 100, 3, 19},
                                               {10, 10, 10}}) {
    const Fleet fleet(weights);
    const std::vector<double> shares = fleet.shares(fleet.table());
    const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
    for (size_t i = 0; i < weights.size(); ++i) {
      EXPECT_NEAR(shares[i], weights[i] / sum, 2.0 / kEntries) << i << " of " << weights.size();
    }
  }
}

// Of the keys, how many get another server when one leaves: at best its own share.
TEST(Maglev, WhenOneOfNServersLeavesAtMostOneAndAHalfNthsOfTheKeysMove) {
  for (const size_t n : std::vector<size_t>{3, 10, 50, MaglevTable::kMaxServers}) {
    const Fleet fleet(n);
    const MaglevTable before = fleet.table();
    for (size_t gone = 0; gone < n; ++gone) {
      const MaglevTable after = fleet.table(gone);
      constexpr int kKeys = 100'000;
      int moved = 0;
      for (int key = 0; key < kKeys; ++key) {
        const uint64_t hash = stable_hash("/object/" + std::to_string(key));
        if (before.at(hash) != after.at(hash)) ++moved;
      }
      EXPECT_LE(moved, 1.5 * kKeys / static_cast<double>(n)) << gone << " of " << n;
    }
  }
}

TEST(Maglev, AWeightedServerThatLeavesTakesAtMostHalfItsShareOfOthersAlong) {
  const Fleet fleet({5, 1, 3, 8, 2, 8, 4, 6, 1, 2});
  const MaglevTable before = fleet.table();
  const std::vector<double> shares = fleet.shares(before);
  for (size_t gone = 0; gone < fleet.names.size(); ++gone) {
    const MaglevTable after = fleet.table(gone);
    size_t moved = 0;
    for (size_t i = 0; i < kEntries; ++i) moved += before.at(i) != after.at(i) ? 1 : 0;
    const double fraction = static_cast<double>(moved) / kEntries;
    EXPECT_LE(fraction - shares[gone], 0.05) << gone;  // half of the average share of 1/10
  }
}

TEST(Maglev, TheOrderInWhichServersAreConfiguredDoesNotMatter) {
  const Fleet fleet(10);
  const MaglevTable table = fleet.table();
  std::vector<MaglevTable::Member> shuffled = fleet.members();
  std::ranges::shuffle(shuffled, std::mt19937(7));
  MaglevTable other;
  other.build(shuffled);
  for (size_t i = 0; i < kEntries; ++i) ASSERT_EQ(table.at(i), other.at(i));
}

// A change of these values moves every user's clients to other servers: not without need.
TEST(Maglev, TheMappingIsTheSameInEveryReleaseAndOnEveryMachine) {
  EXPECT_EQ(stable_hash("/index.html"), 1200837215924417565u);
  const Fleet fleet(5);
  const MaglevTable table = fleet.table();
  std::string owners;
  for (size_t i = 0; i < 32; ++i) owners += static_cast<char>('0' + table.at(i));
  EXPECT_EQ(owners, "33144413441202320103113010204444");
}

TEST(Maglev, OfNoServersIsEmpty) {
  MaglevTable table;
  EXPECT_TRUE(table.empty());
  table.build(Fleet(3).members());
  EXPECT_FALSE(table.empty());
  table.build({});
  EXPECT_TRUE(table.empty());
}

TEST(Maglev, KeysSpreadEvenly) {
  constexpr size_t kServers = 10;
  constexpr int kKeys = 100'000;
  const Fleet fleet(kServers);
  const MaglevTable table = fleet.table();
  std::vector<int> count(kServers);
  for (int key = 0; key < kKeys; ++key) ++count[table.at(stable_hash(std::to_string(key)))];
  double chi_square = 0;
  for (const int c : count) {
    const double difference = c - kKeys / static_cast<double>(kServers);
    chi_square += difference * difference / (kKeys / static_cast<double>(kServers));
  }
  EXPECT_LT(chi_square, 27.88);  // 9 degrees of freedom, p = 0.001
}

}  // namespace
}  // namespace fairlead::balance
