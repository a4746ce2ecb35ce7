#include "control/log/log_text.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/random.h"

namespace fairlead::control {
namespace {

std::string json(std::string_view value) {
  std::string out;
  append_json(out, value);
  return out;
}

std::string common(std::string_view value) {
  std::string out;
  append_common(out, value);
  return out;
}

TEST(LogText, PlainTextAndValidUtf8StayAsTheyAre) {
  EXPECT_EQ(json("/a?b=c"), "\"/a?b=c\"");
  EXPECT_EQ(json("gr\xC3\xBC\xC3\x9F \xE2\x82\xAC \xF0\x9F\x9A\xA2"),
            "\"gr\xC3\xBC\xC3\x9F \xE2\x82\xAC \xF0\x9F\x9A\xA2\"");
}

TEST(LogText, WhatEndsAStringOrALineIsEscaped) {
  EXPECT_EQ(json("a\"b\\c\nd\x7f"), R"("a\"b\\c\u000ad\u007f")");
  EXPECT_EQ(common("a\"b\\c\nd\x1b[2J"), R"(a\"b\\c\x0ad\x1b[2J)");
}

TEST(LogText, BytesThatAreNoUtf8AreEscapedOneByOne) {
  EXPECT_EQ(json("\xff"), R"("\u00ff")");
  EXPECT_EQ(json("\xC0\x80"), R"("\u00c0\u0080")") << "overlong";
  EXPECT_EQ(json("\xED\xA0\x80"), R"("\u00ed\u00a0\u0080")") << "a surrogate";
  EXPECT_EQ(json("\xF4\x90\x80\x80"), R"("\u00f4\u0090\u0080\u0080")") << "above U+10FFFF";
  EXPECT_EQ(json("\xE2\x82"), R"("\u00e2\u0082")") << "cut off";
}

TEST(LogText, ALongValueIsCut) {
  EXPECT_EQ(json(std::string(5000, 'x')).size(), kMaxLoggedValue + 2);
  EXPECT_EQ(common(std::string(5000, '\n')).size(), 4 * kMaxLoggedValue);
}

TEST(LogText, WhateverComesJsonReadersTakeIt) {
  Rng rng(7);
  for (int round = 0; round < 2000; ++round) {
    std::string hostile;
    for (uint64_t n = rng.below(60); n > 0; --n) {
      // Mostly bytes that begin or continue UTF-8.
      hostile += static_cast<char>(rng.chance(0.7) ? 0x80 + rng.below(128) : rng.below(256));
    }
    const auto read = nlohmann::json::parse(json(hostile), nullptr, false);
    ASSERT_TRUE(read.is_string()) << "round " << round;
    EXPECT_EQ(json(hostile).find('\n'), std::string::npos);
    EXPECT_EQ(common(hostile).find('\n'), std::string::npos);
  }
}

TEST(LogText, TimesHaveTheFieldsOfTheirFormats) {
  LogClock clock;
  std::string iso;
  clock.append_iso(iso);
  ASSERT_EQ(iso.size(), 24u) << iso;
  EXPECT_EQ(iso[10], 'T');
  EXPECT_EQ(iso[19], '.');
  EXPECT_EQ(iso[23], 'Z');
  std::string common;
  clock.append_common(common);
  ASSERT_EQ(common.size(), 26u) << common;
  EXPECT_EQ(common[2], '/');
  EXPECT_TRUE(common.ends_with(" +0000"));
}

}  // namespace
}  // namespace fairlead::control
