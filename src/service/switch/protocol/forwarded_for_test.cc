#include "service/switch/protocol/forwarded_for.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "service/switch/protocol/http_text.h"

namespace fairlead::protocol {
namespace {

ByteSpan as_bytes(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

/// The head of `text` with `client` added.
std::string written(std::string_view text, std::string_view client = "192.0.2.1") {
  HttpHead head;
  EXPECT_TRUE(HttpHeadParser::request().parse(as_bytes(text), head).value_or(false)) << text;
  std::vector<uint8_t> out(head.size + kForwardedForRoom);
  const auto size = write_with_forwarded_for(as_bytes(text), head, *IpAddress::parse(client), out);
  if (!size) return "no room";
  return std::string(as_text(ByteSpan(out).first(*size)));
}

TEST(ForwardedFor, WithoutOneANewLastFieldIsAdded) {
  EXPECT_EQ(written("GET / HTTP/1.1\r\nHost:  a \r\n\r\nbody"),
            "GET / HTTP/1.1\r\nHost:  a \r\nX-Forwarded-For: 192.0.2.1\r\n\r\n");
  EXPECT_EQ(written("GET / HTTP/1.0\r\n\r\n", "2001:db8::1"),
            "GET / HTTP/1.0\r\nX-Forwarded-For: 2001:db8::1\r\n\r\n");
}

TEST(ForwardedFor, AnExistingListGrowsAndKeepsItsWhitespace) {
  EXPECT_EQ(written("GET / HTTP/1.0\r\nx-forwarded-FOR:\t10.0.0.1 \r\nA: b\r\n\r\n"),
            "GET / HTTP/1.0\r\nx-forwarded-FOR:\t10.0.0.1, 192.0.2.1 \r\nA: b\r\n\r\n");
}

TEST(ForwardedFor, TheLastOfSeveralListsGrows) {  // RFC 9110 §5.3: their order is the list's
  EXPECT_EQ(written("GET / HTTP/1.0\r\nX-Forwarded-For: a\r\nX-Forwarded-For: b\r\n\r\n"),
            "GET / HTTP/1.0\r\nX-Forwarded-For: a\r\nX-Forwarded-For: b, 192.0.2.1\r\n\r\n");
}

TEST(ForwardedFor, AnEmptyListGetsItsFirstMember) {
  EXPECT_EQ(written("GET / HTTP/1.0\r\nX-Forwarded-For:\r\nA: b\r\n\r\n"),
            "GET / HTTP/1.0\r\nX-Forwarded-For: 192.0.2.1\r\nA: b\r\n\r\n");
  EXPECT_EQ(written("GET / HTTP/1.0\r\nX-Forwarded-For:  \r\n\r\n"),
            "GET / HTTP/1.0\r\nX-Forwarded-For: 192.0.2.1  \r\n\r\n");
}

TEST(ForwardedFor, LeadingEmptyLinesStay) {
  EXPECT_EQ(written("\r\nGET / HTTP/1.0\r\n\r\n"),
            "\r\nGET / HTTP/1.0\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n");
}

TEST(ForwardedFor, TheLongestAddressFitsThePromisedRoom) {
  EXPECT_NE(written("GET / HTTP/1.0\r\n\r\n", "2001:1db8:1111:2222:3333:4444:5555:6666"),
            "no room");
}

TEST(ForwardedFor, ABufferThatIsTooSmallIsLeftAlone) {
  const std::string text = "GET / HTTP/1.0\r\n\r\n";
  HttpHead head;
  ASSERT_TRUE(HttpHeadParser::request().parse(as_bytes(text), head).value_or(false));
  const size_t needed = written(text).size();
  std::vector<uint8_t> out(needed, 0xee);
  const IpAddress client = *IpAddress::parse("192.0.2.1");
  EXPECT_EQ(write_with_forwarded_for(as_bytes(text), head, client,
                                     MutableByteSpan(out).first(needed - 1)),
            std::nullopt);
  EXPECT_EQ(out, std::vector<uint8_t>(needed, 0xee));
  EXPECT_EQ(write_with_forwarded_for(as_bytes(text), head, client, out), needed);
}

}  // namespace
}  // namespace fairlead::protocol
