// What rules remember of the packets they translated, in user space: counters, and how far the end
// has come.
#include "nic/splice/splice_track.h"

#include <gtest/gtest.h>

#include "nic/splice/rule.h"
#include "tests/splice_packets.h"
#include "tests/splice_vectors.h"

namespace fairlead::nic {
namespace {

constexpr uint8_t kFin = 0x01;
constexpr uint8_t kRst = 0x04;
constexpr uint8_t kAck = 0x10;
constexpr uint32_t kNoEvent = 0;

struct Sent {
  uint8_t flags = kAck;
  uint32_t seq = 0;
  uint32_t ack = 0;
  size_t payload = 0;
  uint16_t window = 1000;
  uint32_t gso_size = 0;
};

/// A spliced connection on which every packet is translated. Both ends' numbers are as they see
/// them:
///
///     client's SEQ = server's ACK - kSeqOffset      client's ACK = server's SEQ - kAckOffset
class SpliceTrack : public testing::Test {
 protected:
  static constexpr uint32_t kSeqOffset = 0x70000000;
  static constexpr uint32_t kAckOffset = 0x90000000;

  uint32_t client(const Sent& sent) { return send(client_, server_, pair_.client, sent); }
  uint32_t server(const Sent& sent) { return send(server_, client_, pair_.server, sent); }

  static SplicePair pair() {
    SplicePair pair = test::vector_pair();
    pair.seq_offset = kSeqOffset;
    pair.ack_offset = kAckOffset;
    pair.to_client.mtu = pair.to_server.mtu = 0xffff;
    return pair;
  }
  /// Returns the event that was due, or kNoEvent.
  uint32_t send(fl_splice_rule& rule, fl_splice_rule& peer, const FourTuple& tuple,
                const Sent& sent) {
    test::Segment segment{
        .from = tuple.remote, .to = tuple.local, .seq = sent.seq, .ack = sent.ack};
    segment.flags = sent.flags;
    segment.window = sent.window;
    segment.payload = test::some_bytes(sent.payload);
    test::PacketBytes packet = packet_of(segment);
    const SpliceOutcome outcome = translate(
        rule, packet, {.size = static_cast<uint32_t>(packet.size()), .gso_size = sent.gso_size});
    EXPECT_EQ(outcome.verdict, FL_SPLICE_TRANSLATED);
    asked_for_peer_ = fl_splice_count(&rule, &outcome.segment, ++now_) != 0;
    return asked_for_peer_ ? fl_splice_track(&rule, &peer, &outcome.segment) : kNoEvent;
  }

  SplicePair pair_ = pair();
  fl_splice_rule client_ = records_of(pair_).from_client.rule;
  fl_splice_rule server_ = records_of(pair_).from_server.rule;
  bool asked_for_peer_ = false;
  uint64_t now_ = 0;
};

TEST_F(SpliceTrack, CountsSegmentsPayloadAndTime) {
  client({.payload = 100});
  client({.payload = 1000, .gso_size = 300});
  client({});
  EXPECT_EQ(client_.packets, 1u + 4u + 1u);
  EXPECT_EQ(client_.bytes, 1100u);
  EXPECT_EQ(client_.last_at, 3u);
  EXPECT_EQ(server_.packets, 0u);
}

TEST_F(SpliceTrack, OrdinaryPacketsNeedOneRuleOnly) {
  client({.payload = 100});
  EXPECT_FALSE(asked_for_peer_);
  client({.flags = kFin | kAck, .seq = 100, .ack = 5});
  EXPECT_TRUE(asked_for_peer_);
  // The server goes on for a while after the client's FIN.
  server({.seq = 5 + kAckOffset, .ack = 100 + kSeqOffset, .payload = 1000});
  EXPECT_FALSE(asked_for_peer_) << "the FIN is not acknowledged yet";
  server({.seq = 5 + kAckOffset, .ack = 101 + kSeqOffset, .payload = 1000});
  EXPECT_TRUE(asked_for_peer_) << "and now it is";
  server({.seq = 1005 + kAckOffset, .ack = 101 + kSeqOffset, .payload = 1000});
  EXPECT_FALSE(asked_for_peer_);
}

TEST_F(SpliceTrack, OverWhenBothFinsAreAcknowledged) {
  EXPECT_EQ(client({.flags = kFin | kAck, .seq = 100, .ack = 200, .payload = 10}), kNoEvent);
  EXPECT_EQ(server_.state, FL_SPLICE_PEER_FIN);
  EXPECT_EQ(server_.peer_fin_end, 111u);
  EXPECT_EQ(server({.seq = 200 + kAckOffset, .ack = 111 + kSeqOffset}), kNoEvent);
  EXPECT_EQ(server_.state, FL_SPLICE_PEER_FIN | FL_SPLICE_PEER_FIN_ACKED);
  EXPECT_EQ(server({.flags = kFin | kAck, .seq = 200 + kAckOffset, .ack = 111 + kSeqOffset}),
            kNoEvent);
  EXPECT_EQ(client({.seq = 111, .ack = 200}), kNoEvent) << "one short of the FIN";
  EXPECT_EQ(client({.seq = 111, .ack = 201}), FL_SPLICE_EVENT_OVER);
  EXPECT_NE(client_.state & FL_SPLICE_OVER, 0u);
  EXPECT_NE(server_.state & FL_SPLICE_OVER, 0u);
}

TEST_F(SpliceTrack, OverIsToldOnce) {
  client({.flags = kFin | kAck, .seq = 100, .ack = 200});
  server({.flags = kFin | kAck, .seq = 200 + kAckOffset, .ack = 101 + kSeqOffset});
  EXPECT_EQ(client({.seq = 101, .ack = 201}), FL_SPLICE_EVENT_OVER);
  EXPECT_EQ(server({.flags = kFin | kAck, .seq = 200 + kAckOffset, .ack = 101 + kSeqOffset}),
            kNoEvent);
  EXPECT_EQ(client({.seq = 101, .ack = 201}), kNoEvent);
  EXPECT_EQ(client({.flags = kFin | kAck, .seq = 100, .ack = 201}), kNoEvent);
}

TEST_F(SpliceTrack, FinsThatCrossEndItToo) {
  client({.flags = kFin | kAck, .seq = 100, .ack = 200});
  server({.flags = kFin | kAck, .seq = 200 + kAckOffset, .ack = 100 + kSeqOffset});
  EXPECT_EQ(client({.seq = 101, .ack = 201}), kNoEvent);
  EXPECT_EQ(server({.seq = 201 + kAckOffset, .ack = 101 + kSeqOffset}), FL_SPLICE_EVENT_OVER);
}

TEST_F(SpliceTrack, FinThatWrapsIsFollowed) {
  client({.flags = kFin | kAck, .seq = 0xfffffff0, .ack = 200, .payload = 20});
  EXPECT_EQ(server_.peer_fin_end, 5u);
  server({.flags = kFin | kAck, .seq = 200 + kAckOffset, .ack = 5 + kSeqOffset});
  EXPECT_EQ(client({.seq = 5, .ack = 201}), FL_SPLICE_EVENT_OVER);
}

TEST_F(SpliceTrack, ResetIsToldOnce) {
  server({.seq = 200 + kAckOffset, .ack = 100 + kSeqOffset});
  EXPECT_EQ(client({.flags = kRst, .seq = 100}), FL_SPLICE_EVENT_RESET);
  EXPECT_EQ(client_.state, uint32_t{FL_SPLICE_RESET | FL_SPLICE_RESET_EXACT});
  EXPECT_EQ(client({.flags = kRst, .seq = 100}), kNoEvent);
  EXPECT_EQ(server_.state, 0u);
}

TEST_F(SpliceTrack, ResetThatMustBeBelievedIsToldBesideOneThatNeedNot) {  // RFC 5961 §3.2
  server({.seq = 200 + kAckOffset, .ack = 100 + kSeqOffset});
  EXPECT_EQ(client({.flags = kRst, .seq = 101}), FL_SPLICE_EVENT_RESET);
  EXPECT_EQ(client_.state, FL_SPLICE_RESET);
  EXPECT_EQ(client({.flags = kRst, .seq = 102}), kNoEvent);
  EXPECT_FALSE(fl_splice_is_finished(&client_, &server_));
  EXPECT_EQ(client({.flags = kRst, .seq = 100}), FL_SPLICE_EVENT_RESET);
  EXPECT_TRUE(fl_splice_is_finished(&client_, &server_));
  EXPECT_EQ(client({.flags = kRst, .seq = 100}), kNoEvent);
}

TEST_F(SpliceTrack, ResetOutsideTheWindowCountsForNothing) {  // RFC 5961 §3
  // What the client may send: 1000 << 7 bytes from 5000 on.
  pair_.scales.announced_by_server = 7;
  server_ = records_of(pair_).from_server.rule;
  server({.seq = 200 + kAckOffset, .ack = 5000 + kSeqOffset, .window = 1000});
  EXPECT_EQ(server_.acked, 5000u);
  EXPECT_EQ(server_.window, 128'000u);
  const uint32_t first = 5000 - FL_SPLICE_WINDOW_SLACK;
  const uint32_t last = 5000 + 128'000 + FL_SPLICE_WINDOW_SLACK;
  EXPECT_EQ(client({.flags = kRst, .seq = first - 1}), kNoEvent);
  EXPECT_EQ(client({.flags = kRst, .seq = last + 1}), kNoEvent);
  EXPECT_EQ(client({.flags = kRst, .seq = 5000 + 0x80000000}), kNoEvent);
  EXPECT_EQ(client_.state, 0u);
  fl_splice_rule before = client_;
  EXPECT_EQ(client({.flags = kRst, .seq = first}), FL_SPLICE_EVENT_RESET);
  client_ = before;
  EXPECT_EQ(client({.flags = kRst, .seq = last}), FL_SPLICE_EVENT_RESET);
}

TEST_F(SpliceTrack, FinOutsideTheWindowCountsForNothing) {
  server({.seq = 200 + kAckOffset, .ack = 5000 + kSeqOffset});
  client({.flags = kFin | kAck, .seq = 5000 + 0x40000000, .ack = 200});
  EXPECT_EQ(server_.state, 0u);
  // A FIN that is guessed within the window does not keep the true one from counting.
  client({.flags = kFin | kAck, .seq = 5500, .ack = 200});
  EXPECT_EQ(server_.peer_fin_end, 5501u);
  client({.flags = kFin | kAck, .seq = 5010, .ack = 200});
  EXPECT_EQ(server_.peer_fin_end, 5011u);
}

TEST_F(SpliceTrack, AnAcknowledgementOfMoreThanThereWasRoomForCountsForNothing) {
  server({.seq = 200 + kAckOffset, .ack = 5000 + kSeqOffset});
  const uint32_t last = 5000 + 1000 + FL_SPLICE_WINDOW_SLACK;
  for (const uint32_t guess : {last + 1, 5000 + 0x80000000, 5000 - FL_SPLICE_WINDOW_SLACK - 1}) {
    server({.seq = 200 + kAckOffset, .ack = guess + kSeqOffset, .window = 0});
    EXPECT_EQ(server_.acked, 5000u);
    EXPECT_EQ(server_.window, 1000u);
  }
  server({.seq = 200 + kAckOffset, .ack = last + kSeqOffset});
  EXPECT_EQ(server_.acked, last);
  server({.seq = 200 + kAckOffset, .ack = last - 1000 + kSeqOffset});  // overtaken by that
  EXPECT_EQ(server_.acked, last - 1000);
}

TEST_F(SpliceTrack, FinCountsIntoAClosedWindowAndWhenSentAgain) {
  server({.seq = 200 + kAckOffset, .ack = 5000 + kSeqOffset, .window = 0});
  client({.flags = kFin | kAck, .seq = 5000, .ack = 200});
  EXPECT_EQ(server_.state, FL_SPLICE_PEER_FIN);
  server_.state = 0;
  client({.flags = kFin | kAck, .seq = 4000, .ack = 200, .payload = 1000});
  EXPECT_EQ(server_.state, FL_SPLICE_PEER_FIN);
}

TEST_F(SpliceTrack, SegmentWithoutAckAcknowledgesNothing) {
  client({.flags = kFin | kAck, .seq = 100, .ack = 200});
  server({.flags = kFin, .seq = 200 + kAckOffset, .ack = 101 + kSeqOffset});
  EXPECT_EQ(server_.state & FL_SPLICE_PEER_FIN_ACKED, 0u);
  EXPECT_EQ(server_.window, FL_SPLICE_ANY_WINDOW);
}

TEST_F(SpliceTrack, FinishedWhenOverOrResetByEither) {
  EXPECT_FALSE(fl_splice_is_finished(&client_, &server_));
  client({.flags = kFin | kAck, .seq = 100, .ack = 200});
  EXPECT_FALSE(fl_splice_is_finished(&client_, &server_));
  server({.flags = kRst, .seq = 200 + kAckOffset});
  EXPECT_TRUE(fl_splice_is_finished(&client_, &server_));
  EXPECT_TRUE(fl_splice_is_finished(&server_, &client_));
}

}  // namespace
}  // namespace fairlead::nic
