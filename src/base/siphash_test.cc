#include "base/siphash.h"

#include <gtest/gtest.h>

#include <array>

namespace fairlead {
namespace {

// The reference implementation's vectors: key 00..0f, message 00, 00 01, ...
constexpr SipKey kKey{0x0706050403020100ull, 0x0f0e0d0c0b0a0908ull};

TEST(SipHash, Gives24ReferenceVectors) {
  constexpr std::array<uint64_t, 16> kVectors{
      0x726fdb47dd0e0e31, 0x74f839c593dc67fd, 0x0d6c8009d9a94f5a, 0x85676696d7fb7e2d,
      0xcf2794e0277187b7, 0x18765564cd99a68d, 0xcbc9466e58fee3ce, 0xab0200f58b01d137,
      0x93f5f5799a932462, 0x9e0082df0ba9e4b0, 0x7a5dbbc594ddb9f3, 0xf4b32f46226bada7,
      0x751e8fbc860ee5fb, 0x14ea5627c0843d90, 0xf723ca908e7af2ee, 0xa129ca6149be45e5};
  const std::array<uint8_t, 16> message{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  for (size_t n = 0; n < kVectors.size(); ++n) {
    EXPECT_EQ(siphash24(kKey, ByteSpan(message).first(n)), kVectors[n]) << n;
  }
}

TEST(SipHash, Gives13ReferenceVectors) {
  const std::array<uint8_t, 1> zero{0};
  EXPECT_EQ(siphash13(kKey, ByteSpan()), 0xabac0158050fc4dcu);
  EXPECT_EQ(siphash13(kKey, ByteSpan(zero)), 0xc9f49bf37d57ca93u);
}

TEST(SipHash, AnObjectHashesAsItsBytes) {
  std::array<uint8_t, 18> object{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18};
  EXPECT_EQ(siphash24(kKey, object), siphash24(kKey, ByteSpan(object)));
  EXPECT_EQ(siphash13(kKey, object), siphash13(kKey, ByteSpan(object)));
  EXPECT_NE(siphash13(kKey, object), siphash24(kKey, object));
}

}  // namespace
}  // namespace fairlead
