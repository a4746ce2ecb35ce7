// A client that has forgotten a spliced connection, and completes a handshake with the same
// addresses by a SYN cookie, which was made where nobody knows of splices.
#include <gtest/gtest.h>

#include "tests/setup_packets.h"
#include "tests/splice_icmp.h"
#include "wire/tcp.h"

namespace fairlead::test {
namespace {

class SpliceReopened : public SpliceIcmp {
 protected:
  SpliceReopened() {
    host::ListenOptions options;
    options.setup_offload = true;
    EXPECT_TRUE(stack_.listen(pair_.client.local, options));
  }

  /// The ACK of a handshake whose SYN had this sequence number.
  Segment proof(uint32_t isn) {
    Segment syn = linux_syn(v6());
    syn.from = pair_.client.remote;
    syn.to = pair_.client.local;
    syn.seq = isn;
    const PacketBytes in = frame(packet_of(syn), kOurs, kClients);
    port::TxPacket answer;
    answer.clear();
    EXPECT_EQ(stack_.setup().on_packet({.frame = in}, kNow, answer).verdict, FL_SETUP_ANSWERED);
    return ack_segment(*read_segment(answer.header_bytes().subspan(14)), 5, some_bytes(64));
  }
  nic::Splice& splice() { return *stack_.splices().find(pair_.client)->splice; }
  bool is_spliced() { return stack_.splices().find(pair_.client) != nullptr; }
  /// What the splice itself makes of a segment.
  void expect_passed_on(const Segment& segment) {
    const std::vector<PacketBytes> sent = deliver(packet_of(segment));
    ASSERT_EQ(sent.size(), 1u);
    const auto to_server = read_segment(ByteSpan(sent[0]).subspan(14));
    EXPECT_TRUE(to_server && to_server->tuple.remote == pair_.server.remote);
    EXPECT_TRUE(is_spliced());
    EXPECT_EQ(stack_.connection_count(), 0u);
  }

  static constexpr uint32_t kFar = kAcked + (1u << 27);
};

TEST_P(SpliceReopened, AProofMakesAConnectionInItsPlaceAndTheServerIsTold) {
  deliver(packet_of(proof(kFar)));
  EXPECT_FALSE(is_spliced());
  EXPECT_EQ(stack_.connection_count(), 1u);
  EXPECT_EQ(stack_.splices().counters().over_reused, 1u);
  stack_.on_timer(kNow);
  const std::vector<PacketBytes> sent = turn();
  ASSERT_EQ(sent.size(), 1u);
  const auto reset = read_segment(ByteSpan(sent[0]).subspan(14));
  ASSERT_TRUE(reset);
  EXPECT_EQ(reset->tuple.remote, pair_.server.remote);
  EXPECT_NE(reset->flags & wire::tcp_flag::kRst, 0);
}

TEST_P(SpliceReopened, BehindOneThatIsOverItMayBeNear) {
  for (nic::Splice::Direction& direction : splice().directions) {
    direction.rule.state |= FL_SPLICE_OVER;
  }
  deliver(packet_of(proof(kAcked)));
  EXPECT_FALSE(is_spliced());
  EXPECT_EQ(stack_.connection_count(), 1u);
  stack_.on_timer(kNow);
  EXPECT_TRUE(turn().empty()) << "the server has nothing to be told";
}

TEST_P(SpliceReopened, NoProofIsAskedOfWhatMayBeItsOwn) { expect_passed_on(proof(kAcked)); }

TEST_P(SpliceReopened, AForgeryEndsNothing) {
  Segment forged = proof(kFar);
  forged.ack ^= 1u << 20;
  expect_passed_on(forged);
}

INSTANTIATE_TEST_SUITE_P(ByFamily, SpliceReopened, testing::Bool(), family);

}  // namespace
}  // namespace fairlead::test
