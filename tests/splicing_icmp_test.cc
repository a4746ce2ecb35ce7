// ICMP errors that come while two connections are on their way to becoming one: about what was
// passed on, and about what we have sent ourselves.
#include "host/splicing.h"
#include "tests/splice_icmp.h"

namespace fairlead::test {
namespace {

//     client ──[ours, relayed: 1400 bytes]─[passed on: 1201]──▶ server
//     client ◀──────────────────────[ours, relayed: 100 bytes]── server
//
// Nobody acknowledges anything.
class SplicingIcmp : public SpliceIcmp {
 protected:
  void SetUp() override {
    auto listener = stack_.listen(client_.local, {});
    ASSERT_TRUE(listener);
    Segment syn = from_client(999, {});
    syn.flags = 0x02;
    syn.options = kMss;
    to_client_seq_ = seq_of(deliver(packet_of(syn)).at(0)) + 1;
    deliver(packet_of(from_client(1000, {})));
    host::Connection* client = (*listener)->accept();
    ASSERT_TRUE(client);
    auto server = stack_.connect({.remote = server_.remote,
                                  .source = server_.local.address,
                                  .local_port = server_.local.port,
                                  .socket = {},
                                  .offer = client->peer_offer()},
                                 kNow);
    ASSERT_TRUE(server);
    to_server_seq_ = seq_of(turn().at(0)) + 1;
    Segment syn_ack = from_server(4999, {});
    syn_ack.flags = 0x12;
    syn_ack.options = kMss;
    deliver(packet_of(syn_ack));
    deliver(packet_of(from_client(1000, some_bytes(1400))));
    deliver(packet_of(from_server(5000, some_bytes(100))));
    ASSERT_TRUE(stack_.splice(client, *server, {}));
    for (const PacketBytes& sent : turn()) {
      if (!std::ranges::equal(kServers.bytes, ByteSpan(sent).first(6))) continue;
      ours_ = PacketBytes(sent.begin() + 14, sent.end());
    }
    ASSERT_EQ(ours_.size(), ip_size() + 20 + 1400);
    turn();  // all is sent: from here on it translates
    const auto passed = deliver(packet_of(from_client(2400, some_bytes(1201))));
    ASSERT_EQ(passed.size(), 1u);
    passed_on_ = PacketBytes(passed[0].begin() + 14, passed[0].end());
    ASSERT_EQ(stack_.splicing_count(), 1u);
  }

  uint32_t seq_of(ByteSpan frame) const { return read32(frame, 14 + ip_size() + 4); }
  Segment from_client(uint32_t seq, PacketBytes payload) const {
    return {.from = client_.remote,
            .to = client_.local,
            .seq = seq,
            .ack = to_client_seq_,
            .payload = std::move(payload)};
  }
  Segment from_server(uint32_t seq, PacketBytes payload) const {
    return {.from = server_.remote,
            .to = server_.local,
            .seq = seq,
            .ack = to_server_seq_,
            .window = kWindow,
            .payload = std::move(payload)};
  }

  const PacketBytes kMss{2, 4, 1460 >> 8, 1460 & 255};
  const FourTuple client_{pair_.client.local, {pair_.client.remote.address, 5001}};
  const FourTuple server_{{pair_.server.local.address, 61001}, pair_.server.remote};
  uint32_t to_client_seq_ = 0;
  uint32_t to_server_seq_ = 0;
  PacketBytes ours_;  // IP packets to the server
  PacketBytes passed_on_;
};

TEST_P(SplicingIcmp, TellsTheSenderOfWhatWasPassedOn) {
  Error unreachable = too_big(0);
  unreachable.type = v6() ? 1 : 3;
  unreachable.code = 1;
  Segment sent = from_client(2400, some_bytes(1201));
  --sent.ttl;
  sent.ack += 100;  // we have acknowledged these to the server ourselves
  for (const Error& said : {too_big(1300), unreachable}) {
    EXPECT_EQ(deliver(said, ByteSpan(passed_on_).first(300)), expected(said, quote(sent)));
  }
  EXPECT_EQ(counters().icmp_translated, 2u);
  EXPECT_EQ(stack_.counters().drop_bad_icmp, 0u);
}

TEST_P(SplicingIcmp, TellsTheServerToo) {
  Segment data = from_server(5100, some_bytes(900));
  const auto passed = deliver(packet_of(data));
  ASSERT_EQ(passed.size(), 1u);
  Error said = too_big(1280);
  said.to = client_.local.address;
  const auto told = deliver(said, ByteSpan(passed[0]).subspan(14).first(300));
  said.to = server_.remote.address;
  --said.hop_limit;
  ASSERT_EQ(told.size(), 1u);
  --data.ttl;
  data.ack += 1400;  // we have acknowledged these to the client ourselves
  EXPECT_EQ(told[0], frame(error_packet(said, quote(data)), kServers, kOurs));
}

TEST_P(SplicingIcmp, WhatWeHaveSentOurselvesIsSentAgainInSmallerSegments) {
  const auto again = deliver(too_big(1300), ByteSpan(ours_).first(300));
  ASSERT_FALSE(again.empty());
  EXPECT_EQ(seq_of(again[0]), to_server_seq_);
  EXPECT_EQ(again[0].size(), 14u + 1300u);
  EXPECT_EQ(counters().icmp_translated, 0u);
  EXPECT_EQ(stack_.counters().drop_bad_icmp, 0u);
}

TEST_P(SplicingIcmp, WhatIsAcknowledgedIsNotInFlight) {
  Segment ack = from_server(5100, {});
  ack.ack += 1400 + 1000;
  deliver(packet_of(ack));
  ASSERT_EQ(stack_.splicing_count(), 1u);
  const auto passes = [&](uint32_t passed) {
    write32(passed_on_, ip_size() + 4, to_server_seq_ + 1400 + passed);
    return !deliver(too_big(1300), ByteSpan(passed_on_).first(300)).empty();
  };
  EXPECT_FALSE(passes(999));
  EXPECT_TRUE(passes(1000));
  EXPECT_TRUE(passes(1200));
  EXPECT_FALSE(passes(1201));
}

TEST_P(SplicingIcmp, WhatNobodyHasSentIsALie) {
  for (const uint32_t beyond : {to_server_seq_ - 1, to_server_seq_ + 1400 + 1201}) {
    write32(passed_on_, ip_size() + 4, beyond);
    EXPECT_TRUE(deliver(too_big(1300), ByteSpan(passed_on_).first(300)).empty());
  }
  EXPECT_EQ(stack_.counters().drop_bad_icmp, 2u);
}

INSTANTIATE_TEST_SUITE_P(, SplicingIcmp, testing::Bool(), family);

}  // namespace
}  // namespace fairlead::test
