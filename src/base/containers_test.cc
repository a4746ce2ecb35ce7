#include <gtest/gtest.h>

#include <array>
#include <vector>

#include "base/intrusive_list.h"
#include "base/object_pool.h"
#include "base/random.h"
#include "base/seq_num.h"

namespace fairlead {
namespace {

struct A;
struct Item : ListHook<A> {
  explicit Item(int v) : value(v) {}
  int value;
};

std::vector<int> values(IntrusiveList<Item, A>& list) {
  std::vector<int> out;
  for (Item& item : list) out.push_back(item.value);
  return out;
}

TEST(IntrusiveList, KeepsOrderAndErasesFromTheMiddle) {
  Item one(1), two(2), three(3), four(4);
  IntrusiveList<Item, A> list;
  EXPECT_EQ(list.pop_front(), nullptr);
  list.push_back(two);
  list.push_front(one);
  list.push_back(four);
  list.insert_after(two, three);
  EXPECT_EQ(values(list), (std::vector{1, 2, 3, 4}));
  list.erase(two);
  EXPECT_FALSE(two.is_linked());
  EXPECT_EQ(values(list), (std::vector{1, 3, 4}));
  EXPECT_EQ(list.pop_front(), &one);
  list.erase(four);
  list.erase(three);
  EXPECT_TRUE(list.empty());
}

void destroy_linked() {
  IntrusiveList<Item, A> list;
  Item item(1);
  list.push_back(item);
}

TEST(IntrusiveListDeathTest, DestroyingALinkedObjectIsABug) {
  EXPECT_DEATH(destroy_linked(), "CHECK failed");
}

TEST(ObjectPool, GivesNoMoreThanItsCapacityAndReusesSlots) {
  ObjectPool<std::vector<int>> pool(3);
  auto* a = pool.create(size_t{2}, 7);
  auto* b = pool.create();
  auto* c = pool.create();
  EXPECT_EQ(*a, (std::vector{7, 7}));
  EXPECT_EQ(pool.create(), nullptr);
  pool.destroy(b);
  EXPECT_EQ(pool.live(), 2u);
  EXPECT_EQ(pool.create(), b);
  pool.destroy(a);
  pool.destroy(b);
  pool.destroy(c);
}

TEST(ObjectPool, GrowsSlabBySlab) {
  ObjectPool<std::array<char, 40'000>> pool(100);
  std::vector<std::array<char, 40'000>*> all;
  while (auto* p = pool.create()) all.push_back(p);
  EXPECT_EQ(all.size(), 100u);
  for (auto* p : all) pool.destroy(p);
}

TEST(ObjectPool, AllocatesNothingMoreOnceItHasAllocatedAll) {
  ObjectPool<std::array<char, 40'000>> pool(10);
  pool.allocate_all();
  const size_t slabs = pool.slabs();
  std::vector<std::array<char, 40'000>*> all;
  while (auto* p = pool.create()) all.push_back(p);
  EXPECT_EQ(all.size(), 10u);
  EXPECT_EQ(pool.slabs(), slabs);
  for (auto* p : all) pool.destroy(p);
}

TEST(ObjectPool, SlabsGrowToAHugePage) {
  ObjectPool<std::array<char, 1024>> pool(1 << 16);
  pool.allocate_all();  // 64 MiB
  EXPECT_LE(pool.slabs(), 5u + 32u);
  std::vector<std::array<char, 1024>*> all;
  while (auto* p = pool.create()) {
    p->fill('x');
    all.push_back(p);
  }
  EXPECT_EQ(all.size(), size_t{1} << 16);
  for (auto* p : all) pool.destroy(p);
}

TEST(SeqNum, OrderHoldsAcrossTheWrap) {
  SeqNum a(0xfffffff0u), b(0x10u);
  EXPECT_TRUE(a.before(b));
  EXPECT_TRUE(b.after(a));
  EXPECT_EQ(b - a, 0x20);
  EXPECT_EQ(max(a, b), b);
  EXPECT_EQ(min(a, b), a);
  EXPECT_TRUE(b.in_window(a, 0x21));
  EXPECT_FALSE(b.in_window(a, 0x20));
  EXPECT_FALSE((a - 1).in_window(a, 0x20));
}

TEST(Rng, BelowStaysBelowAndASeedRepeats) {
  Rng a(7), b(7);
  for (int i = 0; i < 1000; ++i) {
    uint64_t n = a.below(10);
    EXPECT_LT(n, 10u);
    EXPECT_EQ(n, b.below(10));
  }
}

}  // namespace
}  // namespace fairlead
