// What is sent, when, and how much of it: timeouts, loss recovery, congestion control, small
// segments and windows.
#include <gtest/gtest.h>

#include "sim/scripted_peer.h"

namespace fairlead::sim {
namespace {

using host::CongestionAlgorithm;
using host::State;

constexpr ScriptedPeer::Handshake kPlain{.wscale = {}, .sack = false, .timestamps = false};
constexpr ScriptedPeer::Handshake kSack{.wscale = {}, .sack = true, .timestamps = false};
constexpr uint32_t kMss = 1460;

ScriptedPeer::Options new_reno() {
  ScriptedPeer::Options options;
  options.socket.congestion = CongestionAlgorithm::kNewReno;
  return options;
}

/// The peer's handshake with `rtt` between SYN-ACK and ACK.
void establish_after(ScriptedPeer& peer, Duration rtt, const ScriptedPeer::Handshake& h) {
  peer.listen();
  Seg syn = seg().syn().seq(0).win(65535).mss(kMss);
  if (h.sack) syn.sack_ok();
  peer.deliver(syn);
  peer.expect(seg().syn().ack(1));
  peer.tick(rtt);
  peer.deliver(seg().seq(1).ack(1));
  ASSERT_NE(peer.accept(), nullptr);
}

/// `count` whole segments from `seq` on were sent.
void expect_segments(ScriptedPeer& peer, uint32_t seq, int count) {
  for (int i = 0; i < count; ++i, seq += kMss) peer.expect(seg().seq(seq).data(kMss).ack(1));
}

// ---- the retransmission timer, RFC 6298 ----

TEST(TcpRto, IsOneSecondForTheFirstSyn) {  // (2.1)
  ScriptedPeer peer;
  peer.connect();
  peer.ignore_sent();
  peer.expect_after(seconds(1), seg().syn().seq(0).ece().cwr());
}

TEST(TcpRto, IsThreeSecondsForDataAfterARepeatedSyn) {  // (5.7)
  ScriptedPeer peer;
  peer.listen();
  peer.deliver(seg().syn().seq(0).mss(kMss));
  peer.expect(seg().syn().ack(1));
  peer.expect_after(seconds(1), seg().syn().ack(1));
  peer.deliver(seg().seq(1).ack(1));
  ASSERT_NE(peer.accept(), nullptr);
  peer.write(100);
  peer.expect(seg().seq(1).ack(1).data(100));
  peer.expect_after(seconds(3), seg().seq(1).ack(1).data(100));
}

TEST(TcpRto, IsSrttAndFourTimesItsVariation) {  // (2.2): 300 + 4 * 150 ms
  ScriptedPeer peer;
  establish_after(peer, milliseconds(300), kPlain);
  peer.write(100);
  peer.expect(seg().seq(1).ack(1).data(100));
  peer.expect_after(milliseconds(900), seg().seq(1).ack(1).data(100));
}

TEST(TcpRto, AnAckOfARetransmissionIsNoSample) {  // §3, Karn
  ScriptedPeer peer;
  establish_after(peer, milliseconds(100), kPlain);
  peer.write(100);
  peer.expect(seg().seq(1).ack(1).data(100));
  peer.expect_after(milliseconds(300), seg().seq(1).ack(1).data(100));
  Duration before = peer.connection().info().srtt;
  peer.tick(milliseconds(1));
  peer.deliver(seg().seq(1).ack(101));
  EXPECT_EQ(peer.connection().info().srtt, before);
}

TEST(TcpRto, WithTimestampsAnAckOfARetransmissionIsASample) {  // RFC 7323 §4
  ScriptedPeer peer;
  peer.establish_passive();
  peer.write(100);
  peer.ignore_sent();
  peer.tick(milliseconds(500));
  peer.ignore_sent();
  peer.tick(milliseconds(50));
  peer.deliver(seg().seq(1).ack(101));
  EXPECT_GE(peer.connection().info().srtt, milliseconds(5));
}

TEST(TcpRto, AfterItTheWindowIsOneSegment) {  // RFC 5681 §3.1 (5)
  ScriptedPeer peer(new_reno());
  peer.establish_passive(kPlain);
  peer.write(10 * kMss);
  expect_segments(peer, 1, 10);
  peer.expect_after(milliseconds(200), seg().seq(1).ack(1).data(kMss));
  EXPECT_EQ(peer.connection().info().cwnd, kMss);
  EXPECT_EQ(peer.connection().info().ssthresh, 5 * kMss);
  peer.deliver(seg().seq(1).ack(1 + kMss));  // slow start again: two
  expect_segments(peer, 1 + kMss, 2);
  peer.expect_nothing();
}

// ---- recovery without SACK, RFC 5681 §3.2 and RFC 6582 ----

TEST(TcpFastRetransmit, TheThirdDuplicateAckBringsTheFirstSegmentAgain) {
  ScriptedPeer peer(new_reno());
  peer.establish_passive(kPlain);
  peer.write(10 * kMss);
  expect_segments(peer, 1, 10);
  peer.deliver(seg().seq(1).ack(1));
  peer.deliver(seg().seq(1).ack(1));
  peer.expect_nothing();
  peer.deliver(seg().seq(1).ack(1));
  peer.expect(seg().seq(1).ack(1).data(kMss));
  EXPECT_EQ(peer.connection().info().ssthresh, 5 * kMss);
  EXPECT_EQ(peer.counters().recoveries, 1u);
  EXPECT_EQ(peer.counters().retransmission_timeouts, 0u);
}

TEST(TcpFastRetransmit, WhatOnlyLooksLikeADuplicateAckDoesNotCount) {  // RFC 5681 §2
  ScriptedPeer peer(new_reno());
  peer.establish_passive(kPlain);
  peer.write(4 * kMss);
  expect_segments(peer, 1, 4);
  for (uint32_t i = 0; i < 5; ++i) {
    peer.deliver(seg().seq(1 + 10 * i).ack(1).data(10));  // with data
    peer.ignore_sent();
    peer.deliver(seg().seq(11 + 10 * i).ack(1).win(static_cast<uint16_t>(60'000 - i)));  // update
    peer.expect_nothing();
  }
  EXPECT_EQ(peer.counters().recoveries, 0u);
}

TEST(TcpLimitedTransmit, TheFirstTwoDuplicateAcksLetANewSegmentOutEach) {  // RFC 3042
  ScriptedPeer peer(new_reno());
  peer.establish_passive(kPlain);
  peer.write(14 * kMss);
  expect_segments(peer, 1, 10);
  peer.expect_nothing();
  peer.deliver(seg().seq(1).ack(1));
  expect_segments(peer, 1 + 10 * kMss, 1);
  peer.deliver(seg().seq(1).ack(1));
  expect_segments(peer, 1 + 11 * kMss, 1);
  peer.expect_nothing();
}

TEST(TcpNewReno, APartialAckNamesTheNextHole) {  // RFC 6582 §3.2 (3)
  ScriptedPeer peer(new_reno());
  peer.establish_passive(kPlain);
  peer.write(10 * kMss);
  expect_segments(peer, 1, 10);
  for (int i = 0; i < 3; ++i) peer.deliver(seg().seq(1).ack(1));
  peer.expect(seg().seq(1).ack(1).data(kMss));
  peer.deliver(seg().seq(1).ack(1 + 4 * kMss));  // the fifth was lost too
  peer.expect(seg().seq(1 + 4 * kMss).ack(1).data(kMss));
  peer.deliver(seg().seq(1).ack(1 + 10 * kMss));
  EXPECT_EQ(peer.counters().recoveries, 1u);
  EXPECT_EQ(peer.connection().info().cwnd, 5 * kMss);
}

// ---- recovery with SACK, RFC 6675 and RFC 8985 ----

TEST(TcpSackRecovery, OnlyWhatIsMissingIsSentAgain) {
  ScriptedPeer peer;
  establish_after(peer, milliseconds(20), kSack);
  peer.write(10 * kMss);
  expect_segments(peer, 1, 10);
  peer.tick(milliseconds(20));
  // The second and the fifth were lost.
  peer.deliver(seg().seq(1).ack(1 + kMss).sack(
      {{1 + 5 * kMss, 1 + 10 * kMss}, {1 + 2 * kMss, 1 + 4 * kMss}}));
  peer.expect(seg().seq(1 + kMss).ack(1).data(kMss));
  peer.expect(seg().seq(1 + 4 * kMss).ack(1).data(kMss));
  peer.expect_nothing();
  EXPECT_EQ(peer.counters().recoveries, 1u);
  peer.tick(milliseconds(20));
  peer.deliver(seg().seq(1).ack(1 + 10 * kMss));
  EXPECT_EQ(peer.counters().retransmitted_segments, 2u);
}

TEST(TcpSackRecovery, BlocksOfWhatWasNeverSentAreNoise) {  // RFC 2018 §5, hostile
  ScriptedPeer peer;
  peer.establish_passive(kSack);
  peer.write(4 * kMss);
  expect_segments(peer, 1, 4);
  peer.deliver(seg().seq(1).ack(1).sack({{1 + 2 * kMss, 1 + 40 * kMss}}));
  peer.deliver(seg().seq(1).ack(1).sack({{1 + 3 * kMss, 1 + 2 * kMss}}));
  peer.deliver(seg().seq(1).ack(1).sack({{0x8000'0000, 0x8000'1000}}));
  peer.expect_nothing();
  EXPECT_EQ(peer.connection().info().in_flight, 4 * kMss);
}

/// Ten segments of which the second is lost: the others are SACKed, and it was sent again.
void sack_all_but_the_second(ScriptedPeer& peer) {
  establish_after(peer, milliseconds(20), kSack);
  peer.write(10 * kMss);
  expect_segments(peer, 1, 10);
  peer.tick(milliseconds(20));
  peer.deliver(seg().seq(1).ack(1 + kMss).sack({{1 + 2 * kMss, 1 + 10 * kMss}}));
  expect_segments(peer, 1 + kMss, 1);
  peer.expect_nothing();
}

/// A receiver that has `nxt` segments acknowledges each that comes, and all ten come.
void take_the_rest(ScriptedPeer& peer, uint32_t nxt) {
  const Time until = peer.now() + seconds(2);
  while (nxt < 10 && peer.now() < until) {
    while (nxt < 10 && peer.sent() > 0) {
      peer.expect(seg().seq(1 + nxt * kMss).ack(1).data(kMss));
      peer.deliver(seg().seq(1).ack(1 + ++nxt * kMss));
    }
    peer.tick(milliseconds(10));
  }
  EXPECT_EQ(nxt, 10u);
  EXPECT_EQ(peer.connection().info().in_flight, 0u);
}

TEST(TcpSackRecovery, WhatAReceiverHasSackedAndThrownAwayItGetsAtTheTimeout) {  // RFC 2018 §8
  ScriptedPeer peer;
  sack_all_but_the_second(peer);
  peer.deliver(seg().seq(1).ack(1 + 2 * kMss));  // that one came; the others are gone
  peer.expect_after(milliseconds(200), seg().seq(1 + 2 * kMss).ack(1).data(kMss));
  EXPECT_EQ(peer.counters().retransmission_timeouts, 1u);
  peer.deliver(seg().seq(1).ack(1 + 3 * kMss));
  take_the_rest(peer, 3);
}

TEST(TcpSackRecovery, ATimeoutDoesNotTrustWhatWasSacked) {  // RFC 2018 §8
  ScriptedPeer peer;
  sack_all_but_the_second(peer);
  // That one is lost again, and what was SACKed thrown away.
  peer.expect_after(milliseconds(200), seg().seq(1 + kMss).ack(1).data(kMss));
  peer.deliver(seg().seq(1).ack(1 + 2 * kMss));
  take_the_rest(peer, 2);
  EXPECT_EQ(peer.counters().retransmission_timeouts, 1u);
}

TEST(TcpRack, WaitsAQuarterOfTheRttForWhatMayOnlyBeLate) {  // RFC 8985 §6.2 step 4, §7
  ScriptedPeer peer;
  establish_after(peer, milliseconds(40), kSack);
  peer.write(3 * kMss);
  expect_segments(peer, 1, 3);
  peer.tick(milliseconds(1));
  peer.write(kMss);
  expect_segments(peer, 1 + 3 * kMss, 1);
  peer.tick(milliseconds(40));
  peer.deliver(seg().seq(1).ack(1).sack({{1 + 3 * kMss, 1 + 4 * kMss}}));
  peer.expect_nothing();
  peer.expect_after(milliseconds(9), seg().seq(1).ack(1).data(kMss));
}

TEST(TcpRack, ALateSegmentWithinTheWindowIsNotSentAgain) {
  ScriptedPeer peer;
  establish_after(peer, milliseconds(40), kSack);
  peer.write(kMss);
  peer.tick(milliseconds(1));
  peer.write(kMss);
  expect_segments(peer, 1, 2);
  peer.tick(milliseconds(40));
  peer.deliver(seg().seq(1).ack(1).sack({{1 + kMss, 1 + 2 * kMss}}));
  peer.tick(milliseconds(5));
  peer.deliver(seg().seq(1).ack(1 + 2 * kMss));
  peer.tick(milliseconds(100));
  peer.expect_nothing();
  EXPECT_EQ(peer.counters().retransmitted_segments, 0u);
}

TEST(TcpDsack, OfAProbeSaysThatNothingWasLost) {  // RFC 2883 §4, RFC 8985 §7.4
  ScriptedPeer peer;
  peer.establish_passive(kSack);
  peer.write(2 * kMss);
  expect_segments(peer, 1, 2);
  peer.expect_after(milliseconds(8), seg().seq(1 + kMss).ack(1).data(kMss));
  peer.deliver(seg().seq(1).ack(1 + 2 * kMss).sack({{1 + kMss, 1 + 2 * kMss}}));
  EXPECT_EQ(peer.counters().dsacks_received, 1u);
  EXPECT_GE(peer.connection().info().cwnd, 10 * kMss);
}

// ---- congestion control ----

TEST(TcpInitialWindow, IsTenSegments) {  // RFC 6928 §2
  ScriptedPeer peer;
  peer.establish_passive(kPlain);
  peer.write(60'000);
  expect_segments(peer, 1, 10);
  peer.expect_nothing();
}

TEST(TcpInitialWindow, OfLargeSegmentsIsAtLeastTwo) {  // RFC 6928 §2
  ScriptedPeer::Options options;
  options.mtu = 9000;
  ScriptedPeer peer(options);
  peer.establish_passive({.mss = 8960, .wscale = {}, .sack = false, .timestamps = false});
  peer.write(60'000);
  peer.expect(seg().seq(1).data(8960).ack(1));
  peer.expect(seg().seq(8961).data(8960).ack(1));
  peer.expect_nothing();
}

TEST(TcpSlowStart, AnAckedWindowDoubles) {  // RFC 5681 §3.1
  ScriptedPeer peer(new_reno());
  peer.establish_passive(kPlain);
  peer.write(60'000);
  expect_segments(peer, 1, 10);
  peer.deliver(seg().seq(1).ack(1 + 10 * kMss));
  expect_segments(peer, 1 + 10 * kMss, 20);
  peer.expect_nothing();
}

TEST(TcpSlowStart, AWindowThatWasNotUsedDoesNotGrow) {  // RFC 7661 §4.3
  ScriptedPeer peer(new_reno());
  peer.establish_passive(kPlain);
  uint32_t before = peer.connection().info().cwnd;
  for (uint32_t i = 0; i < 50; ++i) {
    peer.write(100);
    peer.ignore_sent();
    peer.deliver(seg().seq(1).ack(101 + 100 * i));
  }
  EXPECT_EQ(peer.connection().info().cwnd, before);
}

TEST(TcpSlowStart, EndsWhenTheRttRises) {  // RFC 9406 §4.2
  ScriptedPeer peer(new_reno());
  peer.listen();
  peer.deliver(seg().syn().seq(0).mss(kMss).wscale(7));
  peer.ignore_sent();
  peer.tick(milliseconds(50));
  peer.deliver(seg().seq(1).ack(1));
  ASSERT_NE(peer.accept(), nullptr);
  // Rounds in which every segment is acknowledged on its own, the round trips growing.
  uint32_t acked = 1;
  for (int round = 0; round < 14; ++round) {
    while (peer.write(200'000) > 0) {
    }
    std::vector<Seg> acks;
    while (peer.sent() > 0) {
      Seg s = peer.expect(seg().ack(1));
      acked = *s.get_seq() + static_cast<uint32_t>(s.size());
      acks.push_back(seg().seq(1).ack(acked));
    }
    peer.tick(milliseconds(50 + 8 * round));
    for (Seg& ack : acks) peer.deliver(ack);
  }
  EXPECT_LT(peer.connection().info().ssthresh, 10'000'000u);  // found without loss
  EXPECT_EQ(peer.counters().recoveries, 0u);
  EXPECT_EQ(peer.counters().retransmission_timeouts, 0u);
  peer.ignore_sent();
}

TEST(TcpIdle, AfterItTheWindowIsTheInitialOneAgain) {  // RFC 5681 §4.1
  ScriptedPeer peer(new_reno());
  peer.establish_passive(kPlain);
  peer.write(30 * kMss);
  expect_segments(peer, 1, 10);
  peer.deliver(seg().seq(1).ack(1 + 10 * kMss));
  expect_segments(peer, 1 + 10 * kMss, 20);
  peer.deliver(seg().seq(1).ack(1 + 30 * kMss));
  EXPECT_GT(peer.connection().info().cwnd, 20 * kMss);
  peer.tick(seconds(10));
  peer.write(30 * kMss);
  expect_segments(peer, 1 + 30 * kMss, 10);
  peer.expect_nothing();
}

// ---- small segments and windows ----

TEST(TcpNagle, AShortSegmentWaitsForTheAckOfAnother) {  // RFC 9293 §3.7.4
  ScriptedPeer peer;
  peer.establish_passive(kPlain);
  peer.write(10);
  peer.expect(seg().seq(1).ack(1).data(10));
  peer.write(10);
  peer.write(10);
  peer.expect_nothing();
  peer.deliver(seg().seq(1).ack(11));
  peer.expect(seg().seq(11).ack(1).data(20));
}

TEST(TcpNagle, DoesNotHoldAShortSegmentBehindWholeOnes) {  // Minshall's refinement
  ScriptedPeer peer;
  peer.establish_passive(kPlain);
  peer.write(kMss + 10);
  peer.expect(seg().seq(1).ack(1).data(kMss));
  peer.expect(seg().seq(1 + kMss).ack(1).data(10));
}

TEST(TcpNagle, IsOffWithNodelay) {
  ScriptedPeer::Options options;
  options.socket.nodelay = true;
  ScriptedPeer peer(options);
  peer.establish_passive(kPlain);
  for (uint32_t i = 0; i < 3; ++i) {
    peer.write(10);
    peer.expect(seg().seq(1 + 10 * i).ack(1).data(10));
  }
}

TEST(TcpSillyWindow, TheSenderWaitsForASegmentOrHalfTheLargestWindow) {  // RFC 9293 §3.8.6.2.1
  ScriptedPeer peer;
  ScriptedPeer::Handshake small = kPlain;
  small.win = 2000;
  peer.establish_passive(small);
  peer.deliver(seg().seq(1).ack(1).win(500));
  peer.write(5000);
  peer.expect_nothing();
  peer.deliver(seg().seq(1).ack(1).win(1000));  // half
  peer.expect(seg().seq(1).ack(1).data(1000));
}

TEST(TcpSillyWindow, TheSenderDoesNotWaitForEver) {  // RFC 9293 §3.8.6.2.1 (4)
  ScriptedPeer peer;
  ScriptedPeer::Handshake small = kPlain;
  small.win = 2000;
  peer.establish_passive(small);
  peer.deliver(seg().seq(1).ack(1).win(500));
  peer.write(5000);
  peer.expect_after(milliseconds(200), seg().seq(1).ack(1).data(500));
}

TEST(TcpSillyWindow, TheReceiverMovesTheEdgeByASegmentOrNotAtAll) {  // RFC 9293 §3.8.6.2.2
  ScriptedPeer::Options options;
  options.socket.receive_buffer_min = options.socket.receive_buffer_max = 10'000;
  ScriptedPeer peer(options);
  peer.establish_passive(kPlain);
  for (uint32_t at = 1; at < 10'001; at += 1000) peer.deliver(seg().seq(at).ack(1).data(1000));
  peer.ignore_sent();
  peer.read(1000);
  peer.expect_nothing();  // less than a segment
  peer.read(1000);
  peer.expect(seg().ack(10'001).win(2000));
}

TEST(TcpZeroWindow, ASegmentAtAClosedWindowIsAnsweredWithWhatIsExpected) {  // §3.10.7.4
  ScriptedPeer::Options options;
  options.socket.receive_buffer_min = options.socket.receive_buffer_max = 2000;
  ScriptedPeer peer(options);
  peer.establish_passive(kPlain);
  peer.deliver(seg().seq(1).ack(1).data(1000));
  peer.deliver(seg().seq(1001).ack(1).data(1000));
  peer.ignore_sent();
  peer.write(10);
  peer.ignore_sent();
  peer.deliver(seg().seq(2001).ack(11).data(1));  // a probe, whose ACK counts
  peer.expect(seg().ack(2001).win(0));
  EXPECT_FALSE(peer.connection().unsent_or_unacked());
  EXPECT_EQ(peer.read(5000), 2000u);
  peer.expect(seg().ack(2001).win(2000));
}

TEST(TcpZeroWindow, AWindowThatShrinksStopsNewData) {  // RFC 9293 §3.8.6
  ScriptedPeer peer;
  peer.establish_passive(kPlain);
  peer.write(2 * kMss);
  expect_segments(peer, 1, 2);
  peer.deliver(seg().seq(1).ack(1 + kMss).win(0));
  peer.write(kMss);
  peer.expect_nothing();
  EXPECT_EQ(peer.connection().info().send_window, 0u);
  peer.deliver(seg().seq(1).ack(1 + 2 * kMss).win(kMss));
  expect_segments(peer, 1 + 2 * kMss, 1);
}

TEST(TcpWindow, AnOlderSegmentDoesNotMoveIt) {  // RFC 9293 §3.10.7.4: SND.WL1, SND.WL2
  ScriptedPeer peer;
  peer.establish_passive(kPlain);
  peer.deliver(seg().seq(11).ack(1).data(10).win(5000));
  EXPECT_EQ(peer.connection().info().send_window, 5000u);
  peer.deliver(seg().seq(1).ack(1).data(10).win(100));  // sent before, came after
  EXPECT_EQ(peer.connection().info().send_window, 5000u);
  peer.ignore_sent();
}

// ---- acknowledging ----

TEST(TcpDelayedAck, IsSentAtOnceForAGapAndForWhatFillsIt) {  // RFC 5681 §4.2
  ScriptedPeer peer;
  peer.establish_passive(kPlain);
  uint32_t at = 1;
  for (int i = 0; i < 20; ++i, at += 100) {  // past the quick ones at the start
    peer.deliver(seg().seq(at).ack(1).data(100));
    peer.tick(milliseconds(50));
  }
  peer.ignore_sent();
  peer.deliver(seg().seq(at + 100).ack(1).data(100));
  peer.expect(seg().ack(at));
  peer.deliver(seg().seq(at).ack(1).data(50));  // in part
  peer.expect(seg().ack(at + 50));
  peer.deliver(seg().seq(at + 50).ack(1).data(50));
  peer.expect(seg().ack(at + 200));
}

TEST(TcpDelayedAck, RidesOnDataThatIsSentMeanwhile) {  // RFC 9293 §3.8.6.3
  ScriptedPeer peer;
  peer.establish_passive(kPlain);
  uint32_t at = 1;
  for (int i = 0; i < 20; ++i, at += 100) {
    peer.deliver(seg().seq(at).ack(1).data(100));
    peer.tick(milliseconds(50));
  }
  peer.ignore_sent();
  peer.deliver(seg().seq(at).ack(1).data(100));
  peer.expect_nothing();
  peer.write(10);
  peer.expect(seg().seq(1).ack(at + 100).data(10));
  peer.deliver(seg().seq(at + 100).ack(11));
  peer.tick(milliseconds(500));
  peer.expect_nothing();
}

}  // namespace
}  // namespace fairlead::sim
