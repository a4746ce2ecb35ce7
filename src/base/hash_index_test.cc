#include "base/hash_index.h"

#include <gtest/gtest.h>

#include <deque>
#include <unordered_map>

#include "base/random.h"

namespace fairlead::host {
namespace {

struct Item {
  uint64_t key;
};
const uint64_t& key_of(const Item& item) { return item.key; }
using Index = HashIndex<Item, uint64_t, key_of>;

TEST(HashIndex, AgreesWithAStandardMapOverInsertionsAndDeletions) {
  Rng rng(3);
  Index index(SipKey{1, 2});
  std::unordered_map<uint64_t, Item*> model;
  std::deque<Item> items;
  for (int step = 0; step < 200'000; ++step) {
    uint64_t key = rng.below(3000);
    auto known = model.find(key);
    ASSERT_EQ(index.find(key), known == model.end() ? nullptr : known->second);
    // No two of so few keys have one hash.
    index.prefetch(index.hash_of(key));
    ASSERT_EQ(index.guess(index.hash_of(key)), index.find(key));
    if (known == model.end()) {
      items.push_back({key});
      index.insert(items.back());
      model[key] = &items.back();
    } else if (rng.chance(0.6)) {
      index.erase(*known->second);
      model.erase(known);
    }
    ASSERT_EQ(index.size(), model.size());
  }
  size_t seen = 0;
  index.for_each([&](Item& item) { seen += model.count(item.key); });
  EXPECT_EQ(seen, model.size());
}

TEST(HashIndex, DoesNotGrowUpToTheExpectedNumber) {
  for (const size_t expected : {1u, 48u, 49u, 3000u, 3072u}) {
    Index index(SipKey{1, 2}, expected);
    const size_t slots = index.slots();
    std::deque<Item> items;
    for (uint64_t key = 0; key < expected; ++key) index.insert(items.emplace_back(key));
    EXPECT_EQ(index.slots(), slots) << expected;
  }
}

}  // namespace
}  // namespace fairlead::host
