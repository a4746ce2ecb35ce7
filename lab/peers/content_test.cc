#include "lab/peers/content.h"

#include <gtest/gtest.h>

#include <vector>

namespace fairlead::lab {
namespace {

std::vector<std::byte> piece(const Content& content, uint64_t offset, size_t size) {
  std::vector<std::byte> bytes(size);
  content.fill(offset, bytes);
  return bytes;
}

TEST(Content, APieceIsTheSameWhereverItBegins) {
  const Content content = Content::pseudo_random(7);
  const auto whole = piece(content, 0, 100);
  for (size_t offset = 0; offset < 40; ++offset) {
    const auto part = piece(content, offset, 50);
    EXPECT_TRUE(std::ranges::equal(part, std::span(whole).subspan(offset, 50))) << offset;
  }
}

TEST(Content, SeedsDiffer) {
  EXPECT_NE(piece(Content::pseudo_random(1), 0, 64), piece(Content::pseudo_random(2), 0, 64));
}

TEST(Content, CharactersAreThoseOfRfc864) {
  const auto bytes = piece(Content::chargen(), 0, 2 * 74);
  EXPECT_EQ(static_cast<char>(bytes[0]), ' ');
  EXPECT_EQ(static_cast<char>(bytes[71]), 'g');
  EXPECT_EQ(static_cast<char>(bytes[72]), '\r');
  EXPECT_EQ(static_cast<char>(bytes[73]), '\n');
  EXPECT_EQ(static_cast<char>(bytes[74]), '!');
  // After '~' comes ' '. The pattern has 95 lines; across its end, and its table's, it goes on.
  const auto later = piece(Content::chargen(), 95 * 74 * 3, 95 * 74 * 20);
  EXPECT_TRUE(std::ranges::equal(std::span(later).first(148), bytes));
  EXPECT_TRUE(std::ranges::equal(std::span(later).subspan(95 * 74 * 13, 148), bytes));
}

TEST(Content, NamesThePositionOfTheFirstWrongByte) {
  const Content content = Content::pseudo_random(7);
  auto bytes = piece(content, 1000, 50000);
  EXPECT_EQ(content.first_difference(1000, bytes), std::nullopt);
  bytes[40000] ^= std::byte{1};
  EXPECT_EQ(content.first_difference(1000, bytes), 41000u);
}

TEST(Content, BytesPastTheEndOfAFileDiffer) {
  const auto content = Content::file("/proc/self/exe");
  ASSERT_TRUE(content);
  const uint64_t size = *content->size();
  auto bytes = piece(*content, size - 100, 100);
  EXPECT_EQ(content->first_difference(size - 100, bytes), std::nullopt);
  bytes.push_back(std::byte{0});
  EXPECT_EQ(content->first_difference(size - 100, bytes), size);
}

TEST(StreamHash, DependsOnTheBytesAndNotOnTheirPieces) {
  const auto bytes = piece(Content::pseudo_random(7), 0, 1000);
  StreamHash whole;
  whole.update(bytes);
  StreamHash pieces;
  pieces.update(std::span(bytes).first(333));
  pieces.update(std::span(bytes).subspan(333));
  EXPECT_EQ(whole.hex(), pieces.hex());
  StreamHash swapped;
  swapped.update(std::span(bytes).subspan(333));
  swapped.update(std::span(bytes).first(333));
  EXPECT_NE(whole.hex(), swapped.hex());
}

}  // namespace
}  // namespace fairlead::lab
