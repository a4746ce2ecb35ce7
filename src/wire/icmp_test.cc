#include "wire/icmp.h"

#include <gtest/gtest.h>

#include <vector>

#include "wire/ipv4.h"

namespace fairlead::wire {
namespace {

using Bytes = std::vector<uint8_t>;
using Kind = TcpError::Kind;

struct Said {
  uint8_t type = 0;
  uint8_t code = 0;
  uint32_t rest = 0;
};

/// Quotes the first 8 bytes of a segment from port 80 to port 4000, SEQ 0x01020304.
Bytes message(bool v4, Said said) {
  Bytes out{said.type, said.code, 0, 0};
  for (int shift = 24; shift >= 0; shift -= 8) {
    out.push_back(static_cast<uint8_t>(said.rest >> shift));
  }
  if (v4) {
    const Bytes ip{0x45, 0, 5, 220, 0, 0, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2};
    out.insert(out.end(), ip.begin(), ip.end());
  } else {
    Bytes ip(40);
    ip[0] = 0x60;
    ip[6] = ip_protocol::kTcp;
    ip[8] = ip[24] = 0x20;
    ip[23] = 1;
    ip[39] = 2;
    out.insert(out.end(), ip.begin(), ip.end());
  }
  const Bytes tcp{0, 80, 0x0f, 0xa0, 1, 2, 3, 4};
  out.insert(out.end(), tcp.begin(), tcp.end());
  return out;
}

TEST(TcpError, SaysOfWhichSegmentItIs) {
  for (const bool v4 : {true, false}) {
    const Bytes bytes = message(v4, {.type = 3, .code = 1});
    const auto error = TcpError::parse(bytes, v4);
    ASSERT_TRUE(error);
    EXPECT_EQ(error->tuple.local, (Endpoint{*IpAddress::parse(v4 ? "10.0.0.1" : "2000::1"), 80}));
    EXPECT_EQ(error->tuple.remote,
              (Endpoint{*IpAddress::parse(v4 ? "10.0.0.2" : "2000::2"), 4000}));
    EXPECT_EQ(error->seq, SeqNum(0x01020304));
    EXPECT_EQ(error->quote.size(), bytes.size() - 8);
    EXPECT_EQ(error->tcp.size(), 8u);
    EXPECT_FALSE(TcpError::parse(bytes, !v4));
  }
}

TEST(TcpError, ItsKindIsTheTypesOfItsFamily) {
  const auto kind = [](bool v4, Said said) { return TcpError::parse(message(v4, said), v4)->kind; };
  EXPECT_EQ(kind(true, {.type = 3, .code = 4}), Kind::kTooBig);
  EXPECT_EQ(kind(true, {.type = 3, .code = 3}), Kind::kUnreachable);
  EXPECT_EQ(kind(true, {.type = 11}), Kind::kTimeExceeded);
  EXPECT_EQ(kind(true, {.type = 4}), Kind::kOther);  // source quench: RFC 6633
  EXPECT_EQ(kind(false, {.type = 2}), Kind::kTooBig);
  EXPECT_EQ(kind(false, {.type = 1, .code = 4}), Kind::kUnreachable);
  EXPECT_EQ(kind(false, {.type = 3}), Kind::kTimeExceeded);
  EXPECT_EQ(kind(false, {.type = 4}), Kind::kOther);
}

TEST(TcpError, APathMtuIsNeverBelowTheFloor) {  // RFC 5927 §7.2, RFC 8201 §4
  const auto v4 = [](uint32_t mtu) {
    return TcpError::parse(message(true, {.type = 3, .code = 4, .rest = mtu}), true)->path_mtu();
  };
  EXPECT_EQ(v4(1400), 1400u);
  EXPECT_EQ(v4(0x00100578), 1400u);  // RFC 4884 §4.1: the first half says something else
  EXPECT_EQ(v4(68), 552u);
  EXPECT_EQ(v4(0), 552u);
  const auto v6 = [](uint32_t mtu) {
    return TcpError::parse(message(false, {.type = 2, .rest = mtu}), false)->path_mtu();
  };
  EXPECT_EQ(v6(1280), 1280u);
  EXPECT_EQ(v6(1279), std::nullopt);
  EXPECT_EQ(v6(0x10000), 0x10000u);
}

TEST(TcpError, AQuoteThatEndsBeforeTheSequenceNumberIsNone) {
  for (const bool v4 : {true, false}) {
    const Bytes bytes = message(v4, {.type = 3});
    for (size_t size = 0; size < bytes.size(); ++size) {
      const Bytes exact(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size));
      EXPECT_FALSE(TcpError::parse(exact, v4)) << size;
    }
  }
}

}  // namespace
}  // namespace fairlead::wire
