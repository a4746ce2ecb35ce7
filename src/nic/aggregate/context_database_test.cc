#include "nic/aggregate/context_database.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <new>
#include <vector>

namespace {
uint64_t allocations = 0;
}
void* operator new(size_t size) {
  ++allocations;
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }

namespace fairlead::nic {
namespace {

constexpr Time kStart{seconds(1'700'000'000)};

ConnectionKey key(uint32_t n, uint16_t vlan = ConnectionKey::kNoTag) {
  return {.tuple = {.local = {IpAddress::v4(0x0a000000u + n), 1000},
                    .remote = {IpAddress::v4(0xc0000201u), 80}},
          .outer_vlan = vlan};
}

Context* find(const ContextDatabase& database, const ConnectionKey& wanted) {
  return database.find(wanted, database.hash_of(wanted));
}

struct ContextDatabaseTest : testing::Test {
  size_t expire(Time now) {
    size_t count = 0;
    database.expire(now, [&](Context& context) {
      database.erase(context);
      ++count;
    });
    return count;
  }
  ContextDatabase database{{.capacity = 3, .del_timer = seconds(1), .secret = {1, 2}}, kStart};
};

TEST_F(ContextDatabaseTest, AContextIsFoundByTupleAndVlan) {
  Context* plain = database.create(key(1), SeqNum(7), kStart);
  Context* tagged = database.create(key(1, 5), SeqNum(8), kStart);
  EXPECT_EQ(find(database, key(1)), plain);
  EXPECT_EQ(find(database, key(1, 5)), tagged);
  EXPECT_EQ(find(database, key(1, 6)), nullptr);
  EXPECT_EQ(find(database, key(2)), nullptr);
  database.erase(*plain);
  EXPECT_EQ(find(database, key(1)), nullptr);
  EXPECT_EQ(database.size(), 1u);
}

TEST_F(ContextDatabaseTest, FullMeansNoContextUntilOneIsIdle) {
  for (uint32_t n = 0; n < 3; ++n) ASSERT_NE(database.create(key(n), SeqNum(), kStart), nullptr);
  EXPECT_EQ(database.create(key(9), SeqNum(), kStart), nullptr);
  EXPECT_EQ(expire(kStart + seconds(2)), 3u);
  EXPECT_NE(database.create(key(9), SeqNum(), kStart + seconds(2)), nullptr);
}

TEST_F(ContextDatabaseTest, EveryPacketRestartsDelTimer) {
  Context* active = database.create(key(1), SeqNum(), kStart);
  database.create(key(2), SeqNum(), kStart);
  database.touch(*active, kStart + milliseconds(900));
  EXPECT_EQ(expire(kStart + milliseconds(999)), 0u);
  EXPECT_EQ(expire(kStart + milliseconds(1001)), 1u);
  EXPECT_EQ(find(database, key(1)), active);
  EXPECT_EQ(expire(kStart + milliseconds(1899)), 0u);
  EXPECT_EQ(expire(kStart + milliseconds(1901)), 1u);
  EXPECT_EQ(database.next_deadline(), std::nullopt);
}

TEST(ContextDatabase, AllocatesNothingAfterItsConstruction) {
  ContextDatabase database({.capacity = 5000, .del_timer = seconds(1), .secret = {1, 2}}, kStart);
  const uint64_t before = allocations;
  Time now = kStart;
  for (uint32_t n = 0; n < 50'000; ++n) {
    now += microseconds(300);
    database.expire(now, [&](Context& context) { database.erase(context); });
    if (Context* found = find(database, key(n % 7000))) {
      database.touch(*found, now);
    } else {
      database.create(key(n % 7000), SeqNum(), now);
    }
  }
  EXPECT_GT(database.size(), 3000u);
  EXPECT_EQ(allocations, before);
}

}  // namespace
}  // namespace fairlead::nic
