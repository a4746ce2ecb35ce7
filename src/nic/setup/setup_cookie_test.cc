// The bits of cookies and timestamps, and what a cookie proves. Packets: tests/setup_rule_test.cc.
#include "nic/setup/setup_cookie.h"

#include <gtest/gtest.h>

#include <array>
#include <cstring>

#include "base/random.h"
#include "base/siphash.h"

namespace fairlead::nic {
namespace {

constexpr fl_setup_secrets kSecrets{.cookie = {{1, 2}, {3, 4}}, .timestamps = {5, 6}};

fl_setup_tuple tuple() {
  return {.source = {{0, 0x0100000affff0000}},
          .destination = {{0, 0x0200000affff0000}},
          .source_port = 0x1234,
          .destination_port = 0x5000};
}

fl_cookie_claim claim() {
  return {.client_isn = 0x01020304,
          .timestamp = 0xfedcba99,
          .mss_index = 6,
          .window_scale = 7,
          .units = 1000};
}

uint32_t cookie_of(const fl_cookie_claim& c, const fl_setup_tuple& t = tuple(),
                   const fl_setup_secrets& secrets = kSecrets) {
  return fl_cookie_of(fl_cookie_hash(&secrets, &t, &c), &c);
}

fl_cookie_answer answer_to(const fl_cookie_claim& c) {
  return {.client_isn = c.client_isn,
          .isn = cookie_of(c),
          .timestamp = c.timestamp,
          .units = c.units,
          .window_scale = static_cast<uint8_t>(c.window_scale)};
}

fl_setup_verdict check(const fl_cookie_answer& answer, const fl_setup_tuple& t = tuple(),
                       const fl_setup_secrets& secrets = kSecrets) {
  __u64 hash = 0;
  return fl_cookie_check(&secrets, &t, &answer, &hash);
}

TEST(SetupCookie, HashIsSipHash24) {
  Rng rng(1);
  for (int i = 0; i < 100; ++i) {
    const SipKey key{rng.next(), rng.next()};
    const fl_sip_key plain{key.k0, key.k1};
    std::array<__u64, 6> words;
    for (__u64& word : words) word = rng.next();
    words[5] = (words[5] << 8 >> 8) | 47ull << 56;
    std::array<uint8_t, 48> bytes;
    std::memcpy(bytes.data(), words.data(), bytes.size());
    EXPECT_EQ(fl_siphash(&plain, words.data(), 6), siphash24(key, ByteSpan(bytes).first(47)));
  }
}

TEST(SetupCookie, BitsAreHashMssTime) {
  const fl_setup_tuple t = tuple();
  for (uint32_t mss = 0; mss < 8; ++mss) {
    for (uint32_t units = 1000; units < 1040; ++units) {
      fl_cookie_claim c = claim();
      c.mss_index = mss;
      c.units = units;
      const uint32_t cookie = cookie_of(c);
      EXPECT_EQ(cookie & 31, units % 32);
      EXPECT_EQ(cookie >> 5 & 7, mss);
      EXPECT_EQ(cookie >> 8, fl_cookie_hash(&kSecrets, &t, &c) & 0xffffff);
    }
  }
}

TEST(SetupCookie, IsTakenForItsWholeWindowAndNoLonger) {
  // At all 32 times that the bits can say, and where the counter itself wraps.
  for (uint32_t made = 0xffffffe0; made != 64; ++made) {
    fl_cookie_claim c = claim();
    c.units = made;
    fl_cookie_answer answer = answer_to(c);
    for (uint32_t age = 0; age <= 1000; ++age) {
      answer.units = made + age;
      const fl_setup_verdict verdict = check(answer);
      if (age <= FL_COOKIE_WINDOW) {
        ASSERT_EQ(verdict, FL_SETUP_NEW_CONNECTION) << made << " + " << age;
      } else if (age % 32 > FL_COOKIE_WINDOW) {
        ASSERT_EQ(verdict, FL_SETUP_EXPIRED) << made << " + " << age;
      } else {
        ASSERT_EQ(verdict, FL_SETUP_FORGED) << "its five bits look young again: " << age;
      }
    }
    answer.units = made - 1;
    EXPECT_EQ(check(answer), FL_SETUP_EXPIRED) << "from the future";
  }
}

TEST(SetupCookie, WindowIsAboutAMinute) {
  constexpr uint64_t kSecond = 1'000'000'000;
  EXPECT_EQ(fl_setup_time_of(60 * kSecond).units, FL_COOKIE_WINDOW);
  EXPECT_EQ(fl_setup_time_of(64 * kSecond).units, FL_COOKIE_WINDOW + 1);
  EXPECT_EQ(fl_setup_time_of(64 * kSecond - 1).units, FL_COOKIE_WINDOW);
  EXPECT_EQ(fl_setup_time_of(1'234'567'890).milliseconds, 1234u);
}

/// Every bit of all that the hash covers, one at a time, over many cookies.
TEST(SetupCookie, NoBitOfTheAnswerCanBeChanged) {
  Rng rng(2);
  int tried = 0;
  int taken = 0;
  const auto expect_refused = [&](const fl_cookie_answer& answer, const fl_setup_tuple& t) {
    ++tried;
    if (check(answer, t) == FL_SETUP_NEW_CONNECTION) ++taken;
  };
  for (int round = 0; round < 300; ++round) {
    fl_cookie_claim c = claim();
    c.client_isn = static_cast<uint32_t>(rng.next());
    c.timestamp = static_cast<uint32_t>(rng.next());
    c.mss_index = static_cast<uint32_t>(rng.below(8));
    c.units = static_cast<uint32_t>(rng.next());
    const fl_cookie_answer good = answer_to(c);
    ASSERT_EQ(check(good), FL_SETUP_NEW_CONNECTION);
    for (unsigned bit = 0; bit < 32; ++bit) {
      fl_cookie_answer answer = good;
      answer.isn ^= 1u << bit;
      expect_refused(answer, tuple());
      answer = good;
      answer.client_isn ^= 1u << bit;
      expect_refused(answer, tuple());
      answer = good;
      answer.timestamp ^= 1u << bit;
      expect_refused(answer, tuple());
      if (bit < 4) {
        answer = good;
        answer.window_scale = static_cast<uint8_t>(answer.window_scale ^ 1u << bit);
        expect_refused(answer, tuple());
      }
    }
    for (unsigned bit = 0; bit < 8 * sizeof(fl_setup_tuple); ++bit) {
      fl_setup_tuple t = tuple();
      if (bit / 8 >= 36) break;  // padding
      std::array<uint8_t, sizeof t> bytes;
      std::memcpy(bytes.data(), &t, sizeof t);
      bytes[bit / 8] = static_cast<uint8_t>(bytes[bit / 8] ^ 1u << bit % 8);
      std::memcpy(&t, bytes.data(), sizeof t);
      expect_refused(good, t);
    }
  }
  // 116,400 guesses at 2^-24 each: one is right in one run of 144, with another seed.
  EXPECT_EQ(tried, 300 * (3 * 32 + 4 + 288));
  EXPECT_EQ(taken, 0);
}

/// A guess that knows 16 of the 24 bits and not the last 8: so many that the rate can be measured.
TEST(SetupCookie, GuessIsRightAsOftenAsItsBitsSay) {
  Rng rng(3);
  int right = 0;
  constexpr int kTries = 1 << 18;
  for (int i = 0; i < kTries; ++i) {
    fl_cookie_claim c = claim();
    c.client_isn = static_cast<uint32_t>(i);
    fl_cookie_answer answer = answer_to(c);
    answer.isn = (answer.isn & 0x00ffffff) | static_cast<uint32_t>(rng.next()) << 24;
    right += check(answer) == FL_SETUP_NEW_CONNECTION;
  }
  EXPECT_NEAR(right, kTries / 256, 160) << "five standard deviations";
}

TEST(SetupCookie, EpochsUseTheirOwnSecret) {
  fl_setup_secrets other = kSecrets;
  other.cookie[0] = {77, 88};
  fl_cookie_claim c = claim();
  c.units = 32 * 32;  // an even epoch
  EXPECT_NE(cookie_of(c), cookie_of(c, tuple(), other));
  EXPECT_EQ(check(answer_to(c), tuple(), other), FL_SETUP_FORGED);
  c.units += 32;
  EXPECT_EQ(cookie_of(c), cookie_of(c, tuple(), other));
  EXPECT_EQ(check(answer_to(c), tuple(), other), FL_SETUP_NEW_CONNECTION);
}

TEST(SetupCookie, MssIsTheLargestSizeNotAboveTheClients) {
  for (uint32_t mss = 536; mss <= 65535; ++mss) {
    const uint32_t index = fl_cookie_mss_index(static_cast<uint16_t>(mss));
    ASSERT_LT(index, 8u);
    ASSERT_LE(fl_cookie_mss(index), mss);
    if (index < 7) ASSERT_GT(fl_cookie_mss(index + 1), mss);
  }
  for (uint32_t i = 0; i < 8; ++i) EXPECT_EQ(fl_cookie_mss_index(fl_cookie_mss(i)), i);
}

TEST(SetupTimestamp, HoldsEveryCombinationOfOptions) {
  Rng rng(4);
  for (uint8_t scale = 0; scale <= 15; ++scale) {
    for (uint8_t choices = 0; choices < 4; ++choices) {
      const fl_setup_options in{.mss = 0,
                                .window_scale = scale,
                                .sack = static_cast<uint8_t>(choices & 1),
                                .ecn = static_cast<uint8_t>(choices >> 1)};
      const uint32_t value =
          fl_timestamp_with_options(static_cast<uint32_t>(rng.next()) & ~1u, &in);
      EXPECT_TRUE(fl_timestamp_has_options(value));
      fl_setup_options out{};
      fl_timestamp_options(value, &out);
      EXPECT_EQ(out.window_scale, in.window_scale);
      EXPECT_EQ(out.sack, in.sack);
      EXPECT_EQ(out.ecn, in.ecn);
    }
  }
}

TEST(SetupTimestamp, IsBelowWhateverIsSentInTheSameMillisecondByAtMost128) {
  for (uint32_t bits = 0; bits < 64; ++bits) {
    const fl_setup_options options{.mss = 0,
                                   .window_scale = static_cast<uint8_t>(bits & 15),
                                   .sack = static_cast<uint8_t>(bits >> 5 & 1),
                                   .ecn = static_cast<uint8_t>(bits >> 4 & 1)};
    for (uint32_t ms = 0xffffff00; ms != 0x100; ++ms) {  // over the wrap
      const uint32_t sent = fl_timestamp_sent(ms, 0);
      EXPECT_FALSE(fl_timestamp_has_options(sent));
      const auto behind = static_cast<int32_t>(sent - fl_timestamp_with_options(sent, &options));
      ASSERT_GE(behind, 1);
      ASSERT_LE(behind, 128);
    }
  }
}

TEST(SetupTimestamp, ClockTicksOnAndIsOffsetPerConnection) {
  fl_setup_tuple t = tuple();
  const uint32_t offset = fl_timestamp_offset(&kSecrets, &t);
  EXPECT_EQ(offset, fl_timestamp_offset(&kSecrets, &t));
  EXPECT_EQ(fl_timestamp_sent(1002, offset) - fl_timestamp_sent(1000, offset), 2u);
  fl_setup_secrets rotated = kSecrets;
  rotated.cookie[0] = rotated.cookie[1] = {9, 9};
  EXPECT_EQ(offset, fl_timestamp_offset(&rotated, &t)) << "does not go back at a rotation";
  t.source_port ^= 1;
  EXPECT_NE(offset, fl_timestamp_offset(&kSecrets, &t));
}

}  // namespace
}  // namespace fairlead::nic
