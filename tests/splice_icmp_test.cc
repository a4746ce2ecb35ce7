// ICMP errors and spliced connections, byte by byte: what comes of an error about a packet that was
// translated, and of a packet that the way out does not take.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "host/stack.h"
#include "nic/splice/rule.h"
#include "tests/splice_packets.h"
#include "wire/checksum.h"

namespace fairlead::host {
namespace {

using test::PacketBytes;
using test::Segment;
using test::operator+;

const MacAddress kOurs{{2, 0, 0, 0, 0, 1}};
const MacAddress kClients{{2, 0, 0, 0, 0, 7}};
const MacAddress kServers{{2, 0, 0, 0, 0, 9}};
const Time kNow{seconds(1000)};
constexpr uint16_t kWindow = 5000;  // bytes the server lets the client send
constexpr uint32_t kAcked = 1000;   // of the client's, by the server

class TwoNeighbours final : public port::Router {
 public:
  explicit TwoNeighbours(const IpAddress& client) : client_(client) {}

  Result<port::Path> resolve(const IpAddress& remote) override {
    return port::Path{.source = {},
                      .local_mac = kOurs,
                      .next_hop = remote == client_ ? kClients : kServers,
                      .gateway = remote,
                      .mtu = mtu};
  }
  std::optional<IpAddress> source_for(const IpAddress&) override { return std::nullopt; }
  std::optional<uint16_t> mtu_for(const IpAddress&) const override { return mtu; }
  uint64_t generation() const override { return generation_number; }
  bool is_local(const IpAddress&) const override { return true; }

  uint16_t mtu = 1500;
  uint64_t generation_number = 1;

 private:
  IpAddress client_;
};

struct Error {
  IpAddress from;
  IpAddress to;
  uint8_t type = 0;
  uint8_t code = 0;
  uint32_t rest = 0;
  uint8_t hop_limit = 60;
};

/// An IP packet, checksums complete.
PacketBytes error_packet(const Error& error, ByteSpan quote) {
  const bool v4 = error.from.is_v4();
  PacketBytes icmp{error.type, error.code, 0, 0};
  test::append32(icmp, error.rest);
  icmp.insert(icmp.end(), quote.begin(), quote.end());
  const auto length = static_cast<uint16_t>(icmp.size());
  const PseudoHeader pseudo{
      .source = error.from, .destination = error.to, .protocol = 58, .length = length};
  test::write16(icmp, 2, checksum_finish(checksum_add(v4 ? 0 : pseudo_header_sum(pseudo), icmp)));
  PacketBytes out;
  if (v4) {
    out = {0x45, 0};
    test::append16(out, static_cast<uint16_t>(20 + length));
    test::append32(out, 0x4000);  // ID 0, DF
    out.push_back(error.hop_limit);
    out.push_back(1);
    test::append16(out, 0);
  } else {
    test::append32(out, 6u << 28);
    test::append16(out, length);
    out.push_back(58);
    out.push_back(error.hop_limit);
  }
  for (const IpAddress& address : {error.from, error.to}) {
    const ByteSpan bytes = address.header_bytes();
    out.insert(out.end(), bytes.begin(), bytes.end());
  }
  if (v4) test::write16(out, 10, checksum_finish(checksum_add(0, out)));
  return out + icmp;
}

class SpliceIcmp : public testing::TestWithParam<bool> {
 protected:
  SpliceIcmp() {
    nic::Splice& splice = *stack_.splices().create();
    const nic::SpliceRecords records = nic::records_of(pair_);
    splice.directions[0].tuple = pair_.client;
    splice.directions[0].rule = records.from_client.rule;
    splice.directions[1].tuple = pair_.server;
    splice.directions[1].rule = records.from_server.rule;
    stack_.splices().open(splice, kNow);
    deliver(test::packet_of(server_ack()));
  }

  bool v6() const { return GetParam(); }
  IpAddress address(std::string_view v4, std::string_view v6_text) const {
    return *IpAddress::parse(v6() ? v6_text : v4);
  }
  size_t ip_size() const { return v6() ? 40 : 20; }

  nic::SplicePair make_pair() const {
    const IpAddress v = address("192.0.2.1", "2001:db8::1");
    const IpAddress l = address("192.0.2.2", "2001:db8::2");
    return {.client = {{v, 80}, {address("198.51.100.7", "2001:db8:c::7"), 5000}},
            .server = {{l, 61000}, {address("203.0.113.9", "2001:db8:d::9"), 8080}},
            .seq_offset = 0xfffff000,
            .ack_offset = 77,
            .ts_value_offset = 0x80000000,
            .ts_echo_offset = 3,
            .scales = {.announced_by_client = 2,
                       .announced_to_client = 0,
                       .announced_by_server = 0,
                       .announced_to_server = 0},
            .timestamps = true};
  }
  /// What the client has sent, as it came, with the hops it has left at the reporter.
  Segment client_segment() const {
    return {.from = pair_.client.remote,
            .to = pair_.client.local,
            .seq = kAcked,
            .ack = 2000,
            .flags = 0x18,
            .options = test::nops(2) + test::timestamps(50, 60),
            .payload = test::some_bytes(1201),
            .ttl = 30};
  }
  /// And what was made of it.
  Segment translated_segment() const {
    Segment out = client_segment();
    out.from = pair_.server.local;
    out.to = pair_.server.remote;
    out.seq += 0xfffff000;
    out.ack += 77;
    out.window = 4000;
    out.options = test::nops(2) + test::timestamps(0x80000000 + 50, 63);
    return out;
  }
  Segment server_ack() const {
    return {.from = pair_.server.remote,
            .to = pair_.server.local,
            .seq = 2077,
            .ack = kAcked + 0xfffff000,
            .window = kWindow,
            .options = test::nops(2) + test::timestamps(63, 9)};
  }
  Error too_big(uint32_t mtu) const {
    return {.from = router_address_,
            .to = pair_.server.local.address,
            .type = static_cast<uint8_t>(v6() ? 2 : 3),
            .code = static_cast<uint8_t>(v6() ? 0 : 4),
            .rest = mtu};
  }
  /// As the client is to be told.
  Error to_client(Error error) const {
    error.to = pair_.client.remote.address;
    --error.hop_limit;
    return error;
  }

  PacketBytes frame(ByteSpan packet, const MacAddress& to, const MacAddress& from) const {
    PacketBytes out(to.bytes.begin(), to.bytes.end());
    out.insert(out.end(), from.bytes.begin(), from.bytes.end());
    test::append16(out, v6() ? 0x86dd : 0x0800);
    out.insert(out.end(), packet.begin(), packet.end());
    return out;
  }
  /// The frames that are sent because of a packet.
  std::vector<PacketBytes> deliver(ByteSpan packet, uint16_t gso_size = 0) {
    // A copy of exactly that size: a sanitizer sees a byte too far.
    const PacketBytes in = frame(packet, kOurs, kServers);
    stack_.on_packet({.frame = in, .gso_size = gso_size}, kNow);
    port::PacketBurst burst;
    stack_.transmit(burst, kNow);
    std::vector<PacketBytes> out;
    for (size_t i = 0; i < burst.size(); ++i) {
      if (burst[i].checksum_partial) port::complete_checksum(burst[i]);
      const ByteSpan header = burst[i].header_bytes();
      PacketBytes& sent = out.emplace_back(header.begin(), header.end());
      for (size_t n = 0; n < burst[i].payload_count; ++n) {
        sent.insert(sent.end(), burst[i].payload[n].begin(), burst[i].payload[n].end());
      }
    }
    stack_.end_burst();
    return out;
  }
  std::vector<PacketBytes> deliver(const Error& error, ByteSpan quote) {
    return deliver(error_packet(error, quote));
  }
  std::vector<PacketBytes> expected(const Error& error, ByteSpan quote) const {
    return {frame(error_packet(to_client(error), quote), kClients, kOurs)};
  }
  /// With an option, or an extension header, before TCP.
  PacketBytes with_ip_options(PacketBytes packet) const {
    const PacketBytes options = v6() ? PacketBytes{6, 0, 1, 4, 0, 0, 0, 0} : PacketBytes(4, 1);
    if (v6()) {
      packet[6] = 60;  // destination options
      test::write16(packet, 4, static_cast<uint16_t>(packet.size() - 40 + options.size()));
    } else {
      packet[0] = 0x46;
      test::write16(packet, 2, static_cast<uint16_t>(packet.size() + options.size()));
      test::write16(packet, 10, 0);
    }
    packet.insert(packet.begin() + static_cast<ptrdiff_t>(ip_size()), options.begin(),
                  options.end());
    if (!v6()) {
      const ByteSpan header = ByteSpan(packet).first(ip_size() + options.size());
      test::write16(packet, 10, checksum_finish(checksum_add(0, header)));
    }
    return packet;
  }
  PacketBytes quote(const Segment& segment, size_t size = 300) const {
    PacketBytes out = test::packet_of(segment);
    out.resize(std::min(size, out.size()));
    return out;
  }
  const nic::SpliceCounters& counters() const { return stack_.splices().counters(); }

  const nic::SplicePair pair_ = make_pair();
  const IpAddress router_address_ = address("10.9.9.9", "2001:db8:99::9");
  TwoNeighbours router_{pair_.client.remote.address};
  const port::PortInfo port_[1] = {{}};
  Stack stack_{{.max_connections = 16, .max_splices = 16},
               router_,
               port_,
               {.hash = {}, .isn = {}, .setup = {}, .seed = 1},
               kNow};
};

TEST_P(SpliceIcmp, APacketWithIpOptionsIsDroppedAndNotReset) {
  EXPECT_TRUE(deliver(with_ip_options(test::packet_of(client_segment()))).empty());
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
  data.payload = test::some_bytes(900);
  Segment translated = data;
  translated.from = pair_.client.local;
  translated.to = pair_.client.remote;
  translated.seq -= 77;
  translated.ack = kAcked;
  translated.options = test::nops(2) + test::timestamps(60, 9 + 0x80000000);
  Segment ack = client_segment();
  ack.payload.clear();
  deliver(test::packet_of(ack));
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
  translated.payload = sent.payload = test::some_bytes(1350);
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
    segment.payload = test::some_bytes(size - ip_size() - 32);
    return test::packet_of(segment);
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
  test::complete_checksums(may_fragment, false);
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

const auto family = [](const testing::TestParamInfo<bool>& info) {
  return std::string(info.param ? "Ipv6" : "Ipv4");
};
INSTANTIATE_TEST_SUITE_P(, SpliceIcmp, testing::Bool(), family);
INSTANTIATE_TEST_SUITE_P(, SpliceTooBig, testing::Bool(), family);

}  // namespace
}  // namespace fairlead::host
