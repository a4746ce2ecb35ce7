// The kernel's copies of the splice rule, run by the kernel on the vectors that user space passes
// (BPF_PROG_TEST_RUN): byte for byte the same, and the packet socket's filter never in doubt.
//
// What a test run can't do, a partial checksum and headers out of line, is in
// splice_namespace_test.cc.
#include <bpf/libbpf.h>
#include <gtest/gtest.h>
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <net/if.h>

#include <optional>

#include "nic/splice/rule.h"
#include "tests/namespaces.h"
#include "tests/splice_programs.h"
#include "tests/splice_vectors.h"

namespace fairlead::nic {
namespace {

using test::PacketBytes;
using test::ProgramInput;
using test::ProgramRun;
using test::SplicePrograms;
using test::SpliceVector;

constexpr uint32_t kSeed = 1;
constexpr uint8_t kFin = 0x01;
constexpr uint8_t kSyn = 0x02;
constexpr uint8_t kRst = 0x04;
constexpr uint8_t kAck = 0x10;

class SpliceProgramTest : public testing::Test {
 protected:
  void SetUp() override {
    FAIRLEAD_REQUIRE_NAMESPACES();
    namespaces_.emplace();
    interface_ = ::if_nametoindex("fl-b");
    programs_ = SplicePrograms::load(16);
  }

  /// Every destination is behind A, which has a MAC address of its own choice.
  void route_to_a() const {
    namespaces_->run_in_b(
        "sysctl -qw net.ipv4.conf.all.forwarding=1 net.ipv6.conf.all.forwarding=1 && "
        "ip neigh replace 10.77.0.1 lladdr 02:00:00:00:00:0a dev fl-b && "
        "ip neigh replace fe80::a lladdr 02:00:00:00:00:0a dev fl-b && "
        "ip route add default via 10.77.0.1 && ip -6 route add default via fe80::a dev fl-b");
  }

  std::vector<SpliceVector> vectors() const {
    std::vector<SpliceVector> out = test::splice_vectors();
    const std::vector<SpliceVector> generated = test::generated_splice_vectors(kSeed, 5'000);
    out.insert(out.end(), generated.begin(), generated.end());
    // The kernel runs nothing on a packet shorter than its IP header.
    std::erase_if(out, [](const SpliceVector& vector) { return vector.packet.size() < 40; });
    for (SpliceVector& vector : out) {
      vector.pair.to_server.interface = vector.pair.to_client.interface = interface_;
    }
    return out;
  }

  std::optional<test::NamespacePair> namespaces_;
  std::unique_ptr<SplicePrograms> programs_;
  uint32_t interface_ = 0;
};

int tc_action(fl_splice_verdict verdict) {
  switch (verdict) {
    case FL_SPLICE_TRANSLATED:
      return TC_ACT_REDIRECT;
    case FL_SPLICE_DROP_TTL:
    case FL_SPLICE_DROP_FRAGMENT:
    case FL_SPLICE_DROP_MALFORMED:
    case FL_SPLICE_DROP_NO_WAY:
    case FL_SPLICE_DROP_LATE:
    case FL_SPLICE_UP_PROCESS:
    case FL_SPLICE_UP_OPTIONS:
    case FL_SPLICE_UP_TOO_BIG:
      return TC_ACT_SHOT;
    case FL_SPLICE_NO_RULE:
    case FL_SPLICE_UP_SYN:
    case FL_SPLICE_UP_ICMP:
    case FL_SPLICE_VERDICTS:
      return TC_ACT_UNSPEC;
  }
  return TC_ACT_UNSPEC;
}

TEST_F(SpliceProgramTest, TcMakesOfEveryVectorWhatUserSpaceMakes) {
  for (const SpliceVector& vector : vectors()) {
    if (vector.checksum_partial) continue;
    programs_->install(vector.pair);
    const uint64_t before = programs_->count(vector.verdict);
    const ProgramRun run = programs_->run_tc(
        {.packet = vector.packet, .gso_size = vector.gso_size, .checksum_complete = true});
    EXPECT_EQ(run.returned, tc_action(vector.verdict)) << vector.name;
    EXPECT_EQ(run.packet, vector.expected) << vector.name;
    EXPECT_GT(programs_->count(vector.verdict), before) << vector.name;
    programs_->remove(vector.pair);
    if (HasFailure()) break;
  }
}

TEST_F(SpliceProgramTest, FilterRejectsWhatDoesNotGoUpAndNothingElseOfOurs) {
  for (const SpliceVector& vector : vectors()) {
    const ProgramInput input{.packet = vector.packet, .gso_size = vector.gso_size};
    const bool ours = programs_->filter_accepts(input);
    EXPECT_FALSE(ours) << "not even a listener is there: " << vector.name;
    programs_->install(vector.pair);
    const bool accepted = programs_->filter_accepts(input);
    const bool passed = programs_->run_tc(input).returned == TC_ACT_UNSPEC;
    EXPECT_EQ(passed, tc_action(vector.verdict) == TC_ACT_UNSPEC) << vector.name;
    const bool up = fl_splice_goes_up(vector.verdict) != 0;
    if (!up) EXPECT_FALSE(accepted) << vector.name;
    // What splicing leaves is the host stack's: all but what steering itself does not take.
    if (up && vector.verdict != FL_SPLICE_NO_RULE) EXPECT_TRUE(accepted) << vector.name;
    programs_->remove(vector.pair);
    if (HasFailure()) break;
  }
}

TEST_F(SpliceProgramTest, XdpMakesOfEveryVectorWhatUserSpaceMakes) {
  route_to_a();
  for (const SpliceVector& vector : vectors()) {
    if (vector.checksum_partial || vector.gso_size != 0) continue;
    programs_->install(vector.pair);
    const ProgramRun run = programs_->run_xdp({.packet = vector.packet});
    const bool translated = vector.verdict == FL_SPLICE_TRANSLATED;
    EXPECT_EQ(run.returned, translated ? XDP_REDIRECT : XDP_PASS) << vector.name;
    EXPECT_EQ(run.packet, vector.expected) << vector.name;
    const PacketBytes to(run.ethernet.begin(), run.ethernet.begin() + 6);
    EXPECT_EQ(to, translated ? (PacketBytes{2, 0, 0, 0, 0, 10}) : PacketBytes(6)) << vector.name;
    programs_->remove(vector.pair);
    if (HasFailure()) break;
  }
}

TEST_F(SpliceProgramTest, XdpSendsBackWhereThePacketCameFrom) {
  route_to_a();
  SpliceVector vector = test::splice_vectors().front();
  vector.pair.to_server.interface = interface_;
  programs_->install(vector.pair);
  // A queue of the interface knows of XDP once a program is attached.
  ASSERT_EQ(bpf_xdp_attach(static_cast<int>(interface_), programs_->xdp_fd(), 0, nullptr), 0);
  const ProgramRun run = programs_->run_xdp({.packet = vector.packet, .interface = interface_});
  EXPECT_EQ(run.returned, XDP_TX);
  EXPECT_EQ(run.packet, vector.expected);
  EXPECT_EQ(programs_->rule(vector.pair.client).packets, 1u);
  EXPECT_EQ(programs_->count(FL_SPLICE_TRANSLATED), 1u);
}

TEST_F(SpliceProgramTest, XdpLeavesThePacketToTcWhileTheNeighbourIsUnknown) {
  SpliceVector vector = test::splice_vectors().front();
  vector.pair.to_server.interface = interface_;
  programs_->install(vector.pair);
  namespaces_->run_in_b("sysctl -qw net.ipv4.conf.all.forwarding=1");
  ProgramRun run = programs_->run_xdp({.packet = vector.packet});
  EXPECT_EQ(run.returned, XDP_PASS) << "no route";
  EXPECT_EQ(run.packet, vector.packet);
  namespaces_->run_in_b("ip route add default via 10.77.0.1");
  run = programs_->run_xdp({.packet = vector.packet});
  EXPECT_EQ(run.returned, XDP_PASS) << "no neighbour";
  EXPECT_EQ(run.packet, vector.packet);
  EXPECT_EQ(programs_->rule(vector.pair.client).packets, 0u);
}

/// One connection's packets through the tc program; numbers as its end of the connection has them.
class SpliceLifeTest : public SpliceProgramTest {
 protected:
  void SetUp() override {
    SpliceProgramTest::SetUp();
    if (IsSkipped()) return;
    programs_->make_ring(kShard);
    pair_.shard = kShard;
    pair_.generation = kGeneration;
    pair_.seq_offset = pair_.ack_offset = 0;
    programs_->install(pair_);
  }

  struct Sent {
    uint8_t flags = kAck;
    uint32_t seq = 0;
    uint32_t ack = 0;
    size_t payload = 0;
  };
  int client(const Sent& sent) { return send(pair_.client, sent); }
  int server(const Sent& sent) { return send(pair_.server, sent); }
  static test::PacketBytes packet(const FourTuple& tuple, const Sent& sent) {
    test::Segment segment{
        .from = tuple.remote, .to = tuple.local, .seq = sent.seq, .ack = sent.ack};
    segment.flags = sent.flags;
    segment.payload = test::some_bytes(sent.payload);
    return packet_of(segment);
  }
  int send(const FourTuple& tuple, const Sent& sent) {
    return programs_->run_tc({.packet = packet(tuple, sent)}).returned;
  }
  void close_both_ways() {
    client({.flags = kFin | kAck, .seq = 100, .ack = 200, .payload = 10});
    server({.flags = kFin | kAck, .seq = 200, .ack = 111, .payload = 20});
    client({.seq = 111, .ack = 221});
  }
  bool has_rules() const {
    return programs_->has_rule(pair_.client) && programs_->has_rule(pair_.server);
  }
  /// What the ring buffer holds: kinds only.
  std::vector<uint32_t> kinds() {
    std::vector<uint32_t> out;
    for (const fl_splice_event& event : programs_->events(kShard)) out.push_back(event.kind);
    return out;
  }

  static constexpr uint16_t kShard = 255;
  static constexpr uint32_t kGeneration = 77;
  SplicePair pair_ = test::vector_pair();
};

using Kinds = std::vector<uint32_t>;

TEST_F(SpliceLifeTest, BothFinsAcknowledgedAreToldOnce) {
  close_both_ways();
  const std::vector<fl_splice_event> events = programs_->events(kShard);
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].kind, FL_SPLICE_EVENT_OVER);
  EXPECT_EQ(tuple_of(events[0].key), pair_.client) << "the last packet came from the client";
  EXPECT_EQ(events[0].generation, kGeneration);
  EXPECT_EQ(events[0].packets, 2u);
  EXPECT_EQ(events[0].bytes, 10u);
  EXPECT_EQ(events[0].peer_packets, 1u);
  EXPECT_EQ(events[0].peer_bytes, 20u);
  EXPECT_NE(programs_->rule(pair_.client).state & FL_SPLICE_OVER, 0u);
  EXPECT_NE(programs_->rule(pair_.server).state & FL_SPLICE_OVER, 0u);
  // The last acknowledgement was lost: the server's FIN comes again, and so does its answer.
  EXPECT_EQ(server({.flags = kFin | kAck, .seq = 200, .ack = 111, .payload = 20}), TC_ACT_REDIRECT);
  EXPECT_EQ(client({.seq = 111, .ack = 221}), TC_ACT_REDIRECT);
  EXPECT_EQ(kinds(), Kinds{});
}

TEST_F(SpliceLifeTest, ResetIsToldOnce) {
  client({.seq = 100, .ack = 200});
  EXPECT_EQ(server({.flags = kRst, .seq = 200}), TC_ACT_REDIRECT);
  EXPECT_EQ(server({.flags = kRst, .seq = 200}), TC_ACT_REDIRECT);
  EXPECT_EQ(kinds(), Kinds{FL_SPLICE_EVENT_RESET});
  EXPECT_NE(programs_->rule(pair_.server).state & FL_SPLICE_RESET, 0u);
}

TEST_F(SpliceLifeTest, SynInPlaceOfAFinishedConnectionDeletesItsRules) {
  close_both_ways();
  EXPECT_EQ(client({.flags = kSyn, .seq = 9000}), TC_ACT_UNSPEC);
  EXPECT_FALSE(programs_->has_rule(pair_.client));
  EXPECT_FALSE(programs_->has_rule(pair_.server));
  const std::vector<fl_splice_event> events = programs_->events(kShard);
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(events[1].kind, FL_SPLICE_EVENT_REUSED);
  EXPECT_EQ(events[1].bytes, 10u);
  EXPECT_EQ(events[1].peer_bytes, 20u);
  // What still comes of the old connection is nobody's now.
  EXPECT_EQ(client({.seq = 111, .ack = 221}), TC_ACT_UNSPEC);
}

TEST_F(SpliceLifeTest, SynInPlaceOfAResetConnectionDeletesItsRules) {
  client({.seq = 100, .ack = 200});
  server({.flags = kRst, .seq = 200});
  EXPECT_EQ(client({.flags = kSyn, .seq = 9000}), TC_ACT_UNSPEC);
  EXPECT_FALSE(programs_->has_rule(pair_.server));
  EXPECT_EQ(kinds(), (Kinds{FL_SPLICE_EVENT_RESET, FL_SPLICE_EVENT_REUSED}));
}

TEST_F(SpliceLifeTest, SynBehindAResetThatNeedNotBeBelievedChangesNothing) {
  client({.seq = 100, .ack = 200});
  server({.flags = kRst, .seq = 201});
  EXPECT_EQ(client({.flags = kSyn, .seq = 9000}), TC_ACT_UNSPEC);
  EXPECT_TRUE(has_rules());
  EXPECT_EQ(kinds(), Kinds{FL_SPLICE_EVENT_RESET});
}

TEST_F(SpliceLifeTest, SynOnALiveConnectionGoesUpAndChangesNothing) {
  client({.flags = kFin | kAck, .seq = 100, .ack = 200});
  server({.seq = 200, .ack = 101});
  EXPECT_EQ(client({.flags = kSyn, .seq = 9000}), TC_ACT_UNSPEC);
  EXPECT_TRUE(has_rules());
  EXPECT_EQ(kinds(), Kinds{});
}

TEST_F(SpliceLifeTest, SynAckGoesUpAndDeletesNothing) {
  close_both_ways();
  EXPECT_EQ(client({.flags = kSyn | kAck, .seq = 9000}), TC_ACT_UNSPEC);
  EXPECT_TRUE(has_rules());
}

TEST_F(SpliceLifeTest, EventWithoutRoomIsCounted) {
  // The ring has 4,096 bytes: 46 events of 80, each with a header of 8.
  for (int i = 0; i < 50; ++i) {
    programs_->install(pair_);
    server({.flags = kRst, .seq = 200});
  }
  EXPECT_EQ(programs_->count(FL_SPLICE_EVENTS_LOST), 4u);
  EXPECT_EQ(kinds().size(), 46u);
}

TEST_F(SpliceLifeTest, EventWithoutARingIsCounted) {
  pair_.shard = kShard - 1;
  programs_->install(pair_);
  server({.flags = kRst, .seq = 200});
  EXPECT_EQ(programs_->count(FL_SPLICE_EVENTS_LOST), 1u);
  pair_.shard = FL_SPLICE_MAX_SHARDS;
  programs_->install(pair_);
  server({.flags = kRst, .seq = 200});
  EXPECT_EQ(programs_->count(FL_SPLICE_EVENTS_LOST), 2u);
}

TEST_F(SpliceLifeTest, RuleWithoutItsPeerTranslatesAllButTheEnd) {
  SplicePair alone = pair_;
  alone.client.remote.port = 1;
  alone.server.remote.port = 2;
  programs_->install(records_of(alone).from_client);
  EXPECT_EQ(send(alone.client, {.seq = 100, .ack = 200, .payload = 10}), TC_ACT_REDIRECT);
  EXPECT_EQ(send(alone.client, {.flags = kSyn, .seq = 900}), TC_ACT_UNSPEC);
  EXPECT_EQ(programs_->count(FL_SPLICE_UP_PROCESS), 0u);
  // Both are on their way here: these are for the process, which tells nobody of them twice.
  for (const int flags : {kFin | kAck, int{kRst}}) {
    const Sent end{.flags = static_cast<uint8_t>(flags), .seq = 110, .ack = 200};
    EXPECT_EQ(send(alone.client, end), TC_ACT_SHOT);
    EXPECT_TRUE(programs_->filter_accepts({.packet = packet(alone.client, end)}));
  }
  EXPECT_EQ(programs_->count(FL_SPLICE_UP_PROCESS), 2u);
  EXPECT_EQ(programs_->rule(alone.client).packets, 1u);
  EXPECT_EQ(programs_->rule(alone.client).state, 0u);
}

TEST_F(SpliceLifeTest, WhatWasSentUpIsTheProcesss) {
  for (const SpliceRecord& record :
       {records_of(pair_).from_client, records_of(pair_).from_server}) {
    SpliceRecord sent_up = record;
    sent_up.rule.state = FL_SPLICE_SENT_UP;
    programs_->install(sent_up);
  }
  const Sent each[] = {{.seq = 100, .ack = 200, .payload = 10},
                       {.flags = kFin | kAck, .seq = 110, .ack = 200},
                       {.flags = kSyn, .seq = 900}};
  for (const FourTuple& tuple : {pair_.client, pair_.server}) {
    for (const Sent& sent : each) {
      EXPECT_EQ(send(tuple, sent), TC_ACT_SHOT) << "the kernel would answer RST";
      EXPECT_TRUE(programs_->filter_accepts({.packet = packet(tuple, sent)}));
    }
  }
  EXPECT_TRUE(has_rules());
  EXPECT_EQ(programs_->rule(pair_.client).packets, 0u);
  EXPECT_EQ(kinds(), Kinds{});
}

}  // namespace
}  // namespace fairlead::nic
