#include "service/switch/protocol/body_framer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "base/random.h"

namespace fairlead::protocol {
namespace {

using namespace std::string_literals;

ByteSpan as_bytes(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

/// "finished at 5", "more", or the fault's name, for `text` given in pieces of `step` bytes.
std::string outcome(BodyFramer framer, std::string_view text, size_t step = SIZE_MAX) {
  size_t taken = 0;
  while (taken < text.size() && !framer.finished() && !framer.fault()) {
    taken += framer.take(as_bytes(text.substr(taken, step)));
  }
  if (framer.fault()) return std::string(body_fault_name(*framer.fault()));
  return framer.finished() ? "finished at " + std::to_string(taken) : "more";
}

std::string chunked(std::string_view text, size_t step = SIZE_MAX) {
  return outcome(BodyFramer(BodyFraming::kChunked), text, step);
}

TEST(BodyFramer, WithoutABodyItIsFinishedAtOnce) {  // RFC 9112 §6.3 items 1, 7
  EXPECT_EQ(outcome(BodyFramer(BodyFraming::kNone), "next"), "finished at 0");
  EXPECT_EQ(outcome(BodyFramer(BodyFraming::kLength, 0), "next"), "finished at 0");
}

TEST(BodyFramer, ALengthIsCountedDown) {  // RFC 9112 §6.3 item 6
  for (size_t step : {1uz, 2uz, 5uz, 100uz}) {
    EXPECT_EQ(outcome(BodyFramer(BodyFraming::kLength, 5), "12345next", step), "finished at 5");
    EXPECT_EQ(outcome(BodyFramer(BodyFraming::kLength, 5), "1234", step), "more");
  }
  BodyFramer huge(BodyFraming::kLength, UINT64_MAX);
  EXPECT_EQ(huge.take(as_bytes("12345")), 5u);
  EXPECT_FALSE(huge.finished());
}

TEST(BodyFramer, UntilCloseEverythingBelongsToTheBody) {  // RFC 9112 §6.3 item 8
  BodyFramer framer(BodyFraming::kUntilClose);
  EXPECT_EQ(framer.take(as_bytes("0\r\n\r\n")), 5u);
  EXPECT_FALSE(framer.finished());
  framer.end_of_stream();
  EXPECT_TRUE(framer.finished());
  EXPECT_EQ(framer.take(as_bytes("more")), 0u);
}

TEST(BodyFramer, AStreamThatEndsEarlyTruncatesTheBody) {  // RFC 9112 §8
  for (BodyFramer framer :
       {BodyFramer(BodyFraming::kLength, 5), BodyFramer(BodyFraming::kChunked)}) {
    framer.end_of_stream();
    EXPECT_EQ(framer.fault(), BodyFault::kTruncated);
  }
  BodyFramer finished(BodyFraming::kNone);
  finished.end_of_stream();
  EXPECT_TRUE(finished.finished());
}

TEST(BodyFramer, EveryChunkedBodyIsTakenOrBrokenForItsReason) {
  struct Case {
    const char* clause;
    std::string text;
    std::string outcome;
  };
  const std::vector<Case> cases = {
      {"RFC 9112 §7.1", "0\r\n\r\nnext", "finished at 5"},
      {"RFC 9112 §7.1", "5\r\n01234\r\n0\r\n\r\nnext", "finished at 15"},
      {"RFC 9112 §7.1: data may look like framing", "5\r\n\r\n0\r\n\r\n0\r\n\r\n",
       "finished at 15"},
      {"RFC 9112 §7.1: case", "a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n", "finished at 35"},
      {"RFC 9112 §7.1: leading zeros", "0001\r\nx\r\n000\r\n\r\n", "finished at 16"},
      {"RFC 9112 §7.1: size of 64 bits", "ffffffffffffffff\r\nx", "more"},
      {"RFC 9112 §7.1: more digits", "10000000000000000\r\n", "chunk_size"},
      {"RFC 9112 §7.1: endless zeros", "00000000000000000", "chunk_size"},
      {"RFC 9112 §7.1: no size", "\r\n", "chunk_size"},
      {"RFC 9112 §7.1: no size", ";a\r\n", "chunk_size"},
      {"RFC 9112 §7.1: sign", "-1\r\n", "chunk_size"},
      {"RFC 9112 §7.1: sign", "+1\r\n", "chunk_size"},
      {"RFC 9112 §7.1: prefix", "0x1\r\nx\r\n", "chunk_size"},
      {"RFC 9112 §7.1: leading whitespace", " 1\r\nx\r\n", "chunk_size"},
      {"RFC 9112 §7.1: trailing whitespace", "1 \r\nx\r\n", "chunk_line"},
      {"RFC 9112 §7.1: whitespace inside", "1 1\r\nx\r\n", "chunk_line"},
      {"RFC 9112 §7.1: bare LF", "1\nx\r\n", "chunk_line"},
      {"RFC 9112 §7.1: bare CR", "1\rx", "chunk_line"},
      {"RFC 9112 §7.1: NUL", "1\0\r\n"s, "chunk_size"},
      {"RFC 9112 §7.1: data too long", "1\r\nxy\r\n", "chunk_end"},
      {"RFC 9112 §7.1: bare LF behind data", "1\r\nx\n0\r\n\r\n", "chunk_end"},
      {"RFC 9112 §7.1: bare CR behind data", "1\r\nx\r0\r\n\r\n", "chunk_end"},
      {"RFC 9112 §7.1.1", "1;a=b\r\nx\r\n0;c=\"d e\";f\r\n\r\n", "finished at 25"},
      {"RFC 9112 §7.1.1: whitespace", "1 \t; a = b\r\nx\r\n0\r\n\r\n", "finished at 20"},
      {"RFC 9112 §7.1.1: bare LF", "1;a\nx\r\n", "chunk_line"},
      {"RFC 9112 §7.1.1: bare CR", "1;a\rb\r\n", "chunk_line"},
      {"RFC 9112 §7.1.1: NUL", "1;a\0\r\n"s, "chunk_extension"},
      {"RFC 9112 §7.1.2", "0\r\nA: b\r\nC: d\r\n\r\nnext", "finished at 17"},
      {"RFC 9112 §7.1.2: obs-fold", "0\r\nA: b\r\n c\r\n\r\n", "trailer"},
      {"RFC 9112 §7.1.2: bare LF", "0\r\n\n", "trailer"},
      {"RFC 9112 §7.1.2: no colon", "0\r\nGET / HTTP/1.1\r\n\r\n", "trailer"},
  };
  for (const Case& test : cases) {
    for (size_t step : {1uz, 2uz, 3uz, 100uz}) {
      EXPECT_EQ(chunked(test.text, step), test.outcome)
          << test.clause << ", " << step << " bytes at a time\n"
          << test.text;
    }
  }
}

TEST(BodyFramer, ChunkLinesAreBounded) {  // RFC 9112 §7.1.1
  const std::string extension(BodyFramer::kMaxChunkLine - 1, 'x');
  EXPECT_EQ(chunked("1;" + extension.substr(1)), "more");
  EXPECT_EQ(chunked("1;" + extension + "x"), "chunk_line_too_long");
  EXPECT_EQ(chunked("1" + std::string(BodyFramer::kMaxChunkLine + 1, ' ')), "chunk_line_too_long");
}

TEST(BodyFramer, TheBoundOfAChunkLineIsEachLinesOwn) {
  std::string text;
  for (int i = 0; i < 1000; ++i) text += "1;abcdefghijklmnopqrstuvwxyz\r\nx\r\n";
  EXPECT_EQ(chunked(text), "more");
}

TEST(BodyFramer, TrailersAreBounded) {  // RFC 9112 §7.1.2
  const std::string field = "A: " + std::string(BodyFramer::kMaxTrailer - 7, 'x') + "\r\n";
  EXPECT_EQ(chunked("0\r\n" + field + "\r\n"),
            "finished at " + std::to_string(BodyFramer::kMaxTrailer + 3));
  EXPECT_EQ(chunked("0\r\nA" + field + "\r\n"), "trailer_too_long");
  std::string fields;
  for (int i = 0; i <= FieldLines::kMaxFields; ++i) fields += "A: b\r\n";
  EXPECT_EQ(chunked("0\r\n" + fields + "\r\n"), "trailer");
}

TEST(BodyFramer, AnyChunksInAnyPiecesEndWhereTheyEnd) {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Rng rng(seed);
    std::string text;
    for (uint64_t chunks = rng.below(10); chunks > 0; --chunks) {
      const uint64_t size = 1 + rng.below(5000);
      char line[32];
      std::snprintf(line, sizeof line, rng.chance(0.5) ? "%llx\r\n" : "%llX;x\r\n",
                    static_cast<unsigned long long>(size));
      text += line + std::string(size, '\n') + "\r\n";
    }
    text += "0\r\n\r\n";
    const size_t size = text.size();
    text += "HTTP/1.1 200 OK\r\n";
    BodyFramer framer(BodyFraming::kChunked);
    size_t taken = 0;
    while (!framer.finished()) {
      ASSERT_FALSE(framer.fault());
      ASSERT_LT(taken, size);
      taken += framer.take(as_bytes(std::string_view(text).substr(taken, 1 + rng.below(1500))));
    }
    EXPECT_EQ(taken, size);
  }
}

TEST(BodyFramer, EveryFaultHasANameOfItsOwn) {
  std::vector<std::string_view> names;
  for (size_t i = 0; i < kBodyFaultCount; ++i) {
    names.push_back(body_fault_name(static_cast<BodyFault>(i)));
  }
  std::ranges::sort(names);
  EXPECT_EQ(std::ranges::adjacent_find(names), names.end());
}

}  // namespace
}  // namespace fairlead::protocol
