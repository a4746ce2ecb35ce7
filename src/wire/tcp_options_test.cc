#include "wire/tcp_options.h"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "base/random.h"

namespace fairlead::wire {
namespace {

TcpOptions parse(std::vector<uint8_t> bytes) {
  // On the heap at its exact size, so that a read past the end is seen by AddressSanitizer.
  auto exact = std::make_unique<uint8_t[]>(bytes.size());
  std::copy(bytes.begin(), bytes.end(), exact.get());
  return TcpOptions::parse({exact.get(), bytes.size()});
}

TEST(TcpOptions, ReadsWhatLinuxSendsInASyn) {
  TcpOptions o = parse({2, 4, 0x05, 0xb4, 4, 2, 8, 10, 1, 2, 3, 4, 0, 0, 0, 0, 1, 3, 3, 7});
  EXPECT_EQ(o.mss, 1460);
  EXPECT_TRUE(o.sack_permitted);
  EXPECT_EQ(o.timestamps, (Timestamps{0x01020304, 0}));
  EXPECT_EQ(o.window_scale, 7);
  EXPECT_FALSE(o.malformed);
}

TEST(TcpOptions, ALengthOfZeroOrOneEndsTheWalk) {
  for (uint8_t length = 0; length < 2; ++length) {
    TcpOptions o = parse({1, 99, length, 2, 4, 5, 180});
    EXPECT_TRUE(o.malformed);
    EXPECT_FALSE(o.mss.has_value());
  }
}

TEST(TcpOptions, ALengthPastTheEndIsMalformedAtEverySize) {
  for (size_t size = 1; size <= 40; ++size) {
    std::vector<uint8_t> bytes(size, 1);
    bytes[size - 1] = 8;
    EXPECT_TRUE(parse(bytes).malformed) << size;
    if (size >= 2) {
      bytes[size - 2] = 5, bytes[size - 1] = 10;
      EXPECT_TRUE(parse(bytes).malformed) << size;
    }
  }
}

TEST(TcpOptions, EveryKindWithEveryLengthInEveryRoomIsSkippedOrMalformed) {
  for (unsigned kind = 2; kind < 256; ++kind) {
    for (size_t room = 2; room <= TcpOptions::kMaxSize; ++room) {
      for (size_t length : {0uz, 1uz, 2uz, 3uz, 4uz, 8uz, 9uz, 10uz, 18uz, 26uz, 34uz, 38uz, 40uz,
                            room - 1, room, room + 1, 128uz, 255uz}) {
        std::vector<uint8_t> bytes(room, 0);
        bytes[0] = static_cast<uint8_t>(kind);
        bytes[1] = static_cast<uint8_t>(length);
        ASSERT_EQ(parse(bytes).malformed, length < 2 || length > room)
            << "kind " << kind << " length " << length << " room " << room;
      }
    }
  }
}

TEST(TcpOptions, AKnownKindOfWrongSizeIsSkipped) {
  TcpOptions o = parse({2, 3, 9, 3, 4, 1, 1, 8, 3, 1, 5, 9, 1, 2, 3, 4, 5, 6, 7, 2, 4, 1, 0});
  EXPECT_FALSE(o.malformed);
  EXPECT_EQ(o.unknown, 4);
  EXPECT_EQ(o.mss, 256);
}

TEST(TcpOptions, AWindowScaleAboveFourteenIsFourteen) {  // RFC 7323 §2.3
  EXPECT_EQ(parse({3, 3, 200}).window_scale, 14);
}

TEST(TcpOptions, ParseOfEmitIsTheSame) {
  for (uint64_t seed = 0; seed < 2000; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Rng rng(seed);
    TcpOptions o;
    if (rng.chance(0.5)) o.mss = static_cast<uint16_t>(rng.next());
    if (rng.chance(0.5)) o.window_scale = static_cast<uint8_t>(rng.below(15));
    if (rng.chance(0.5)) {
      o.timestamps =
          Timestamps{static_cast<uint32_t>(rng.next()), static_cast<uint32_t>(rng.next())};
    }
    o.sack_permitted = rng.chance(0.5);
    size_t used = (o.mss ? 4u : 0u) +
                  (o.timestamps       ? 12u
                   : o.sack_permitted ? 4u
                                      : 0u) +
                  (o.window_scale ? 4u : 0u);
    o.sack_count = static_cast<uint8_t>(rng.below((36 - used) / 8 + 1));
    for (size_t i = 0; i < o.sack_count; ++i) {
      o.sack[i] = {SeqNum(static_cast<uint32_t>(rng.next())),
                   SeqNum(static_cast<uint32_t>(rng.next()))};
    }
    std::array<uint8_t, 40> buffer{};
    size_t size = o.emit(buffer);
    EXPECT_EQ(size % 4, 0u);
    ASSERT_LE(size, 40u);
    EXPECT_EQ(TcpOptions::parse(ByteSpan(buffer).first(size)), o);
  }
}

TEST(TcpOptions, SackBlocksGiveWayWhenThereIsNoRoom) {
  TcpOptions o;
  o.timestamps = Timestamps{1, 2};
  o.sack_count = 4;
  std::array<uint8_t, 40> buffer{};
  size_t size = o.emit(buffer);
  EXPECT_EQ(size, 40u);
  EXPECT_EQ(TcpOptions::parse(ByteSpan(buffer).first(size)).sack_count, 3);
}

TEST(TcpOptions, RandomBytesOfEveryLengthAreReadWithinBounds) {
  Rng rng(1);
  for (int round = 0; round < 20'000; ++round) {
    std::vector<uint8_t> bytes(rng.below(41));
    for (uint8_t& b : bytes) b = static_cast<uint8_t>(rng.chance(0.5) ? rng.below(35) : rng.next());
    EXPECT_LE(parse(bytes).sack_count, 4);
  }
}

}  // namespace
}  // namespace fairlead::wire
