#include "host/reassembly.h"

#include <gtest/gtest.h>

#include <map>
#include <vector>

#include "base/random.h"

namespace fairlead::host {
namespace {

constexpr uint32_t kBase = 0xffffff00u;  // so that every test wraps

class ReassemblyTest : public testing::Test {
 protected:
  ~ReassemblyTest() override {
    reassembly_.clear(ranges_, chunks_);
    queue_.clear(chunks_);
    EXPECT_EQ(ranges_.live(), 0u);
    EXPECT_EQ(chunks_.live(), 0u);
  }
  static uint8_t byte_at(uint32_t offset) {
    return static_cast<uint8_t>(offset * 7 + offset / 251);
  }
  Reassembly::Outcome insert(uint32_t offset, uint32_t size) {
    std::vector<uint8_t> bytes(size);
    for (uint32_t i = 0; i < size; ++i) bytes[i] = byte_at(offset + i);
    return reassembly_.insert(SeqNum(kBase) + offset, bytes, ranges_, chunks_);
  }
  std::vector<std::pair<uint32_t, uint32_t>> blocks(size_t most) {
    std::vector<wire::SackBlock> out(most);
    unsigned n = reassembly_.sack_blocks(out);
    std::vector<std::pair<uint32_t, uint32_t>> result;
    for (unsigned i = 0; i < n; ++i) {
      result.emplace_back(out[i].left.value() - kBase, out[i].right.value() - kBase);
    }
    return result;
  }
  using Blocks = std::vector<std::pair<uint32_t, uint32_t>>;

  ChunkPool chunks_{4096};
  RangePool ranges_{1024};
  Reassembly reassembly_;
  ByteChain queue_;
};

TEST_F(ReassemblyTest, RangesThatTouchBecomeOne) {
  EXPECT_EQ(insert(10, 10), Reassembly::Outcome::kStored);
  EXPECT_EQ(insert(30, 10), Reassembly::Outcome::kStored);
  EXPECT_EQ(reassembly_.ranges(), 2);
  EXPECT_EQ(insert(20, 10), Reassembly::Outcome::kStored);
  EXPECT_EQ(reassembly_.ranges(), 1);
  EXPECT_EQ(blocks(4), (Blocks{{10, 40}}));
  EXPECT_EQ(insert(15, 20), Reassembly::Outcome::kDuplicate);
}

TEST_F(ReassemblyTest, TheMostRecentRangeIsToldFirst) {  // RFC 2018 §4
  insert(10, 5);
  insert(30, 5);
  insert(50, 5);
  insert(35, 5);
  EXPECT_EQ(blocks(3), (Blocks{{30, 40}, {50, 55}, {10, 15}}));
  EXPECT_EQ(blocks(2), (Blocks{{30, 40}, {50, 55}}));
}

TEST_F(ReassemblyTest, HoldsNoMoreThanItsBoundOfRanges) {
  for (uint32_t i = 0; i < Reassembly::kMaxRanges; ++i) {
    ASSERT_EQ(insert(10 + 4 * i, 2), Reassembly::Outcome::kStored);
  }
  EXPECT_EQ(insert(5, 2), Reassembly::Outcome::kFull);
  EXPECT_EQ(insert(12, 2), Reassembly::Outcome::kStored) << "extending a range needs no new one";
}

TEST_F(ReassemblyTest, AnExhaustedPoolStoresWhatItCan) {
  ChunkPool few(1);
  Reassembly r;
  std::vector<uint8_t> bytes(Chunk::kCapacity + 100);
  EXPECT_EQ(r.insert(SeqNum(1), bytes, ranges_, few), Reassembly::Outcome::kNoBuffer);
  EXPECT_EQ(r.size(), Chunk::kCapacity);
  EXPECT_EQ(r.insert(SeqNum(100'000), bytes, ranges_, few), Reassembly::Outcome::kNoBuffer);
  EXPECT_EQ(r.ranges(), 1);
  r.clear(ranges_, few);
}

TEST_F(ReassemblyTest, AgreesWithAMapOfBytes) {
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Rng rng(seed);
    std::map<uint32_t, uint8_t> model;
    uint32_t nxt = 0;
    for (int step = 0; step < 60; ++step) {
      auto offset = nxt + 1 + static_cast<uint32_t>(rng.below(3000));
      auto size = 1 + static_cast<uint32_t>(rng.below(rng.chance(0.2) ? 6000 : 200));
      insert(offset, size);
      for (uint32_t i = 0; i < size; ++i) model[offset + i] = byte_at(offset + i);
      ASSERT_EQ(reassembly_.size(), model.size());
      if (rng.chance(0.2)) {  // the gap closes, perhaps into the first range
        nxt += 1 + static_cast<uint32_t>(rng.below(400));
        uint32_t after =
            reassembly_.take_ready(SeqNum(kBase) + nxt, queue_, ranges_, chunks_).value() - kBase;
        model.erase(model.begin(), model.lower_bound(nxt));
        std::vector<uint8_t> taken;
        while (!queue_.empty()) {
          ByteSpan front = queue_.front();
          taken.insert(taken.end(), front.begin(), front.end());
          queue_.drop_front(static_cast<uint32_t>(front.size()), chunks_);
        }
        ASSERT_EQ(taken.size(), after - nxt);
        for (uint8_t byte : taken) {
          ASSERT_EQ(model.begin()->first, nxt);
          ASSERT_EQ(model.begin()->second, byte);
          model.erase(model.begin());
          ++nxt;
        }
        ASSERT_TRUE(model.empty() || model.begin()->first > nxt);
      }
    }
    reassembly_.clear(ranges_, chunks_);
  }
}

}  // namespace
}  // namespace fairlead::host
