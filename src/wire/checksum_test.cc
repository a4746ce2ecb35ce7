#include "wire/checksum.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <vector>

namespace fairlead {
namespace {

/// RFC 1071 §1, word by word.
uint64_t naive_sum(ByteSpan bytes) {
  uint64_t sum = 0;
  for (size_t i = 0; i < bytes.size(); ++i) {
    sum += i % 2 == 0 ? uint64_t{bytes[i]} << 8 : uint64_t{bytes[i]};
  }
  return sum;
}

std::vector<uint8_t> random_bytes(size_t size, uint64_t seed) {
  std::mt19937_64 rng(seed);
  std::vector<uint8_t> bytes(size);
  std::ranges::generate(bytes, [&] { return static_cast<uint8_t>(rng()); });
  return bytes;
}

TEST(Checksum, MatchesTheWorkedExample) {  // RFC 1071 §3
  const std::vector<uint8_t> bytes{0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};
  EXPECT_EQ(checksum_fold(checksum_add(0, bytes)), 0xddf2);
  EXPECT_EQ(checksum_finish(checksum_add(0, bytes)), 0x220d);
}

TEST(Checksum, MatchesTheNaiveSumForEveryLengthAndAlignment) {
  const std::vector<uint8_t> bytes = random_bytes(400, 1);
  for (size_t offset = 0; offset < 64; ++offset) {
    for (size_t length = 0; length <= 300; ++length) {
      const ByteSpan span = ByteSpan(bytes).subspan(offset, length);
      ASSERT_EQ(checksum_fold(checksum_add(0, span)), checksum_fold(naive_sum(span)))
          << "offset " << offset << " length " << length;
    }
  }
}

TEST(Checksum, MatchesTheNaiveSumForLargeBuffers) {
  for (size_t length : {1459uz, 1460uz, 4096uz, 65535uz, 65536uz, 1000003uz}) {
    const std::vector<uint8_t> bytes = random_bytes(length, length);
    EXPECT_EQ(checksum_fold(checksum_add(0, bytes)), checksum_fold(naive_sum(bytes))) << length;
  }
}

TEST(Checksum, LosesNoCarryOverBytesThatAreAllOnes) {
  for (size_t length : {2uz, 128uz, 65536uz, size_t{16} << 20}) {
    const std::vector<uint8_t> bytes(length, 0xff);
    EXPECT_EQ(checksum_fold(checksum_add(0, bytes)), 0xffff) << length;
  }
}

TEST(Checksum, FoldIsZeroOnlyForZero) {
  EXPECT_EQ(checksum_fold(0), 0);
  EXPECT_EQ(checksum_fold(0xffff), 0xffff);
  EXPECT_EQ(checksum_fold(0x1'fffe), 0xffff);
  EXPECT_EQ(checksum_fold(0xffff'ffff), 0xffff);
  EXPECT_EQ(checksum_fold(0xffff'ffff'ffff'ffff), 0xffff);
  EXPECT_EQ(checksum_fold(0x8000'8000'8000'8001), 0x0003);
}

TEST(Checksum, AMessageWithItsOwnChecksumInItIsIntact) {
  for (uint64_t seed = 0; seed < 1000; ++seed) {
    std::vector<uint8_t> bytes = random_bytes(20 + seed % 50, seed);
    bytes[10] = bytes[11] = 0;
    const Be16 checksum(checksum_finish(checksum_add(0, bytes)));
    std::memcpy(&bytes[10], &checksum, 2);
    EXPECT_TRUE(checksum_ok(checksum_add(0, bytes))) << "seed " << seed;
    bytes[seed % bytes.size()] ^= 0x10;
    EXPECT_FALSE(checksum_ok(checksum_add(0, bytes))) << "seed " << seed;
  }
}

TEST(ChecksumAccumulator, ChainsSpansOfAnyLength) {
  for (uint64_t seed = 0; seed < 2000; ++seed) {
    std::mt19937_64 rng(seed);
    const std::vector<uint8_t> bytes = random_bytes(rng() % 2000, seed);
    ChecksumAccumulator sum(0x1234);
    for (size_t at = 0; at < bytes.size();) {
      const size_t size =
          std::min<size_t>(rng() % 7 == 0 ? rng() % 600 : rng() % 9, bytes.size() - at);
      sum.add(ByteSpan(bytes).subspan(at, size));
      at += size;
    }
    ASSERT_EQ(checksum_fold(sum.sum()), checksum_fold(naive_sum(bytes) + 0x1234))
        << "seed " << seed;
  }
}

TEST(PseudoHeader, SumsWhatRfc9293Lists) {
  const std::vector<uint8_t> v4{192, 0, 2, 1, 198, 51, 100, 2, 0, 6, 0x05, 0xc8};
  EXPECT_EQ(checksum_fold(pseudo_header_sum({.source = IpAddress::v4(0xc000'0201),
                                             .destination = IpAddress::v4(0xc633'6402),
                                             .protocol = 6,
                                             .length = 0x5c8})),
            checksum_fold(naive_sum(v4)));
}

TEST(PseudoHeader, SumsWhatRfc8200ListsWithALengthOf32Bits) {
  const IpAddress source = IpAddress::parse("2001:db8::1").value();
  const IpAddress destination = IpAddress::parse("2001:db8:ffff::2").value();
  std::vector<uint8_t> v6;
  std::ranges::copy(source.header_bytes(), std::back_inserter(v6));
  std::ranges::copy(destination.header_bytes(), std::back_inserter(v6));
  v6.insert(v6.end(), {0, 1, 0x86, 0xa0, 0, 0, 0, 58});
  EXPECT_EQ(checksum_fold(pseudo_header_sum(
                {.source = source, .destination = destination, .protocol = 58, .length = 100'000})),
            checksum_fold(naive_sum(v6)));
}

TEST(ChecksumUpdate, KeepsTheOtherZero) {  // RFC 1624 §4
  EXPECT_EQ(checksum_update(0xdd2f, FieldChange<uint16_t>{.from = 0x5555, .to = 0x3285}), 0x0000);
}

TEST(ChecksumUpdate, EqualsSummingAgain) {
  std::mt19937_64 rng(7);
  for (int round = 0; round < 20'000; ++round) {
    std::vector<uint8_t> bytes = random_bytes(40, rng());
    // A header always has a byte that is not zero; then the sum has one representation.
    bytes[0] = 0x45;
    const uint16_t before = checksum_finish(naive_sum(bytes));
    const auto extreme = [&](uint32_t value) {
      return rng() % 4 == 0 ? 0u : rng() % 4 == 0 ? 0xffff'ffffu : value;
    };
    const Be32 to(extreme(static_cast<uint32_t>(rng())));
    const size_t at = 2 + rng() % 18 * 2;
    if (rng() % 2 == 0) {
      Be32 from;
      std::memcpy(&from, &bytes[at], 4);
      std::memcpy(&bytes[at], &to, 4);
      ASSERT_EQ(
          checksum_update(before, FieldChange<uint32_t>{.from = from.value(), .to = to.value()}),
          checksum_finish(naive_sum(bytes)));
    } else {
      const Be16 to16(static_cast<uint16_t>(to.value()));
      Be16 from;
      std::memcpy(&from, &bytes[at], 2);
      std::memcpy(&bytes[at], &to16, 2);
      ASSERT_EQ(
          checksum_update(before, FieldChange<uint16_t>{.from = from.value(), .to = to16.value()}),
          checksum_finish(naive_sum(bytes)));
    }
  }
}

}  // namespace
}  // namespace fairlead
