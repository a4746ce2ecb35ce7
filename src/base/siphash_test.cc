#include "base/siphash.h"

#include <gtest/gtest.h>

#include <array>

namespace fairlead {
namespace {

// The reference implementation's vectors: key 00..0f, message 00, 00 01, ...
constexpr SipKey kKey{0x0706050403020100ull, 0x0f0e0d0c0b0a0908ull};

TEST(SipHash, Gives24ReferenceVectors) {
  std::array<uint8_t, 16> message;
  for (uint8_t i = 0; i < 16; ++i) message[i] = i;
  auto hash = [&](size_t n) { return siphash24(kKey, ByteSpan(message).first(n)); };
  EXPECT_EQ(hash(0), 0x726fdb47dd0e0e31ull);
  EXPECT_EQ(hash(1), 0x74f839c593dc67fdull);
  EXPECT_EQ(hash(7), 0xab0200f58b01d137ull);
  EXPECT_EQ(hash(8), 0x93f5f5799a932462ull);
  EXPECT_EQ(hash(15), 0xa129ca6149be45e5ull);
}

TEST(SipHash, AnObjectHashesAsItsBytes) {
  std::array<uint8_t, 18> object{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18};
  EXPECT_EQ(siphash24(kKey, object), siphash24(kKey, ByteSpan(object)));
  EXPECT_EQ(siphash13(kKey, object), siphash13(kKey, ByteSpan(object)));
  EXPECT_NE(siphash13(kKey, object), siphash24(kKey, object));
}

}  // namespace
}  // namespace fairlead
