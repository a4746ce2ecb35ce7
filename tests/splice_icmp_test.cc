// ICMP errors and spliced connections, byte by byte: what comes of an error about a packet that was
// translated, and of a packet that the way out does not take.
#include "tests/splice_icmp.h"

namespace fairlead::test {
namespace {

TEST_P(SpliceIcmp, APacketWithIpOptionsIsDroppedAndNotReset) {
  EXPECT_TRUE(deliver(with_ip_options(packet_of(client_segment()))).empty());
  EXPECT_EQ(counters().drop_unsupported, 1u);
}

// ---- errors of others ----

TEST_P(SpliceIcmp, TellsTheSenderOfTheSegmentAsItSentIt) {
  const Error said = too_big(1300);
  EXPECT_EQ(deliver(said, quote(translated_segment())), expected(said, quote(client_segment())));
  EXPECT_EQ(counters().icmp_translated, 1u);
  EXPECT_EQ(stack_.counters().drop_bad_icmp, 0u);
}

TEST_P(SpliceIcmp, PassesUnreachableAndTimeExceededOn) {
  for (const uint8_t type : {v6() ? uint8_t{1} : uint8_t{3}, v6() ? uint8_t{3} : uint8_t{11}}) {
    Error said = too_big(0);
    said.type = type;
    said.code = 1;
    EXPECT_EQ(deliver(said, quote(translated_segment())), expected(said, quote(client_segment())));
  }
}

TEST_P(SpliceIcmp, TellsTheServerOfItsSegments) {
  Segment data = server_ack();
  data.payload = some_bytes(900);
  Segment translated = data;
  translated.from = pair_.client.local;
  translated.to = pair_.client.remote;
  translated.seq -= 77;
  translated.ack = kAcked;
  translated.options = nops(2) + timestamps(60, 9 + 0x80000000);
  Segment ack = client_segment();
  ack.payload.clear();
  deliver(packet_of(ack));
  Error said = too_big(1280);
  said.to = pair_.client.local.address;
  const PacketBytes before = quote(translated);
  const auto sent = deliver(said, before);
  said.to = pair_.server.remote.address;
  --said.hop_limit;
  ASSERT_EQ(sent.size(), 1u);
  EXPECT_EQ(sent[0], frame(error_packet(said, quote(data)), kServers, kOurs));
}

TEST_P(SpliceIcmp, WhatTheOtherEndReportsSeemsToComeFromUs) {  // RFC 5508 §4.2
  Error said = too_big(1400);
  said.from = pair_.server.remote.address;
  Error told = said;
  told.from = pair_.client.local.address;
  EXPECT_EQ(deliver(said, quote(translated_segment())), expected(told, quote(client_segment())));
}

TEST_P(SpliceIcmp, ALinkLocalReporterIsNotNamedElsewhere) {  // RFC 4291 §2.5.6
  if (!v6()) GTEST_SKIP() << "IPv6 only";
  Error said = too_big(1400);
  said.from = *IpAddress::parse("fe80::1");
  Error told = said;
  told.from = pair_.client.local.address;
  EXPECT_EQ(deliver(said, quote(translated_segment())), expected(told, quote(client_segment())));
}

TEST_P(SpliceIcmp, AQuoteMayEndBehindTheSequenceNumber) {  // RFC 792
  const Error said = too_big(1300);
  EXPECT_EQ(deliver(said, quote(translated_segment(), ip_size() + 8)),
            expected(said, quote(client_segment(), ip_size() + 8)));
}

TEST_P(SpliceIcmp, AQuoteMayEndAnywhereBehind) {
  const Error said = too_big(1300);
  const size_t whole = ip_size() + 32;
  for (size_t size = 0; size <= whole + 40; ++size) {
    const auto sent = deliver(said, quote(translated_segment(), size));
    if (size < ip_size() + 8) {
      EXPECT_TRUE(sent.empty()) << size;
      continue;
    }
    ASSERT_EQ(sent.size(), 1u) << size;
    const PacketBytes told = quote(client_segment(), size);
    const size_t exact = size >= whole ? size : ip_size() + 8;
    const size_t at = 14 + ip_size() + 8;
    ASSERT_EQ(sent[0].size(), at + size);
    EXPECT_TRUE(std::equal(told.begin(), told.begin() + static_cast<std::ptrdiff_t>(exact),
                           sent[0].begin() + static_cast<std::ptrdiff_t>(at)))
        << size;
  }
  EXPECT_EQ(stack_.counters().drop_bad_icmp, ip_size() + 8);
}

TEST_P(SpliceIcmp, AnErrorAboutNothingInFlightIsALie) {  // RFC 5927 §4.1
  const auto passes = [&](uint32_t seq) {
    Segment segment = translated_segment();
    segment.seq = seq + 0xfffff000;
    return !deliver(too_big(1300), quote(segment)).empty();
  };
  EXPECT_FALSE(passes(kAcked - 1));
  EXPECT_TRUE(passes(kAcked));
  EXPECT_TRUE(passes(kAcked + kWindow - 1));
  EXPECT_FALSE(passes(kAcked + kWindow));
  EXPECT_FALSE(passes(kAcked + 0x80000000));
  EXPECT_EQ(counters().icmp_translated, 2u);
  EXPECT_EQ(counters().drop_bad_icmp, 3u);
}

TEST_P(SpliceIcmp, AWrongChecksumEndsIt) {
  const PacketBytes right = error_packet(too_big(1300), quote(translated_segment()));
  for (const size_t at : {ip_size() + 2, ip_size() + 7, right.size() - 1}) {
    PacketBytes wrong = right;
    wrong[at] ^= 1;
    EXPECT_TRUE(deliver(wrong).empty());
  }
  EXPECT_EQ(stack_.counters().drop_bad_icmp, 3u);
}

TEST_P(SpliceIcmp, ALoweredMtuNeverFallsBelowTheFloor) {
  if (v6()) {  // RFC 8201 §4
    EXPECT_TRUE(deliver(too_big(1279), quote(translated_segment())).empty());
    EXPECT_EQ(counters().drop_bad_icmp, 1u);
    return;
  }
  for (const uint32_t mtu : {0u, 68u}) {
    EXPECT_EQ(deliver(too_big(mtu), quote(translated_segment())),
              expected(too_big(552), quote(client_segment())));
  }
}

TEST_P(SpliceIcmp, OtherMessagesEndHere) {
  Error said = too_big(0);
  said.type = 4;  // source quench; parameter problem
  EXPECT_TRUE(deliver(said, quote(translated_segment())).empty());
  EXPECT_EQ(counters().drop_bad_icmp, 1u);
}

TEST_P(SpliceIcmp, AQuoteOfWhatWeNeverSentIsDropped) {
  const PacketBytes quoted = with_ip_options(quote(translated_segment()));
  EXPECT_TRUE(deliver(too_big(1300), quoted).empty());
  EXPECT_EQ(counters().drop_bad_icmp, 1u);
}

TEST_P(SpliceIcmp, ItHasAsManyHopsAsAnyPacket) {
  Error said = too_big(1300);
  said.hop_limit = 1;
  EXPECT_TRUE(deliver(said, quote(translated_segment())).empty());
  EXPECT_EQ(counters().drop_ttl, 1u);
}

TEST_P(SpliceIcmp, ALongQuoteIsCut) {  // RFC 1812 §4.3.2.3, RFC 4443 §2.4
  Segment translated = translated_segment();
  Segment sent = client_segment();
  translated.payload = sent.payload = some_bytes(1350);
  const size_t longest = (v6() ? 1280 : 576) - ip_size() - 8;
  EXPECT_EQ(deliver(too_big(1300), quote(translated, 1400)),
            expected(too_big(1300), quote(sent, longest)));
}

// ---- our own ----

class SpliceTooBig : public SpliceIcmp {
 protected:
  /// The frame that answers `packet`.
  std::vector<PacketBytes> answer(ByteSpan packet, uint32_t mtu) const {
    const Error error{.from = pair_.client.local.address,
                      .to = pair_.client.remote.address,
                      .type = static_cast<uint8_t>(v6() ? 2 : 3),
                      .code = static_cast<uint8_t>(v6() ? 0 : 4),
                      .rest = mtu,
                      .hop_limit = 64};
    const size_t longest = (v6() ? 1280 : 576) - ip_size() - 8;
    // Back the way it came.
    return {frame(error_packet(error, packet.first(std::min(packet.size(), longest))), kServers,
                  kOurs)};
  }
  PacketBytes packet(size_t size) const {
    Segment segment = client_segment();
    segment.payload = some_bytes(size - ip_size() - 32);
    return packet_of(segment);
  }
  void narrow(uint16_t mtu) {
    router_.mtu = mtu;
    ++router_.generation_number;
  }
};

TEST_P(SpliceTooBig, TheSenderIsToldTheWaysMtu) {  // RFC 1191 §4, RFC 8201 §5.1
  narrow(1300);
  EXPECT_EQ(deliver(packet(1301)), answer(packet(1301), 1300));
  EXPECT_EQ(counters().too_big_answered, 1u);
  EXPECT_EQ(deliver(packet(1300)).size(), 1u);
  EXPECT_EQ(counters().too_big_answered, 1u);
  EXPECT_EQ(counters().translated, 2u);  // with server_ack()
}

TEST_P(SpliceTooBig, WithoutDontFragmentToo) {
  if (v6()) GTEST_SKIP() << "IPv4 only";
  narrow(1300);
  PacketBytes may_fragment = packet(1400);
  may_fragment[6] = 0;
  complete_checksums(may_fragment, false);
  EXPECT_EQ(deliver(may_fragment), answer(may_fragment, 1300));
}

TEST_P(SpliceTooBig, ASuperPacketIsAsBigAsItsSegments) {
  narrow(1300);
  const auto headers = static_cast<uint16_t>(ip_size() + 32);
  const auto fits = static_cast<uint16_t>(1300 - headers);
  EXPECT_EQ(deliver(packet(9000), fits).size(), 1u);
  EXPECT_EQ(counters().too_big_answered, 0u);
  EXPECT_EQ(deliver(packet(9000), fits + 1), answer(packet(9000), 1300));
  EXPECT_EQ(counters().too_big_answered, 1u);
}

TEST_P(SpliceTooBig, OnlySoManyASecond) {
  narrow(1300);
  size_t answers = 0;
  for (int i = 0; i < 1100; ++i) answers += deliver(packet(1400)).size();
  EXPECT_EQ(answers, 1000u);
  EXPECT_EQ(counters().too_big_answered, 1000u);
  EXPECT_EQ(counters().too_big_limited, 100u);
}

INSTANTIATE_TEST_SUITE_P(, SpliceIcmp, testing::Bool(), family);
INSTANTIATE_TEST_SUITE_P(, SpliceTooBig, testing::Bool(), family);

}  // namespace
}  // namespace fairlead::test
