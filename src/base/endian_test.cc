#include "base/endian.h"

#include <gtest/gtest.h>

#include <array>

namespace fairlead {
namespace {

TEST(BigEndian, StandsInMemoryMostSignificantByteFirst) {
  EXPECT_EQ((std::bit_cast<std::array<uint8_t, 2>>(Be16(0x1234))),
            (std::array<uint8_t, 2>{0x12, 0x34}));
  EXPECT_EQ((std::bit_cast<std::array<uint8_t, 4>>(Be32(0x12345678))),
            (std::array<uint8_t, 4>{0x12, 0x34, 0x56, 0x78}));
  EXPECT_EQ((std::bit_cast<std::array<uint8_t, 8>>(Be64(0x0102030405060708))),
            (std::array<uint8_t, 8>{1, 2, 3, 4, 5, 6, 7, 8}));
}

TEST(BigEndian, GivesBackWhatWasStored) {
  Be32 field;
  EXPECT_EQ(field.value(), 0u);
  field = 0xdeadbeef;
  EXPECT_EQ(field.value(), 0xdeadbeefu);
  EXPECT_EQ(field, Be32(0xdeadbeef));
  EXPECT_NE(field, Be32(0xefbeadde));
}

TEST(BigEndian, WorksInConstantExpressions) {
  static_assert(Be16(0x0800).value() == 0x0800);
  static_assert(!std::is_convertible_v<uint16_t, Be16> && !std::is_convertible_v<Be16, uint16_t>);
}

}  // namespace
}  // namespace fairlead
