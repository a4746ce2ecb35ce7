// Handshakes done by the NIC stack: what the host makes of the ACK that proves one.
#include <gtest/gtest.h>

#include "nic/setup/setup.h"
#include "sim/scripted_peer.h"
#include "tests/setup_handshakes.h"

namespace fairlead::sim {
namespace {

using host::State;

/// The SYN-ACK, which leaves no trace in the stack.
Seg handshake(ScriptedPeer& peer, Seg syn) {
  peer.deliver(std::move(syn));
  const Seg answer = peer.expect(seg().syn().ack(1));
  EXPECT_EQ(peer.stack().connection_count(), 0u);
  return answer;
}
Seg handshake(ScriptedPeer& peer) { return handshake(peer, linux_syn(peer)); }

/// With its ACK, which makes no connection.
void deferred_handshake(ScriptedPeer& peer) {
  host::ListenOptions options = offloaded();
  options.defer_accept = true;
  peer.listen(options);
  handshake(peer);
  peer.deliver(seg().seq(1).ack(1));
}

uint64_t count(ScriptedPeer& peer, fl_setup_verdict verdict) {
  return peer.stack().setup().count(verdict);
}

TEST(TcpSetupOffload, ASynLeavesNothingBehind) {
  ScriptedPeer peer;
  host::Listener& listener = peer.listen(offloaded());
  const Seg answer = handshake(peer);
  EXPECT_EQ(listener.handshakes(), 0u);
  EXPECT_EQ(answer.get_options().timestamps->value % 2, 1u);
  peer.tick(seconds(40));
  peer.expect_nothing();  // who stores nothing can't repeat it
}

TEST(TcpSetupOffload, TheAckMakesTheConnection) {
  for (bool ipv6 : {false, true}) {
    ScriptedPeer peer({.ipv6 = ipv6});
    peer.listen(offloaded());
    handshake(peer);
    peer.deliver(seg().seq(1).ack(1).win(100));
    host::Connection* c = peer.accept();
    ASSERT_NE(c, nullptr);
    peer.expect_state(State::kEstablished);
    peer.expect_nothing();
    EXPECT_EQ(c->info().send_window, 100u << 7);
    EXPECT_TRUE(c->info().sack);
    EXPECT_TRUE(c->info().timestamps);
    EXPECT_EQ(peer.counters().connections_accepted, 1u);
    peer.write(1000);
    peer.expect(seg().seq(1).ack(1).data(1000));
  }
}

TEST(TcpSetupOffload, DataMayComeWithTheAck) {
  ScriptedPeer peer;
  peer.listen(offloaded());
  handshake(peer);
  peer.deliver(seg().seq(1).ack(1).data(500));
  ASSERT_NE(peer.accept(), nullptr);
  EXPECT_EQ(peer.read(500), 500u);
  peer.expect(seg().ack(501));
  peer.deliver(seg().seq(501).ack(1).data(500));
  EXPECT_EQ(peer.read(500), 500u);
}

TEST(TcpSetupOffload, AFinMayComeWithTheAck) {
  ScriptedPeer peer;
  peer.listen(offloaded());
  handshake(peer);
  peer.deliver(seg().seq(1).ack(1).data(500).fin());
  ASSERT_NE(peer.accept(), nullptr);
  peer.expect_state(State::kCloseWait);
  EXPECT_EQ(peer.read(500), 500u);
}

TEST(TcpSetupOffload, AConnectionMayBeginWithTheFirstData) {
  ScriptedPeer peer;
  deferred_handshake(peer);
  peer.expect_nothing();
  EXPECT_EQ(peer.stack().connection_count(), 0u);
  EXPECT_EQ(count(peer, FL_SETUP_DEFERRED), 1u);
  peer.tick(seconds(50));
  peer.deliver(seg().seq(1).ack(1).data(500));
  ASSERT_NE(peer.accept(), nullptr);
  EXPECT_EQ(peer.read(500), 500u);
}

TEST(TcpSetupOffload, AConnectionMayBeginWithItsFin) {
  ScriptedPeer peer;
  deferred_handshake(peer);
  peer.deliver(seg().seq(1).ack(1).fin());
  ASSERT_NE(peer.accept(), nullptr);
  peer.expect_state(State::kCloseWait);
}

TEST(TcpSetupOffload, FirstDataAfterALongSilenceIsReset) {
  for (const int64_t silent : {65, 140, 300}) {
    ScriptedPeer peer;
    deferred_handshake(peer);
    peer.tick(seconds(silent));
    peer.deliver(seg().seq(1).ack(1).data(10));
    peer.expect(seg().seq(1).rst());
  }
}

TEST(TcpSetupOffload, TimestampsGoOnFromTheSynAcksAndAreEven) {
  ScriptedPeer peer;
  peer.listen(offloaded());
  const uint32_t first = handshake(peer).get_options().timestamps->value;
  peer.deliver(seg().seq(1).ack(1));
  peer.accept();
  peer.write(100);
  const Seg data = peer.expect(seg().seq(1).ack(1).data(100).ts_echo(peer.ts_clock()));
  const uint32_t next = data.get_options().timestamps->value;
  EXPECT_EQ(next % 2, 0u);
  EXPECT_GT(next - first, 0u);
  EXPECT_LE(next - first, 128u + 1);
}

TEST(TcpSetupOffload, TheWindowOfTheSynAckHolds) {
  host::SocketOptions socket;
  socket.receive_buffer_min = 10'000;
  ScriptedPeer peer;
  peer.listen(offloaded(socket));
  EXPECT_EQ(handshake(peer).get_window(), 10'000);
  peer.deliver(seg().seq(1).ack(1));
  host::Connection* c = peer.accept();
  EXPECT_EQ(c->info().receive_window, 10'000u);
}

TEST(TcpSetupOffload, OffersWhatTheListenersSegmentsMayBe) {
  ScriptedPeer peer;
  host::Listener& listener = peer.listen(offloaded());
  peer.stack().set_mss_max(listener, 1300);
  peer.deliver(linux_syn(peer));
  peer.expect(seg().syn().ack(1).mss(1300));
  EXPECT_EQ(count(peer, FL_SETUP_ANSWERED), 1u);
}

TEST(TcpSetupOffload, EcnIsAgreedOn) {
  ScriptedPeer peer;
  peer.listen(offloaded());
  peer.deliver(linux_syn(peer).ece().cwr());
  peer.expect(seg().syn().ece().ack(1));
  peer.deliver(seg().seq(1).ack(1));
  EXPECT_TRUE(peer.accept()->info().ecn);
}

TEST(TcpSetupOffload, WithoutTimestampsTheHostDoesTheHandshake) {
  ScriptedPeer peer;
  host::Listener& listener = peer.listen(offloaded());
  peer.establish_passive({.timestamps = false});
  EXPECT_EQ(count(peer, FL_SETUP_UP_NO_TIMESTAMPS), 1u);
  EXPECT_EQ(count(peer, FL_SETUP_ANSWERED), 0u);
  EXPECT_EQ(listener.handshakes(), 0u);
}

TEST(TcpSetupOffload, IsForListenersThatAskForIt) {
  ScriptedPeer peer;
  host::Listener& listener = peer.listen();
  peer.deliver(linux_syn(peer));
  peer.expect(seg().syn().ack(1));
  EXPECT_EQ(listener.handshakes(), 1u);
  EXPECT_EQ(count(peer, FL_SETUP_ANSWERED), 0u);
}

TEST(TcpSetupOffload, CanBeTurnedOnAndOff) {
  ScriptedPeer peer;
  host::Listener& listener = peer.listen();
  peer.stack().set_options(listener, offloaded());
  handshake(peer);
  peer.stack().set_options(listener, {});
  peer.deliver(seg().seq(1).ack(1));
  peer.expect(seg().seq(1).rst());  // as of any listener to whom an ACK says nothing
  EXPECT_EQ(peer.stack().connection_count(), 0u);
}

TEST(TcpSetupOffload, AClosedListenerAnswersNothing) {
  ScriptedPeer peer;
  host::Listener& listener = peer.listen(offloaded());
  handshake(peer);
  peer.stack().close(&listener);
  peer.deliver(seg().seq(1).ack(1));
  peer.expect(seg().seq(1).rst());
  peer.deliver(linux_syn(peer));
  peer.expect(seg().rst().ack(1));
}

TEST(TcpSetupOffload, AForgedAckIsNobodys) {
  ScriptedPeer peer;
  peer.listen(offloaded());
  handshake(peer);
  for (uint32_t wrong : {33u, 257u, 0x10000001u}) peer.deliver(seg().seq(1).ack(wrong));
  peer.deliver(seg().seq(2).ack(1));
  peer.expect_nothing();
  EXPECT_EQ(peer.stack().connection_count(), 0u);
  EXPECT_EQ(count(peer, FL_SETUP_FORGED), 4u);
  EXPECT_EQ(peer.counters().drop_forged_handshake, 4u);
}

TEST(TcpSetupOffload, ASegmentThatOvertookTheFirstIsDroppedSilently) {
  ScriptedPeer peer;
  peer.listen(offloaded());
  handshake(peer);
  peer.deliver(seg().seq(1001).ack(1).data(1000));
  peer.expect_nothing();
  peer.deliver(seg().seq(1).ack(1).data(1000));
  peer.accept();
  peer.deliver(seg().seq(1001).ack(1).data(1000));
  EXPECT_EQ(peer.read(2000), 2000u);
}

TEST(TcpSetupOffload, AnAckTooLateIsReset) {
  ScriptedPeer peer;
  peer.listen(offloaded());
  handshake(peer);
  peer.tick(seconds(65));
  peer.deliver(seg().seq(1).ack(1));
  peer.expect(seg().seq(1).rst());
  EXPECT_EQ(count(peer, FL_SETUP_EXPIRED), 1u);
}

TEST(TcpSetupOffload, ACopyOfTheAckMakesNoOtherConnection) {
  ScriptedPeer peer;
  peer.listen(offloaded());
  handshake(peer);
  const Seg request = seg().seq(1).ack(1).data(100).ts(peer.ts_clock(), peer.last_ts_value());
  peer.deliver(request);
  peer.accept();
  peer.ignore_sent();
  peer.deliver(request);  // while it lives: as any segment received before
  peer.expect(seg().seq(1).ack(101));
  peer.abort();
  peer.release();
  peer.ignore_sent();
  peer.deliver(request);
  peer.expect(seg().seq(1).rst());
  EXPECT_EQ(peer.counters().connections_accepted, 1u);
  EXPECT_EQ(count(peer, FL_SETUP_REPLAYED), 1u);
}

TEST(TcpSetupOffload, WhileTheBacklogIsFullAcksAreAsIfLost) {
  ScriptedPeer peer;
  host::ListenOptions options = offloaded();
  options.backlog = 1;
  host::Listener& listener = peer.listen(options);
  handshake(peer, linux_syn(peer).from_port(6000));
  const Seg taken = seg().seq(1).ack(1).from_port(6000).ts(peer.ts_clock(), peer.last_ts_value());
  const uint32_t isn = peer.stack_isn();
  handshake(peer);
  const Seg refused = seg().seq(1).ack(1).data(100);
  peer.deliver(Seg(taken).ack(1 + isn - peer.stack_isn()));
  peer.deliver(refused);
  EXPECT_EQ(peer.stack().connection_count(), 1u);
  peer.deliver(linux_syn(peer).from_port(7000));
  peer.expect_nothing();
  EXPECT_EQ(peer.counters().drop_accept_queue_full, 2u);
  peer.accept();
  peer.deliver(refused);
  EXPECT_EQ(listener.pending(), 1u);
}

TEST(TcpSetupOffload, WithoutRoomForAConnectionSynsAreDropped) {
  ScriptedPeer::Options options;
  options.stack.max_connections = 1;
  ScriptedPeer peer(options);
  peer.listen(offloaded());
  peer.establish_passive();
  peer.deliver(linux_syn(peer).from_port(6000));
  peer.expect_nothing();
  EXPECT_EQ(peer.counters().drop_no_connection_slot, 1u);
}

TEST(TcpSetupOffload, AfterTimeWaitANewConnectionMayFollow) {  // RFC 6191
  ScriptedPeer peer;
  peer.listen(offloaded());
  handshake(peer);
  peer.deliver(seg().seq(1).ack(1));
  peer.accept();
  peer.release();
  peer.expect(seg().seq(1).ack(1).fin());
  peer.deliver(seg().seq(1).ack(2).fin());
  peer.expect(seg().seq(2).ack(2));
  EXPECT_EQ(peer.stack().time_wait_count(), 1u);
  peer.tick(seconds(5));  // the peer's ISN is the same again: it takes the cookie's time to differ
  handshake(peer);
  peer.deliver(seg().seq(1).ack(1));
  ASSERT_NE(peer.accept(), nullptr);
  EXPECT_EQ(peer.counters().time_wait_reused, 1u);
  EXPECT_EQ(count(peer, FL_SETUP_ANSWERED), 2u);
}

// ---- a seat that answers SYNs without asking the host's table ----

TEST(TcpSetupOffload, AProvenHandshakeTakesAnOldConnectionsPlace) {
  ScriptedPeer peer;
  peer.listen(offloaded());
  host::Connection* old = peer.establish_passive();
  const Seg syn_ack = answered_below(peer, 5'000'000);
  peer.deliver(acknowledgement(peer, 5'000'000, syn_ack));
  EXPECT_EQ(old->error(), Errc::kConnectionReset);
  EXPECT_EQ(peer.counters().connections_superseded, 1u);
  ASSERT_NE(peer.accept(), nullptr);
  peer.expect_state(State::kEstablished);
  EXPECT_EQ(peer.connection().peer_isn(), SeqNum(peer.peer_isn() + 5'000'000));
}

/// A segment of a long request proves a handshake by chance once in 2^24; here one is looked for. A
/// window that had been a gigabyte makes the range of what the connection takes worth searching.
TEST(TcpSetupOffload, WhatAcknowledgesAConnectionsDataIsItsOwn) {
  ScriptedPeer peer;
  peer.listen(offloaded());
  handshake(peer, linux_syn(peer).wscale(14));
  peer.deliver(seg().seq(1).ack(1).win(65535));
  host::Connection* connection = peer.accept();
  ASSERT_NE(connection, nullptr);
  peer.write(1);  // of a connection that has sent nothing one ACK only is acceptable
  for (uint32_t seq = 5'000'000;; ++seq) {
    ASSERT_LT(seq, 5'000'100u) << "a quarter of them should have done";
    const Seg chance = acknowledgement(peer, seq, answered_below(peer, seq));
    const uint32_t below = 1 - *chance.get_ack();
    if (below > 900'000'000) continue;
    peer.deliver(chance);
    break;
  }
  EXPECT_EQ(connection->error(), Errc::kOk);
  EXPECT_EQ(peer.counters().connections_superseded, 0u);
}

TEST(TcpSetupOffload, AnUnprovenOneDoesNot) {
  ScriptedPeer peer;
  peer.listen(offloaded());
  host::Connection* old = peer.establish_passive();
  const Seg syn_ack = answered_below(peer, 5'000'000);
  peer.deliver(acknowledgement(peer, 5'000'001, syn_ack));
  EXPECT_EQ(old->error(), Errc::kOk);
  EXPECT_EQ(peer.counters().connections_superseded, 0u);
}

TEST(TcpSetupOffload, TimeWaitGivesWayToAProvenHandshakeThatIsNewer) {
  ScriptedPeer peer;
  peer.listen(offloaded());
  peer.establish_passive();
  peer.release();
  peer.deliver(seg().seq(1).ack(2).fin());
  ASSERT_EQ(peer.stack().time_wait_count(), 1u);
  const Seg syn_ack = answered_below(peer, 5'000'000);
  Seg answer = acknowledgement(peer, 5'000'000, syn_ack);
  Seg stale = answer;
  stale.ts(peer.ts_clock(), syn_ack.get_options().timestamps->value);
  peer.deliver(stale);
  EXPECT_EQ(peer.stack().connection_count(), 0u) << "not newer than what TIME-WAIT has seen";
  peer.tick(milliseconds(10));
  answer.ts(peer.ts_clock(), syn_ack.get_options().timestamps->value);
  peer.deliver(answer);
  ASSERT_NE(peer.accept(), nullptr);
  EXPECT_EQ(peer.stack().time_wait_count(), 0u);
}

}  // namespace
}  // namespace fairlead::sim
