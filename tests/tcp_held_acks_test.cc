// Acknowledgements held back (Connection::hold_acks()): what the peer has sent stays its own to
// send again, until the hold ends, which it does by itself.
#include <gtest/gtest.h>

#include "sim/scripted_peer.h"

namespace fairlead::sim {
namespace {

using host::State;

constexpr Duration kHold = milliseconds(150);  // SocketOptions::ack_hold_max
constexpr ScriptedPeer::Handshake kPlain{.wscale = {}, .sack = false, .timestamps = false};
constexpr ScriptedPeer::Handshake kSack{.wscale = {}, .sack = true, .timestamps = false};

/// Established, with 1000 bytes acknowledged by a segment of the stack's own.
void establish(ScriptedPeer& peer, const ScriptedPeer::Handshake& handshake) {
  peer.establish_passive(handshake);
  peer.deliver(seg().seq(1).ack(1).data(1000));
  EXPECT_EQ(peer.read(1000), 1000u);
  peer.expect(seg().ack(1001));
}

void hold(ScriptedPeer& peer, bool on) {
  peer.call(on ? "hold_acks(true)" : "hold_acks(false)", [&] { peer.connection().hold_acks(on); });
}

uint32_t acknowledged(ScriptedPeer& peer) {
  return peer.connection().acknowledged_to_peer().value() - peer.peer_isn();
}

TEST(TcpHeldAcks, TextIsReadableAndTheAckComesWhenTheHoldEnds) {
  ScriptedPeer peer;
  establish(peer, ScriptedPeer::Handshake{});
  hold(peer, true);
  peer.deliver(seg().seq(1001).ack(1).data(1000));
  peer.deliver(seg().seq(2001).ack(1).data(500));
  peer.tick(milliseconds(100));
  peer.expect_nothing();
  EXPECT_TRUE(peer.connection().holds_acks());
  EXPECT_EQ(peer.connection().readable(), 1500u);
  EXPECT_EQ(peer.connection().unread_unacked(), 1500u);
  EXPECT_EQ(acknowledged(peer), 1001u);
  EXPECT_EQ(peer.read(1200), 1200u);
  EXPECT_EQ(peer.connection().unread_unacked(), 300u);
  peer.expect_nothing();
  hold(peer, false);
  peer.expect(seg().seq(1).ack(2501).empty());
  EXPECT_EQ(acknowledged(peer), 2501u);
  EXPECT_EQ(peer.connection().unread_unacked(), 0u);
  EXPECT_EQ(peer.counters().ack_holds_ended, 0u);
  peer.tick(seconds(1));
  peer.expect_nothing();
}

TEST(TcpHeldAcks, WithNothingHeldTheEndOfTheHoldSaysNothing) {
  ScriptedPeer peer;
  establish(peer, ScriptedPeer::Handshake{});
  hold(peer, true);
  peer.tick(seconds(10));  // nor does time
  EXPECT_TRUE(peer.connection().holds_acks());
  hold(peer, false);
  peer.expect_nothing();
}

TEST(TcpHeldAcks, WhatIsSentMeanwhileSaysWhatWasSaidBefore) {
  for (bool scaled : {false, true}) {
    ScriptedPeer peer;
    ScriptedPeer::Handshake handshake;
    if (!scaled) handshake.wscale.reset();
    peer.establish_passive(handshake);
    peer.deliver(seg().seq(1).ack(1).data(1000));
    const uint16_t window = *peer.expect(seg().ack(1001)).get_window();
    hold(peer, true);
    peer.deliver(seg().seq(1001).ack(1).data(1111));
    const uint32_t echo = peer.ts_clock();
    peer.tick(milliseconds(2));
    peer.deliver(seg().seq(2112).ack(1).data(1111));
    EXPECT_EQ(peer.read(10'000), 3222u);  // more room, which is not told
    peer.write(100);
    peer.expect(seg().seq(1).ack(1001).win(window).data(100).ts_echo(echo));
    peer.deliver(seg().seq(1000).ack(101));  // a keep-alive
    peer.expect(seg().seq(101).ack(1001).win(window).empty());
    peer.shutdown();
    peer.expect(seg().fin().seq(101).ack(1001).win(window));
    hold(peer, false);
    peer.expect(seg().seq(102).ack(3223));
  }
}

TEST(TcpHeldAcks, ADuplicateOfWhatIsHeldIsNotAcknowledgedButAnOlderOneIs) {
  for (bool sack : {false, true}) {
    ScriptedPeer peer;
    establish(peer, sack ? kSack : kPlain);
    hold(peer, true);
    peer.deliver(seg().seq(1001).ack(1).data(1000));
    peer.deliver(seg().seq(1001).ack(1).data(1000));
    peer.deliver(seg().seq(1501).ack(1).data(1000));  // half of it is old
    peer.expect_nothing();
    EXPECT_EQ(peer.connection().readable(), 1500u);
    peer.deliver(seg().seq(1).ack(1).data(1000));  // our ACK was lost
    peer.expect(seg().ack(1001));
    hold(peer, false);
    peer.expect(seg().ack(2501));
    peer.expect_nothing();
  }
}

TEST(TcpHeldAcks, TextThatWaitsForItsDelayedAckIsHeld) {
  ScriptedPeer peer;
  establish(peer, kPlain);
  for (uint32_t i = 0; i < 15; ++i) {  // the rest of those acknowledged at once
    peer.deliver(seg().seq(1001 + 10 * i).ack(1).data(10));
    peer.expect(seg().ack(1011 + 10 * i));
  }
  peer.deliver(seg().seq(1151).ack(1).data(10));
  hold(peer, true);
  EXPECT_EQ(peer.connection().unread_unacked(), 10u);
  peer.expect_after(kHold, seg().ack(1161));
}

TEST(TcpHeldAcks, EndBeforeThePeerTakesThemForLost) {
  ScriptedPeer peer;
  establish(peer, ScriptedPeer::Handshake{});
  hold(peer, true);
  peer.tick(seconds(3));  // time counts from what is held
  peer.deliver(seg().seq(1001).ack(1).data(100));
  peer.tick(milliseconds(50));
  peer.deliver(seg().seq(1101).ack(1).data(100));
  peer.write(100);  // an ACK of old does not put it off
  peer.expect(seg().ack(1001).data(100));
  peer.deliver(seg().seq(1201).ack(101));
  peer.expect_after(kHold - milliseconds(50), seg().ack(1201));
  EXPECT_FALSE(peer.connection().holds_acks());
  EXPECT_EQ(peer.counters().ack_holds_ended, 1u);
}

TEST(TcpHeldAcks, EndWhenMoreIsHeldThanAnInitialWindow) {  // RFC 6928
  ScriptedPeer peer;
  establish(peer, kPlain);
  hold(peer, true);
  uint32_t at = 1001;
  for (int i = 0; i < 10; ++i, at += 1460) peer.deliver(seg().seq(at).ack(1).data(1460));
  peer.expect_nothing();
  EXPECT_TRUE(peer.connection().holds_acks());
  peer.deliver(seg().seq(at).ack(1).data(1));
  peer.expect(seg().ack(at + 1));
  EXPECT_FALSE(peer.connection().holds_acks());
  EXPECT_EQ(peer.counters().ack_holds_ended, 1u);
}

TEST(TcpHeldAcks, EndAtAFin) {
  ScriptedPeer peer;
  establish(peer, ScriptedPeer::Handshake{});
  hold(peer, true);
  peer.deliver(seg().seq(1001).ack(1).data(100));
  peer.deliver(seg().fin().seq(1101).ack(1).data(100));
  peer.expect(seg().ack(1202));
  EXPECT_EQ(peer.connection().unread_unacked(), 0u);
  EXPECT_EQ(peer.counters().ack_holds_ended, 1u);
  peer.expect_state(State::kCloseWait);
}

TEST(TcpHeldAcks, EndAtAGap) {
  for (bool fin : {false, true}) {  // a FIN alone may be what is ahead
    ScriptedPeer peer;
    establish(peer, kSack);
    hold(peer, true);
    peer.deliver(seg().seq(1001).ack(1).data(100));
    peer.deliver(fin ? seg().fin().seq(1201).ack(1) : seg().seq(1201).ack(1).data(100));
    fin ? peer.expect(seg().ack(1101)) : peer.expect(seg().ack(1101).sack({{1201, 1301}}));
    EXPECT_FALSE(peer.connection().holds_acks());
    EXPECT_EQ(peer.counters().ack_holds_ended, 1u);
  }
}

TEST(TcpHeldAcks, DoNotBeginWhereTheyWouldEnd) {
  ScriptedPeer gap;
  establish(gap, kSack);
  gap.deliver(seg().seq(1101).ack(1).data(100));
  gap.expect(seg().ack(1001).sack({{1101, 1201}}));
  hold(gap, true);
  EXPECT_FALSE(gap.connection().holds_acks());

  ScriptedPeer fin;
  establish(fin, kSack);
  fin.deliver(seg().fin().seq(1001).ack(1));
  fin.expect(seg().ack(1002));
  hold(fin, true);
  EXPECT_FALSE(fin.connection().holds_acks());

  ScriptedPeer early;
  early.connect();
  hold(early, true);
  EXPECT_FALSE(early.connection().holds_acks());
}

TEST(TcpHeldAcks, AWindowThatHasOpenedMeanwhileIsToldWhenTheyEnd) {
  ScriptedPeer::Options options;
  options.socket.receive_buffer_min = 8192;
  ScriptedPeer peer(options);
  establish(peer, kPlain);
  for (uint32_t i = 0; i < 7; ++i) {
    peer.deliver(seg().seq(1001 + 1024 * i).ack(1).data(1024));
    peer.expect(seg().ack(2025 + 1024 * i));
  }
  hold(peer, true);
  peer.read(7 * 1024);
  peer.expect_nothing();
  hold(peer, false);
  peer.expect(seg().ack(1001 + 7 * 1024).win(8192));
}

TEST(TcpHeldAcks, AMarkOfCongestionIsEchoedWhenTheyEnd) {  // RFC 3168 §6.1.3
  ScriptedPeer peer;
  ScriptedPeer::Handshake handshake = kPlain;
  handshake.ecn = true;
  establish(peer, handshake);
  hold(peer, true);
  peer.deliver(seg().seq(1001).ack(1).data(100).ce());
  peer.expect_nothing();
  hold(peer, false);
  peer.expect(seg().ece().ack(1101));
}

TEST(TcpHeldAcks, AConnectionThatIsReleasedAcknowledges) {
  ScriptedPeer peer;
  establish(peer, ScriptedPeer::Handshake{});
  hold(peer, true);
  peer.deliver(seg().seq(1001).ack(1).data(100));
  peer.read(100);
  peer.release();
  peer.expect(seg().fin().seq(1).ack(1101));
}

TEST(TcpHeldAcks, OfAListenerBeginWithTheFirstText) {
  for (bool with_the_handshake : {false, true}) {
    ScriptedPeer::Options options;
    options.socket.hold_first_acks = true;
    ScriptedPeer peer(options);
    peer.listen();
    peer.deliver(seg().syn().mss(1460).sack_ok().wscale(7).ts(peer.ts_clock(), 0));
    peer.expect(seg().syn().ack(1));
    if (!with_the_handshake) peer.deliver(seg().seq(1).ack(1));
    peer.deliver(seg().seq(1).ack(1).data(300));
    peer.accept();
    EXPECT_EQ(peer.connection().unread_unacked(), 300u);
    EXPECT_EQ(acknowledged(peer), 1u);
    EXPECT_EQ(peer.read(300), 300u);
    peer.write(100);
    peer.expect(seg().seq(1).ack(1).data(100));
    hold(peer, false);
    peer.expect(seg().ack(301));
  }
}

/// Calls hold_acks() before anything is sent that the event's packet has made due.
class Holder final : public host::Observer {
 public:
  explicit Holder(host::Connection& connection) : connection_(connection) {
    connection.set_observer(this);
  }
  void on_events(uint8_t) override { connection_.hold_acks(true); }

 private:
  host::Connection& connection_;
};

TEST(TcpHeldAcks, TheHandshakesOwnAckIsNotHeld) {
  ScriptedPeer peer;
  peer.connect();
  peer.ignore_sent();
  Holder holder(peer.connection());
  peer.deliver(seg().syn().seq(0).ack(1).mss(1460));
  peer.expect(seg().seq(1).ack(1).empty());
  EXPECT_TRUE(peer.connection().holds_acks());
}

TEST(TcpHeldAcks, TextOfTheSameBurstIsHeld) {
  ScriptedPeer peer;
  establish(peer, kPlain);
  Holder holder(peer.connection());
  peer.deliver_burst({seg().seq(1001).ack(1).data(100), seg().seq(1101).ack(1).data(100),
                      seg().seq(1001).ack(1).data(100)});
  peer.expect_nothing();
  peer.expect_after(kHold, seg().ack(1201));
}

}  // namespace
}  // namespace fairlead::sim
