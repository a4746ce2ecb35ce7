// The end of a connection as its application brings it about: release() and abort() in every state.
#include <gtest/gtest.h>

#include "sim/scripted_peer.h"

namespace fairlead::sim {
namespace {

using host::State;

TEST(TcpRelease, WithUnreadBytesResetsThePeer) {  // RFC 1122 §4.2.2.13
  ScriptedPeer peer;
  peer.establish_passive();
  peer.deliver(seg().seq(1).ack(1).data(10));
  peer.expect(seg().seq(1).ack(11));
  peer.release();
  peer.expect(seg().rst().seq(1).ack(11));
  EXPECT_EQ(peer.stack().connection_count(), 0u);
}

TEST(TcpRelease, BeforeTheHandshakeIsDoneForgetsTheConnection) {
  ScriptedPeer peer;
  peer.connect();
  peer.expect(seg().syn().ece().cwr().seq(0));
  peer.release();
  peer.expect_nothing();
  EXPECT_EQ(peer.stack().connection_count(), 0u);
}

TEST(TcpRelease, SendsWhatWasWrittenAndThenFin) {
  ScriptedPeer peer;
  peer.establish_passive();
  peer.write(100);
  peer.release();
  peer.expect(seg().seq(1).ack(1).data(100));
  peer.expect(seg().fin().seq(101).ack(1));
  peer.deliver(seg().seq(1).ack(102).fin());
  peer.expect(seg().seq(102).ack(2));
  EXPECT_EQ(peer.stack().connection_count(), 0u);
  EXPECT_EQ(peer.stack().time_wait_count(), 1u);
}

TEST(TcpRelease, ResetsAPeerThatGoesOnSending) {  // RFC 1122 §4.2.2.13
  ScriptedPeer peer;
  peer.establish_passive();
  peer.release();
  peer.expect(seg().fin().seq(1).ack(1));
  peer.deliver(seg().seq(1).ack(2).data(10));
  peer.expect(seg().rst().seq(2).ack(1));
  EXPECT_EQ(peer.stack().connection_count(), 0u);
}

TEST(TcpRelease, OfAnEndedConnectionFreesIt) {
  ScriptedPeer peer;
  peer.establish_passive();
  peer.deliver(seg().rst().seq(1));
  peer.expect_state(State::kClosed);
  EXPECT_EQ(peer.connection().error(), Errc::kConnectionReset);
  EXPECT_EQ(peer.stack().connection_count(), 1u);
  peer.release();
  EXPECT_EQ(peer.stack().connection_count(), 0u);
}

TEST(TcpRelease, OfOneInTimeWaitLeavesTheTimeWaitEntry) {
  ScriptedPeer peer;
  peer.establish_passive();
  peer.shutdown();
  peer.expect(seg().fin().seq(1).ack(1));
  peer.deliver(seg().fin().seq(1).ack(2));
  peer.expect(seg().seq(2).ack(2));
  peer.expect_state(State::kTimeWait);
  peer.release();
  EXPECT_EQ(peer.stack().connection_count(), 0u);
  EXPECT_EQ(peer.stack().time_wait_count(), 1u);
  peer.tick(seconds(61));
  EXPECT_EQ(peer.stack().time_wait_count(), 0u);
}

TEST(TcpRelease, DoesNotWaitForEverForThePeersFin) {
  ScriptedPeer peer;
  peer.establish_passive();
  peer.release();
  peer.expect(seg().fin().seq(1).ack(1));
  peer.deliver(seg().seq(1).ack(2));
  EXPECT_EQ(peer.stack().connection_count(), 1u);
  peer.tick(seconds(61));  // SocketOptions::linger_timeout
  EXPECT_EQ(peer.stack().connection_count(), 0u);
}

TEST(TcpAbort, ResetsThePeerAndKeepsTheObjectForItsOwner) {
  ScriptedPeer peer;
  peer.establish_passive();
  peer.write(10);
  peer.expect(seg().seq(1).ack(1).data(10));
  peer.abort();
  peer.expect(seg().rst().seq(11).ack(1));
  EXPECT_EQ(peer.connection().error(), Errc::kConnectionAborted);
  EXPECT_EQ(peer.connection().writable(), 0u);
  EXPECT_EQ(peer.connection().readable(), 0u);
  EXPECT_EQ(peer.stack().buffer_bytes(), 0u);
  peer.release();
  EXPECT_EQ(peer.stack().connection_count(), 0u);
}

TEST(TcpAbort, OfUnreadBytesLeavesThemReadable) {
  ScriptedPeer peer;
  peer.establish_passive();
  peer.deliver(seg().seq(1).ack(1).data(10));
  peer.abort();
  EXPECT_EQ(peer.read(10), 10u);
  peer.release();
  EXPECT_EQ(peer.stack().buffer_bytes(), 0u);
}

// ---- SocketOptions::reset_rest ----

/// Whether a connection between the same two addresses can be opened.
Errc open_again(ScriptedPeer& peer) {
  const SegContext c = peer.to_stack();
  auto again = peer.stack().connect({.remote = c.source,
                                     .source = c.destination.address,
                                     .local_port = c.destination.port,
                                     .socket = {}},
                                    peer.now());
  if (!again) return again.error().code;
  peer.stack().release(*again);
  return Errc::kOk;
}

TEST(TcpResetRest, WithoutItAddressesAreUsedAgainAtOnce) {
  ScriptedPeer peer;
  peer.establish_active();
  peer.abort();
  peer.release();
  EXPECT_EQ(open_again(peer), Errc::kOk);
}

TEST(TcpResetRest, AddressesRestWhicheverSideHasReset) {
  ScriptedPeer::Options options;
  options.socket.reset_rest = seconds(10);
  for (const bool ours : {true, false}) {
    ScriptedPeer peer(options);
    peer.establish_active();
    if (ours) {
      peer.abort();
    } else {
      peer.deliver(seg().rst().seq(1));
    }
    peer.expect_state(State::kClosed);
    peer.release();
    EXPECT_EQ(peer.stack().connection_count(), 0u);
    EXPECT_EQ(open_again(peer), Errc::kAddressInUse);
    peer.tick(milliseconds(9990));
    EXPECT_EQ(open_again(peer), Errc::kAddressInUse);
    peer.tick(milliseconds(20));
    EXPECT_EQ(open_again(peer), Errc::kOk);
  }
}

TEST(TcpResetRest, ToThePeerTheConnectionIsClosed) {  // RFC 9293 §3.10.7.1
  ScriptedPeer::Options options;
  options.socket.reset_rest = seconds(10);
  ScriptedPeer peer(options);
  peer.establish_active();
  peer.abort();
  peer.expect(seg().rst().seq(1).ack(1));
  peer.deliver(seg().seq(1).ack(1).data(10));  // our RST was lost
  peer.expect(seg().rst().seq(1));
  EXPECT_EQ(peer.stack().time_wait_count(), 1u);
}

TEST(TcpResetRest, ThePeerMayConnectAgainAtOnce) {
  ScriptedPeer::Options options;
  options.socket.reset_rest = seconds(10);
  ScriptedPeer peer(options);
  peer.establish_passive();
  peer.abort();
  peer.release();
  EXPECT_EQ(peer.stack().time_wait_count(), 1u);
  peer.ignore_sent();
  peer.establish_passive();
  EXPECT_EQ(peer.stack().time_wait_count(), 0u);
}

TEST(TcpResetRest, AnOrderlyEndOrARefusalIsNone) {
  ScriptedPeer::Options options;
  options.socket.reset_rest = seconds(10);
  ScriptedPeer refused(options);
  refused.connect();
  refused.deliver(seg().rst().seq(0).ack(1));
  refused.expect_state(State::kClosed);
  EXPECT_EQ(refused.stack().time_wait_count(), 0u);

  ScriptedPeer orderly(options);
  orderly.establish_passive();
  orderly.deliver(seg().fin().seq(1).ack(1));
  orderly.shutdown();
  orderly.deliver(seg().seq(2).ack(2));
  orderly.expect_state(State::kClosed);
  EXPECT_EQ(orderly.stack().time_wait_count(), 0u);
}

}  // namespace
}  // namespace fairlead::sim
