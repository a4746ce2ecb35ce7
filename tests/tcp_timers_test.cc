// Timers, packet by packet: retransmission, probes, delayed ACK, keep-alive, and what happens when
// the machine was too busy to look at them in time.
#include <gtest/gtest.h>

#include "sim/scripted_peer.h"

namespace fairlead::sim {
namespace {

using host::State;

constexpr ScriptedPeer::Handshake kPlain{.sack = false, .timestamps = false};

TEST(TcpRetransmission, AnAckThatComesTogetherWithTheTimeoutWins) {
  ScriptedPeer peer;
  peer.establish_passive(kPlain);
  peer.write(100);
  peer.expect(seg().seq(1).ack(1).data(100));
  peer.stall(seconds(2));  // far beyond the RTO of 200 ms
  peer.deliver(seg().seq(1).ack(101));
  peer.expect_nothing();
  EXPECT_EQ(peer.counters().retransmission_timeouts, 0u);
}

TEST(TcpRetransmission, AnAckForAPartThatComesTogetherWithTheTimeoutRestartsTheTimer) {
  ScriptedPeer peer;
  peer.establish_passive(kPlain);
  peer.write(3000);
  peer.expect(seg().seq(1).ack(1).data(1460));
  peer.expect(seg().seq(1461).ack(1).data(1460));
  peer.expect(seg().seq(2921).ack(1).data(80));
  peer.stall(milliseconds(300));
  peer.deliver(seg().seq(1).ack(1461));  // RFC 6298 (5.3)
  peer.expect_nothing();
  EXPECT_EQ(peer.counters().retransmission_timeouts, 0u);
}

TEST(TcpRetransmission, TheTimeoutDoubles) {  // RFC 6298 (5.5)
  ScriptedPeer peer;
  peer.establish_passive(kPlain);
  peer.write(100);
  peer.expect(seg().seq(1).ack(1).data(100));
  for (int ms = 200; ms <= 51200; ms *= 2) {
    peer.expect_after(milliseconds(ms), seg().seq(1).ack(1).data(100));
  }
  peer.expect_state(State::kEstablished);
}

TEST(TcpUserTimeout, EndsTheConnectionAfterThatLongWithoutAnAnswer) {  // RFC 5482
  ScriptedPeer::Options options;
  options.socket.user_timeout = seconds(10);
  ScriptedPeer peer(options);
  peer.establish_passive(kPlain);
  peer.write(100);
  peer.expect(seg().seq(1).ack(1).data(100));
  for (int ms = 200; ms <= 3200; ms *= 2) {
    peer.expect_after(milliseconds(ms), seg().seq(1).ack(1).data(100));
  }
  peer.expect_after(milliseconds(10'000 - 6200), seg().rst().seq(101).ack(1));
  peer.expect_state(State::kClosed);
  EXPECT_EQ(peer.connection().error(), Errc::kTimedOut);
  EXPECT_EQ(peer.stack().buffer_bytes(), 0u);
}

TEST(TcpUserTimeout, MayBeShorterForTheLastAck) {
  ScriptedPeer::Options options;
  options.socket.last_ack_timeout = seconds(5);
  ScriptedPeer peer(options);
  peer.establish_passive(kPlain);
  peer.deliver(seg().fin().seq(1).ack(1));
  peer.expect(seg().seq(1).ack(2));
  peer.write(100);
  peer.tick(seconds(20));
  peer.expect_state(State::kCloseWait);  // not yet LAST-ACK
  peer.deliver(seg().seq(2).ack(101));
  peer.ignore_sent();
  peer.shutdown();
  peer.expect(seg().fin().seq(101).ack(2));
  for (int ms = 200; ms <= 1600; ms *= 2) {
    peer.expect_after(milliseconds(ms), seg().fin().seq(101).ack(2));
  }
  peer.expect_after(seconds(2), seg().rst().seq(102).ack(2));
  peer.expect_state(State::kClosed);
  EXPECT_EQ(peer.connection().error(), Errc::kTimedOut);
  EXPECT_EQ(peer.counters().connections_timed_out, 1u);
}

TEST(TcpUserTimeout, TheLastAckMayTakeAsLongAsThereIsProgress) {
  ScriptedPeer::Options options;
  options.socket.last_ack_timeout = seconds(5);
  ScriptedPeer peer(options);
  peer.establish_passive(kPlain);
  peer.deliver(seg().fin().seq(1).ack(1).win(100));
  peer.expect(seg().seq(1).ack(2));
  peer.write(1000);
  peer.shutdown();
  for (uint32_t at = 1; at < 1001; at += 100) {
    peer.tick(seconds(4));
    peer.deliver(seg().seq(2).ack(at + 100).win(100));
    peer.expect_state(State::kLastAck);
  }
  peer.deliver(seg().seq(2).ack(1002));
  peer.expect_state(State::kClosed);
  EXPECT_EQ(peer.connection().error(), Errc::kOk);
}

TEST(TcpTailLossProbe, RepeatsTheLastSegmentBeforeTheTimeout) {  // RFC 8985 §7
  ScriptedPeer peer;
  peer.establish_passive();
  peer.write(2000);
  peer.expect(seg().seq(1).ack(1).data(1448));
  peer.expect(seg().seq(1449).ack(1).data(552));
  // A segment's worth of what was sent last; bytes sent at once have no boundaries.
  peer.expect_after(milliseconds(8), seg().seq(553).ack(1).data(1448));
  // Its SACK shows that what came before is missing.
  peer.tick(milliseconds(1));
  peer.deliver(seg().seq(1).ack(1).sack({{553, 2001}}));
  peer.expect(seg().seq(1).ack(1).data(552));
}

TEST(TcpTailLossProbe, AnAckThatComesTogetherWithItStopsIt) {
  ScriptedPeer peer;
  peer.establish_passive();
  peer.write(100);
  peer.expect(seg().seq(1).ack(1).data(100));
  peer.stall(milliseconds(250));
  peer.deliver(seg().seq(1).ack(101));
  peer.expect_nothing();
  EXPECT_EQ(peer.counters().tail_loss_probes, 0u);
}

TEST(TcpPersist, ProbesAClosedWindowAndSendsWhenItOpens) {  // RFC 9293 §3.8.6.1
  ScriptedPeer peer;
  peer.establish_passive(kPlain);
  peer.deliver(seg().seq(1).ack(1).win(0));
  peer.write(100);
  peer.expect_nothing();
  peer.expect_after(milliseconds(200), seg().seq(0).ack(1).empty());
  peer.deliver(seg().seq(1).ack(1).win(0));
  peer.expect_after(milliseconds(400), seg().seq(0).ack(1).empty());
  peer.deliver(seg().seq(1).ack(1).win(100));
  peer.expect(seg().seq(1).ack(1).data(100));
}

TEST(TcpPersist, APeerThatAnswersIsNeverGivenUp) {
  ScriptedPeer::Options options;
  options.socket.user_timeout = seconds(60);
  ScriptedPeer peer(options);
  peer.establish_passive(kPlain);
  peer.deliver(seg().seq(1).ack(1).win(0));
  peer.write(100);
  for (int i = 0; i < 60; ++i) {
    peer.tick(seconds(10));
    if (peer.sent() == 0) continue;
    peer.ignore_sent();
    peer.deliver(seg().seq(1).ack(1).win(0));
  }
  peer.expect_state(State::kEstablished);
}

TEST(TcpPersist, ASilentPeerIsGivenUp) {
  ScriptedPeer::Options options;
  options.socket.user_timeout = seconds(60);
  ScriptedPeer peer(options);
  peer.establish_passive(kPlain);
  peer.deliver(seg().seq(1).ack(1).win(0));
  peer.write(100);
  peer.tick(seconds(59));
  peer.expect_state(State::kEstablished);
  peer.tick(seconds(2));
  peer.expect_state(State::kClosed);
  EXPECT_EQ(peer.connection().error(), Errc::kTimedOut);
}

TEST(TcpPersist, LongSilenceBeforeTheWriteIsNotHeldAgainstThePeer) {
  ScriptedPeer peer;
  peer.establish_passive(kPlain);
  peer.deliver(seg().seq(1).ack(1).win(0));
  peer.tick(hours(1));  // longer than SocketOptions::user_timeout: nobody had anything to say
  peer.write(100);
  peer.expect_after(milliseconds(200), seg().seq(0).ack(1).empty());
  peer.expect_state(State::kEstablished);
}

TEST(TcpCork, HoldsAShortSegmentBackForAWhileAndNotForEver) {
  ScriptedPeer peer;
  peer.establish_passive(kPlain);
  peer.call("set_cork(true)", [&] { peer.connection().set_cork(true); });
  peer.write(100);
  peer.expect_nothing();
  // Linux's bound on what it holds back.
  peer.expect_after(milliseconds(200), seg().seq(1).ack(1).data(100));
  EXPECT_EQ(peer.counters().zero_window_probes, 0u);
  peer.deliver(seg().seq(1).ack(101));
  peer.write(50);
  peer.expect_nothing();
  peer.call("set_cork(false)", [&] { peer.connection().set_cork(false); });
  peer.expect(seg().seq(101).ack(1).data(50));
}

TEST(TcpDelayedAck, WaitsForASecondSegmentOrFortyMilliseconds) {  // RFC 9293 §3.8.6.3
  ScriptedPeer peer;
  peer.establish_passive(kPlain);
  uint32_t at = 1;
  for (int i = 0; i < 16; ++i, at += 1460) {  // quick at first: the peer is in slow start
    peer.deliver(seg().seq(at).ack(1).data(1460));
    peer.expect(seg().ack(at + 1460));
    peer.read(1460);
  }
  peer.ignore_sent();  // window updates
  peer.deliver(seg().seq(at).ack(1).data(1460));
  peer.expect_after(milliseconds(40), seg().ack(at + 1460));
  at += 1460;
  peer.deliver(seg().seq(at).ack(1).data(1460));
  peer.expect_nothing();
  peer.deliver(seg().seq(at + 1460).ack(1).data(1460));
  peer.expect(seg().ack(at + 2 * 1460));
}

TEST(TcpKeepAlive, ProbesAnIdlePeerAndGivesUpASilentOne) {  // RFC 9293 §3.8.4
  ScriptedPeer::Options options;
  options.socket.keepalive = true;
  options.socket.keepalive_idle = seconds(60);
  options.socket.keepalive_interval = seconds(10);
  options.socket.keepalive_probes = 3;
  ScriptedPeer peer(options);
  peer.establish_passive(kPlain);
  peer.expect_after(seconds(60), seg().seq(0).ack(1).empty());
  peer.deliver(seg().seq(1).ack(1));
  peer.expect_after(seconds(60), seg().seq(0).ack(1).empty());
  peer.expect_after(seconds(10), seg().seq(0).ack(1).empty());
  peer.expect_after(seconds(10), seg().seq(0).ack(1).empty());
  peer.expect_after(seconds(10), seg().rst().seq(1).ack(1));
  peer.expect_state(State::kClosed);
  EXPECT_EQ(peer.connection().error(), Errc::kTimedOut);
}

TEST(TcpKeepAlive, ATimerThatFiresLateSeesThatThePeerSpokeMeanwhile) {
  ScriptedPeer::Options options;
  options.socket.keepalive = true;
  options.socket.keepalive_idle = seconds(60);
  ScriptedPeer peer(options);
  peer.establish_passive(kPlain);
  peer.tick(seconds(40));
  peer.deliver(seg().seq(1).ack(1).data(1));
  peer.expect(seg().ack(2));
  peer.expect_after(seconds(60), seg().seq(0).ack(2).empty());
}

TEST(TcpHandshake, SynIsRepeatedAndGivenUp) {  // RFC 9293 §3.8.3, RFC 6298 (2.1)
  ScriptedPeer::Options options;
  options.socket.connect_timeout = seconds(10);
  ScriptedPeer peer(options);
  peer.connect();
  peer.expect(seg().syn().ece().cwr().seq(0));
  peer.expect_after(seconds(1), seg().syn().ece().cwr().seq(0));
  // RFC 3168 §6.1.1.1: something on the path may drop SYNs for their ECN flags.
  peer.expect_after(seconds(2), seg().syn().seq(0));
  peer.expect_after(seconds(4), seg().syn().seq(0));
  peer.tick(milliseconds(3100));
  peer.expect_nothing();
  peer.expect_state(State::kClosed);
  EXPECT_EQ(peer.connection().error(), Errc::kTimedOut);
}

TEST(TcpHandshake, SynAckIsRepeatedAndGivenUp) {
  ScriptedPeer peer;
  peer.listen();
  peer.deliver(seg().syn().mss(1460));
  peer.expect(seg().syn().seq(0).ack(1));
  for (int s = 1; s <= 8; s *= 2) {
    peer.expect_after(seconds(s), seg().syn().seq(0).ack(1));
  }
  peer.tick(seconds(20));
  EXPECT_EQ(peer.stack().connection_count(), 0u);
}

TEST(TcpHandshake, SynAckIsGivenUpAfterTheConnectTimeout) {
  ScriptedPeer::Options options;
  options.socket.connect_timeout = milliseconds(2500);
  ScriptedPeer peer(options);
  peer.listen();
  peer.deliver(seg().syn().mss(1460));
  peer.expect(seg().syn().seq(0).ack(1));
  peer.expect_after(seconds(1), seg().syn().seq(0).ack(1));
  peer.tick(milliseconds(1490));
  EXPECT_EQ(peer.stack().connection_count(), 1u);
  peer.tick(milliseconds(20));
  EXPECT_EQ(peer.stack().connection_count(), 0u);
  peer.expect_nothing();
}

}  // namespace
}  // namespace fairlead::sim
