#include "control/config/units.h"

#include <gtest/gtest.h>

#include <array>

#include "control/config/suggest.h"

namespace fairlead::control {
namespace {

TEST(ConfigUnits, NumbersAreDecimalDigitsOnly) {
  EXPECT_EQ(parse_number("0"), 0u);
  EXPECT_EQ(parse_number("18446744073709551615"), UINT64_MAX);
  for (const char* wrong : {"", "-1", "+1", " 1", "1 ", "0x10", "1.5", "18446744073709551616"}) {
    EXPECT_EQ(parse_number(wrong), std::nullopt) << wrong;
  }
}

TEST(ConfigUnits, SizesArePowersOf1024) {
  EXPECT_EQ(parse_size("7"), 7u);
  EXPECT_EQ(parse_size("64k"), 65536u);
  EXPECT_EQ(parse_size("64K"), 65536u);
  EXPECT_EQ(parse_size("4M"), 4u << 20);
  EXPECT_EQ(parse_size("1G"), 1u << 30);
  for (const char* wrong : {"", "k", "4kB", "4 k", "-4k", "1.5M", "17179869184G"}) {
    EXPECT_EQ(parse_size(wrong), std::nullopt) << wrong;
  }
}

TEST(ConfigUnits, DurationsNeedAUnit) {
  EXPECT_EQ(parse_duration("500us"), microseconds(500));
  EXPECT_EQ(parse_duration("5ms"), milliseconds(5));
  EXPECT_EQ(parse_duration("10s"), seconds(10));
  EXPECT_EQ(parse_duration("3m"), minutes(3));
  EXPECT_EQ(parse_duration("2h"), hours(2));
  for (const char* wrong :
       {"", "10", "s", "10 s", "10S", "-1s", "1.5s", "10d", "1h30m", "9223372036854775807s"}) {
    EXPECT_EQ(parse_duration(wrong), std::nullopt) << wrong;
  }
}

TEST(ConfigUnits, WhatIsFormattedReadsBackTheSame) {
  for (const uint64_t bytes : {0ull, 1ull, 1000ull, 1024ull, 65536ull, 1ull << 30, 3ull << 40}) {
    EXPECT_EQ(parse_size(format_size(bytes)), bytes);
  }
  for (const Duration d : {Duration(0), Duration(microseconds(7)), Duration(milliseconds(1500)),
                           Duration(seconds(60)), Duration(hours(24))}) {
    EXPECT_EQ(parse_duration(format_duration(d)), d);
  }
  EXPECT_EQ(format_duration(seconds(90)), "90s");
  EXPECT_EQ(format_size(4 << 20), "4M");
}

TEST(Suggest, NearWordsAreFoundAndFarOnesAreNot) {
  constexpr std::array<std::string_view, 3> kWords = {"interface", "echo_server", "tcp"};
  EXPECT_EQ(closest("intreface", kWords), "interface");
  EXPECT_EQ(closest("echo_sever", kWords), "echo_server");
  EXPECT_EQ(closest("echoserver", kWords), "echo_server");
  EXPECT_EQ(closest("tpc", kWords), "tcp");
  EXPECT_EQ(closest("virtual_server", kWords), "");
  EXPECT_EQ(closest("", kWords), "");
  EXPECT_EQ(closest(std::string(5000, 'i'), kWords), "");
}

}  // namespace
}  // namespace fairlead::control
