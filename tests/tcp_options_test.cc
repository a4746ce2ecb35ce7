// Timestamps, window scale, SACK and ECN: what is agreed on in the handshake and what follows.
#include <gtest/gtest.h>

#include "sim/scripted_peer.h"

namespace fairlead::sim {
namespace {

using host::State;

constexpr ScriptedPeer::Handshake kPlain{.wscale = {}, .sack = false, .timestamps = false};
constexpr ScriptedPeer::Handshake kSack{.wscale = {}, .sack = true, .timestamps = false};

// ---- the handshake ----

TEST(TcpOptions,
     ASynAckHasNothingThatTheSynHadNot) {  // RFC 7323 §1.3, RFC 2018 §2, RFC 3168 §6.1.1
  ScriptedPeer peer;
  peer.listen();
  peer.deliver(seg().syn());
  Seg answer = peer.expect(seg().syn().ack(1).mss(1460).no_ts());
  EXPECT_FALSE(answer.get_options().sack_permitted);
  EXPECT_FALSE(answer.get_options().window_scale);
}

TEST(TcpOptions, ASynAckHasWhatTheSynHad) {
  ScriptedPeer peer;
  peer.listen();
  peer.deliver(seg().syn().ece().cwr().mss(1460).sack_ok().wscale(0).ts(7, 0));
  peer.expect(seg().syn().ece().ack(1).mss(1460).sack_ok().wscale(7).ts_echo(7));
}

TEST(TcpOptions, WithoutAnMssOptionSegmentsAreSmall) {  // RFC 9293 §3.7.1: 536, IPv6 1220
  for (bool ipv6 : {false, true}) {
    ScriptedPeer peer({.ipv6 = ipv6});
    peer.establish_passive({.mss = {}, .wscale = {}, .sack = false, .timestamps = false});
    peer.write(5000);
    peer.expect(seg().seq(1).ack(1).data(ipv6 ? 1220 : 536));
  }
}

TEST(TcpWindowScale, AppliesOnlyWhenBothHaveIt) {  // RFC 7323 §2.2
  for (bool scaled : {false, true}) {
    ScriptedPeer peer;
    ScriptedPeer::Handshake handshake = kPlain;
    if (scaled) handshake.wscale = 4;
    peer.establish_active(handshake);
    peer.deliver(seg().seq(1).ack(1).win(100));
    EXPECT_EQ(peer.connection().info().send_window, scaled ? 1600u : 100u);
  }
}

TEST(TcpWindowScale, TheSynsOwnWindowIsNotScaled) {  // RFC 7323 §2.2
  ScriptedPeer peer;
  peer.connect();
  peer.ignore_sent();
  peer.deliver(seg().syn().seq(0).ack(1).win(1000).mss(1460).wscale(7));
  EXPECT_EQ(peer.connection().info().send_window, 1000u);
}

TEST(TcpWindowScale, AboveFourteenIsFourteen) {  // RFC 7323 §2.3
  ScriptedPeer peer;
  ScriptedPeer::Handshake handshake = kPlain;
  handshake.wscale = 15;
  peer.establish_passive(handshake);
  peer.deliver(seg().seq(1).ack(1).win(1));
  EXPECT_EQ(peer.connection().info().send_window, 1u << 14);
}

/// A segment of `size` bytes behind all that was delivered before, `delivered` bytes.
Seg next(uint32_t& delivered, uint32_t size) {
  Seg s = seg().seq(1 + delivered).ack(1).data(size);
  delivered += size;
  return s;
}

TEST(TcpWindowScale, WithoutItAReaderThatKeepsUpCausesNoAcksOfItsOwn) {
  ScriptedPeer peer;
  peer.establish_passive(kPlain);
  uint32_t delivered = 0;
  for (int i = 0; i < 100; ++i) {
    peer.deliver(next(delivered, 1460));
    peer.read(1460);
  }
  // The first sixteen at once, then every second (RFC 9293 §3.8.6.3).
  EXPECT_LE(peer.sent(), 16u + 84 / 2);
}

/// A reader that does not read closes the window, and opens it when it does, whatever the step in
/// which the field counts.
void expect_closes_and_opens(uint32_t buffer, uint8_t shift, uint32_t size) {
  ScriptedPeer::Options options;
  options.socket.receive_buffer_min = buffer;
  options.socket.receive_buffer_max = 65535u << shift;
  ScriptedPeer peer(options);
  peer.establish_passive({.sack = false, .timestamps = false});
  const uint32_t step = 1u << shift, limit = std::max(buffer, 4 * step);
  uint32_t delivered = 0, window = std::min(buffer, 65535u);
  while (window > 0 && delivered < 4 * limit) {
    peer.deliver(next(delivered, std::min(size, window)));
    peer.tick(milliseconds(50));  // delayed ACK
    window = uint32_t{*peer.expect(seg().ack(1 + delivered)).get_window()} << shift;
  }
  EXPECT_EQ(window, 0u);
  EXPECT_LE(delivered, 2 * limit + step);
  EXPECT_EQ(peer.read(delivered), delivered);
  window = uint32_t{*peer.expect(seg().ack(1 + delivered)).get_window()} << shift;
  EXPECT_GE(window, limit - step);
}

TEST(TcpWindowScale, AReaderThatDoesNotReadEndsInAClosedWindow) {  // RFC 7323 §2.4
  for (uint32_t size : {10u, 100u, 1000u}) {
    expect_closes_and_opens(128 * 1024, 7, size);
    expect_closes_and_opens(128 * 1024, 14, size);
  }
}

TEST(TcpWindowScale, ABufferSmallerThanTheStepHasAWindowThatClosesAndOpens) {
  for (uint32_t size : {100u, 1000u}) expect_closes_and_opens(4096, 14, size);
}

// ---- timestamps ----

TEST(TcpTimestamps, ASegmentWithoutThemIsDroppedAnRstIsNot) {  // RFC 7323 §3.2
  ScriptedPeer peer;
  peer.establish_passive();
  peer.deliver(seg().seq(1).ack(1).data(10).no_ts());
  peer.expect_nothing();
  EXPECT_EQ(peer.connection().readable(), 0u);
  EXPECT_EQ(peer.counters().drop_paws, 1u);
  peer.deliver(seg().rst().seq(1));
  peer.expect_state(State::kClosed);
}

TEST(TcpTimestamps, UnaskedForTheyAreIgnored) {
  ScriptedPeer peer;
  peer.establish_passive(kPlain);
  peer.deliver(seg().seq(1).ack(1).data(10).ts(1, 1));
  peer.expect(seg().ack(11).no_ts());
  EXPECT_EQ(peer.read(100), 10u);
}

TEST(TcpPaws, AnOldTimestampGetsAnAckAndIsDropped) {  // RFC 7323 §5.3 R1
  ScriptedPeer peer;
  peer.establish_passive();
  uint32_t recent = peer.ts_clock();
  peer.deliver(seg().seq(1).ack(1).data(10).ts_value(recent - 1));
  peer.expect(seg().seq(1).ack(1).empty().ts_echo(recent));
  EXPECT_EQ(peer.connection().readable(), 0u);
  EXPECT_EQ(peer.counters().drop_paws, 1u);
}

TEST(TcpPaws, TwoEndsThatFindEachOtherOldDoNotAnswerForEver) {
  ScriptedPeer peer;
  peer.establish_passive();
  for (int i = 0; i < 10; ++i) {
    peer.deliver(seg().seq(1).ack(1).ts_value(peer.ts_clock() - 1000));
  }
  EXPECT_EQ(peer.sent(), 1u);
}

TEST(TcpPaws, AfterTwentyFourDaysOfSilenceATimestampProvesNothing) {  // RFC 7323 §5.5
  ScriptedPeer peer;
  peer.establish_passive();
  uint32_t recent = peer.ts_clock();
  peer.tick(hours(24 * 25));
  peer.deliver(seg().seq(1).ack(1).data(10).ts_value(recent - 1));
  EXPECT_EQ(peer.connection().readable(), 10u);
}

TEST(TcpTimestamps, TheEchoIsOfTheSegmentThatMovedTheLeftEdge) {  // RFC 7323 §4.3
  ScriptedPeer peer;
  peer.establish_passive();
  uint32_t clock = peer.ts_clock();
  // Ahead of a gap: not the one to echo.
  peer.deliver(seg().seq(101).ack(1).data(100).ts_value(clock + 10));
  peer.expect(seg().ack(1).ts_echo(clock));
  peer.deliver(seg().seq(1).ack(1).data(100).ts_value(clock + 5));
  peer.expect(seg().ack(201).ts_echo(clock + 5));
  // In order: the newer one counts.
  peer.deliver(seg().seq(201).ack(1).data(100).ts_value(clock + 20));
  peer.expect(seg().ack(301).ts_echo(clock + 20));
}

TEST(TcpTimestamps, OfTwoDelayedSegmentsTheFirstIsEchoed) {  // RFC 7323 §4.3 (A)
  ScriptedPeer peer;
  peer.establish_passive();
  uint32_t clock = peer.ts_clock();
  peer.deliver_burst({seg().seq(1).ack(1).data(1448).ts_value(clock + 1),
                      seg().seq(1449).ack(1).data(1448).ts_value(clock + 2)});
  peer.expect(seg().ack(2897).ts_echo(clock + 1));
}

// ---- SACK as a receiver ----

TEST(TcpSack, TheBlockWithTheSegmentThatCameLastIsFirst) {  // RFC 2018 §4
  ScriptedPeer peer;
  peer.establish_passive(kSack);
  peer.deliver(seg().seq(101).ack(1).data(100));
  peer.expect(seg().ack(1).sack({{101, 201}}));
  peer.deliver(seg().seq(501).ack(1).data(100));
  peer.expect(seg().ack(1).sack({{501, 601}, {101, 201}}));
  peer.deliver(seg().seq(301).ack(1).data(100));
  peer.expect(seg().ack(1).sack({{301, 401}, {501, 601}, {101, 201}}));
  peer.deliver(seg().seq(201).ack(1).data(50));
  peer.expect(seg().ack(1).sack({{101, 251}, {301, 401}, {501, 601}}));
  peer.deliver(seg().seq(251).ack(1).data(50));  // joins two
  peer.expect(seg().ack(1).sack({{101, 401}, {501, 601}}));
  peer.deliver(seg().seq(1).ack(1).data(100));
  peer.expect(seg().ack(401).sack({{501, 601}}));
  peer.deliver(seg().seq(401).ack(1).data(100));
  peer.expect(seg().ack(601).no_sack());
}

TEST(TcpSack, AsManyBlocksAsTheOptionsHold) {  // RFC 2018 §3: four, three beside timestamps
  for (bool timestamps : {false, true}) {
    ScriptedPeer peer;
    ScriptedPeer::Handshake handshake = kSack;
    handshake.timestamps = timestamps;
    peer.establish_passive(handshake);
    for (uint32_t i = 1; i <= 6; ++i) {
      peer.ignore_sent();
      peer.deliver(seg().seq(200 * i + 1).ack(1).data(100));
    }
    if (timestamps) {
      peer.expect(seg().ack(1).sack({{1201, 1301}, {1001, 1101}, {801, 901}}));
    } else {
      peer.expect(seg().ack(1).sack({{1201, 1301}, {1001, 1101}, {801, 901}, {601, 701}}));
    }
  }
}

TEST(TcpSack, NoneForAPeerThatDidNotAskForIt) {
  ScriptedPeer peer;
  peer.establish_passive(kPlain);
  for (uint32_t i = 1; i <= 3; ++i) {  // one duplicate ACK each (RFC 5681 §4.2)
    peer.deliver(seg().seq(200 * i + 1).ack(1).data(100));
    peer.expect(seg().ack(1).no_sack());
  }
}

TEST(TcpSack, DuplicateAcksOfABurstAreSentOneByOne) {
  ScriptedPeer peer;
  peer.establish_passive(kPlain);
  peer.deliver_burst({seg().seq(201).ack(1).data(100), seg().seq(401).ack(1).data(100),
                      seg().seq(601).ack(1).data(100)});
  for (int i = 0; i < 3; ++i) peer.expect(seg().ack(1));
  peer.expect_nothing();
}

TEST(TcpDsack, TellsOfASegmentBelowTheAck) {  // RFC 2883 §4.1
  ScriptedPeer peer;
  peer.establish_passive(kSack);
  peer.deliver(seg().seq(1).ack(1).data(500));
  peer.expect(seg().ack(501).no_sack());
  peer.deliver(seg().seq(101).ack(1).data(200));
  peer.expect(seg().ack(501).sack({{101, 301}}));
  peer.deliver(seg().seq(501).ack(1).data(10));  // told once
  peer.expect(seg().ack(511).no_sack());
}

TEST(TcpDsack, TellsOfTheOldPartOfANewSegment) {  // RFC 2883 §4.2
  ScriptedPeer peer;
  peer.establish_passive(kSack);
  peer.deliver(seg().seq(1).ack(1).data(500));
  peer.expect(seg().ack(501));
  peer.deliver(seg().seq(401).ack(1).data(200));
  peer.expect(seg().ack(601).sack({{401, 501}}));
}

TEST(TcpDsack, NamesTheBlockThatHoldsTheDuplicateSecond) {  // RFC 2883 §4.1.2
  ScriptedPeer peer;
  peer.establish_passive(kSack);
  peer.deliver(seg().seq(501).ack(1).data(500));
  peer.expect(seg().ack(1).sack({{501, 1001}}));
  peer.deliver(seg().seq(2001).ack(1).data(500));
  peer.expect(seg().ack(1).sack({{2001, 2501}, {501, 1001}}));
  peer.deliver(seg().seq(601).ack(1).data(100));
  peer.expect(seg().ack(1).sack({{601, 701}, {501, 1001}, {2001, 2501}}));
}

// ---- ECN ----

TEST(TcpEcn, IsOfferedAcceptedAndRefused) {  // RFC 3168 §6.1.1
  ScriptedPeer peer;
  peer.connect();
  peer.expect(seg().syn().ece().cwr().ecn(wire::Ecn::kNotCapable));
  peer.deliver(seg().syn().ece().seq(0).ack(1).mss(1460));
  EXPECT_TRUE(peer.connection().info().ecn);

  ScriptedPeer reflector;  // one that echoes the reserved bits as they came
  reflector.connect();
  reflector.ignore_sent();
  reflector.deliver(seg().syn().ece().cwr().seq(0).ack(1).mss(1460));
  EXPECT_FALSE(reflector.connection().info().ecn);
}

TEST(TcpEcn, NewDataIsCapableRetransmissionsAndAcksAreNot) {  // RFC 3168 §6.1.4, §6.1.5
  ScriptedPeer peer;
  ScriptedPeer::Handshake handshake = kPlain;
  handshake.ecn = true;
  peer.establish_passive(handshake);
  peer.write(100);
  peer.expect(seg().seq(1).data(100).ack(1).ecn(wire::Ecn::kCapable0));
  peer.expect_after(milliseconds(200), seg().seq(1).data(100).ack(1).ecn(wire::Ecn::kNotCapable));
  peer.deliver(seg().seq(1).ack(101).data(10));
  peer.expect(seg().ack(11).ecn(wire::Ecn::kNotCapable));
}

TEST(TcpEcn, AMarkIsEchoedUntilTheSenderHasAnswered) {  // RFC 3168 §6.1.3
  ScriptedPeer peer;
  ScriptedPeer::Handshake handshake = kPlain;
  handshake.ecn = true;
  peer.establish_passive(handshake);
  peer.deliver(seg().seq(1).ack(1).data(100).ce());
  peer.expect(seg().ece().ack(101));
  peer.deliver(seg().seq(101).ack(1).data(100).ecn(wire::Ecn::kCapable0));
  peer.expect(seg().ece().ack(201));
  peer.deliver(seg().cwr().seq(201).ack(1).data(100).ecn(wire::Ecn::kCapable0));
  peer.expect(seg().ack(301));
  // A mark on the very segment that answers is a new one.
  peer.deliver(seg().cwr().seq(301).ack(1).data(100).ce());
  peer.expect(seg().ece().ack(401));
}

TEST(TcpEcn, AnEchoReducesOnceAWindowAndIsAnsweredOnNewData) {  // RFC 3168 §6.1.2
  ScriptedPeer peer;
  ScriptedPeer::Handshake handshake = kPlain;
  handshake.ecn = true;
  peer.establish_passive(handshake);
  peer.write(14600);
  peer.ignore_sent();
  uint32_t before = peer.connection().info().cwnd;
  peer.deliver(seg().ece().seq(1).ack(1461));
  uint32_t reduced = peer.connection().info().cwnd;
  EXPECT_LT(reduced, before);
  peer.deliver(seg().ece().seq(1).ack(2921));
  EXPECT_EQ(peer.counters().ecn_reductions, 1u);
  peer.deliver(seg().seq(1).ack(14601));
  peer.write(2920);
  peer.expect(seg().cwr().seq(14601).ack(1).data(1460));
  peer.expect(seg().seq(16061).ack(1).data(1460));
  peer.deliver(seg().ece().seq(1).ack(17521));  // a new window
  EXPECT_EQ(peer.counters().ecn_reductions, 2u);
}

TEST(TcpEcn, WithoutAgreementMarksAndEchoesMeanNothing) {
  ScriptedPeer peer;
  peer.establish_passive(kPlain);
  peer.deliver(seg().ece().seq(1).ack(1).data(100).ce());
  peer.expect(seg().ack(101));
  EXPECT_EQ(peer.counters().ecn_reductions, 0u);
}

}  // namespace
}  // namespace fairlead::sim
