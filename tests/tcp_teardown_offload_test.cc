// Connections that the host hands over to the NIC stack when their application is done with them.
#include <gtest/gtest.h>

#include "sim/icmp_frame.h"
#include "sim/scripted_peer.h"

namespace fairlead::sim {
namespace {

using nic::TeardownState;

ScriptedPeer::Options offloaded() {
  ScriptedPeer::Options options;
  options.socket.teardown_offload = true;
  return options;
}

FourTuple tuple_of(const ScriptedPeer& peer) {
  const SegContext context = peer.to_stack();
  return {.local = context.destination, .remote = context.source};
}

std::optional<TeardownState> state(ScriptedPeer& peer) {
  return peer.stack().teardown().state(tuple_of(peer));
}

/// Said about what was sent from `seq` on.
void deliver_too_big(ScriptedPeer& peer, uint32_t seq, uint16_t mtu) {
  const std::vector<uint8_t> quote = quote_of(seg().seq(seq).ack(1), peer.to_stack());
  peer.deliver_frame(icmp_frame(too_big(false, mtu), peer.to_stack(), quote));
}

/// All that the host has is gone with the application.
void expect_handed_over(ScriptedPeer& peer) {
  EXPECT_EQ(peer.stack().connection_count(), 0u);
  EXPECT_EQ(peer.stack().teardown().active(), 1u);
}

TEST(TcpTeardownOffload, SendsWhatIsLeftWithTheFin) {
  for (bool ipv6 : {false, true}) {
    ScriptedPeer::Options options = offloaded();
    options.ipv6 = ipv6;
    ScriptedPeer peer(options);
    host::Listener& listener = peer.listen();
    peer.deliver(seg().syn().mss(1460));
    peer.expect(seg().syn().ack(1));
    peer.deliver(seg().seq(1).ack(1));
    host::Connection* c = listener.accept();
    ASSERT_NE(c, nullptr);
    peer.call("write and release", [&] {
      const std::string bytes = script_bytes(1, 500);
      c->write({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()});
      peer.stack().release(c);
    });
    expect_handed_over(peer);
    peer.expect(seg().seq(1).ack(1).data(500).fin());
    peer.deliver(seg().seq(1).ack(502));
    EXPECT_EQ(state(peer), TeardownState::kFinWait2);
    peer.deliver(seg().seq(1).ack(502).fin());
    peer.expect(seg().seq(502).ack(2));
    EXPECT_EQ(state(peer), TeardownState::kTimeWait);
    peer.tick(seconds(61));
    EXPECT_EQ(peer.stack().teardown().size(), 0u);
    EXPECT_EQ(peer.stack().teardown().counters().closed, 1u);
  }
}

TEST(TcpTeardownOffload, SendsAgainWhatWasSentAndIsNotAcknowledged) {
  ScriptedPeer peer(offloaded());
  peer.establish_passive();
  peer.write(3000);
  peer.expect(seg().seq(1).ack(1).data(1448));
  peer.expect(seg().seq(1449).ack(1).data(1448));
  peer.expect(seg().seq(2897).ack(1).data(104));
  peer.release();
  expect_handed_over(peer);
  peer.expect(seg().seq(3001).ack(1).fin());
  peer.expect_after(milliseconds(200), seg().seq(1).ack(1).data(1448));
  peer.deliver(seg().seq(1).ack(3002));
  EXPECT_EQ(state(peer), TeardownState::kFinWait2);
}

TEST(TcpTeardownOffload, AnswersAPeerThatHadClosedFirst) {
  ScriptedPeer peer(offloaded());
  peer.establish_passive();
  peer.deliver(seg().seq(1).ack(1).fin());
  peer.release();
  expect_handed_over(peer);
  EXPECT_EQ(state(peer), TeardownState::kLastAck);
  peer.ignore_sent();
  peer.deliver(seg().seq(2).ack(2));
  EXPECT_EQ(peer.stack().teardown().size(), 0u);
}

TEST(TcpTeardownOffload, TakesOverAFinThatWasSent) {
  for (bool peer_closed : {false, true}) {
    ScriptedPeer peer(offloaded());
    peer.establish_passive();
    if (peer_closed) peer.deliver(seg().seq(1).ack(1).fin());
    peer.shutdown();
    const uint32_t ack = peer_closed ? 2 : 1;
    peer.ignore_sent();
    peer.release();
    expect_handed_over(peer);
    EXPECT_EQ(state(peer), peer_closed ? TeardownState::kLastAck : TeardownState::kFinWait1);
    peer.expect_nothing();
    peer.expect_after(milliseconds(200), seg().seq(1).ack(ack).fin());
    peer.deliver(seg().seq(ack).ack(2));
    EXPECT_EQ(state(peer), peer_closed ? std::nullopt : std::optional(TeardownState::kFinWait2));
  }
}

TEST(TcpTeardownOffload, TimestampsDoNotGoBackAndStayEven) {
  ScriptedPeer::Options options = offloaded();
  options.socket.nodelay = true;
  ScriptedPeer peer(options);
  peer.establish_passive();
  uint32_t last = 0;
  for (int i = 0; i < 5; ++i) {
    peer.tick(milliseconds(1));
    peer.write(10);
    const uint32_t value = peer.expect(seg().ack(1).data(10)).get_options().timestamps->value;
    EXPECT_EQ(value % 2, 0u);
    last = value;
  }
  peer.tick(milliseconds(1));
  peer.release();
  const uint32_t value = peer.expect(seg().ack(1).fin()).get_options().timestamps->value;
  EXPECT_EQ(value % 2, 0u);
  EXPECT_GE(value - last, 0u);
  EXPECT_LE(value - last, 4u);
}

// ---- what the host closes itself ----

void expect_kept(ScriptedPeer& peer) {
  EXPECT_EQ(peer.stack().connection_count(), 1u);
  EXPECT_EQ(peer.stack().teardown().size(), 0u);
}

TEST(TcpTeardownOffload, IsForThoseWhoAskForIt) {
  ScriptedPeer peer;
  peer.establish_passive();
  peer.release();
  expect_kept(peer);
}

TEST(TcpTeardownOffload, IsAConnectionsOwnChoiceUntilItIsReleased) {
  enum class When { kBeforeAnything, kAfterData, kAfterItsFin };
  for (const bool listener : {false, true}) {
    for (const When when : {When::kBeforeAnything, When::kAfterData, When::kAfterItsFin}) {
      for (const bool wanted : {false, true}) {
        ScriptedPeer::Options options;
        options.socket.teardown_offload = listener;
        ScriptedPeer peer(options);
        peer.establish_passive();
        const auto choose = [&](When now) {
          if (now == when) peer.connection().set_teardown_offload(wanted);
        };
        choose(When::kBeforeAnything);
        peer.write(100);
        peer.ignore_sent();
        choose(When::kAfterData);
        peer.shutdown();
        peer.ignore_sent();
        choose(When::kAfterItsFin);
        peer.release();
        wanted ? expect_handed_over(peer) : expect_kept(peer);
      }
    }
  }
}

TEST(TcpTeardownOffload, NotForMoreThanTheSendWindow) {
  ScriptedPeer peer(offloaded());
  peer.establish_passive({.wscale = {}, .win = 1000});
  peer.write(2000);
  peer.release();
  expect_kept(peer);
  EXPECT_EQ(peer.stack().teardown().counters().refused_window, 1u);
}

TEST(TcpTeardownOffload, NotWhileSomethingIsLost) {
  ScriptedPeer peer(offloaded());
  peer.establish_passive();
  peer.write(5 * 1448);
  peer.ignore_sent();
  for (uint32_t end : {2897u, 4345u, 5793u}) {
    peer.deliver(seg().seq(1).ack(1).sack({{1449, end}}));
  }
  peer.release();
  expect_kept(peer);
}

TEST(TcpTeardownOffload, NotWithUnreadData) {
  ScriptedPeer peer(offloaded());
  peer.establish_passive();
  peer.deliver(seg().seq(1).ack(1).data(100));
  peer.ignore_sent();
  peer.release();
  peer.expect(seg().seq(1).rst().ack(101));
  EXPECT_EQ(peer.stack().teardown().size(), 0u);
}

TEST(TcpTeardownOffload, NotWithATimeWaitOfItsOwn) {
  ScriptedPeer::Options options = offloaded();
  options.socket.time_wait = seconds(1);
  ScriptedPeer peer(options);
  peer.establish_passive();
  peer.release();
  expect_kept(peer);
}

TEST(TcpTeardownOffload, OfManyFewerAndFewerAreHandedOver) {
  ScriptedPeer::Options options = offloaded();
  options.stack.max_teardowns = 64;
  ScriptedPeer peer(options);
  host::Listener& listener = peer.listen();
  std::vector<size_t> kept;
  for (uint16_t port = 10'000; port < 10'400; ++port) {
    peer.deliver(seg().syn().mss(1460).from_port(port));
    const Seg answer = peer.expect(seg().syn().ack(1));
    peer.deliver(seg().seq(1).ack(1).from_port(port));
    host::Connection* c = listener.accept();
    ASSERT_NE(c, nullptr);
    peer.call("release()", [&] { peer.stack().release(c); });
    peer.ignore_sent();
    kept.push_back(peer.stack().connection_count());
  }
  EXPECT_EQ(kept[31], 0u) << "half full: all";
  EXPECT_LE(peer.stack().teardown().active(), 64u);
  EXPECT_GT(peer.stack().teardown().active(), 48u);
  EXPECT_EQ(peer.counters().teardowns_kept, kept.back());
  EXPECT_EQ(kept.back() + peer.stack().teardown().active(), kept.size());
}

// ---- what follows ----

TEST(TcpTeardownOffload, DataThatComesLaterIsReset) {  // RFC 1122 §4.2.2.13
  ScriptedPeer peer(offloaded());
  peer.establish_passive();
  peer.release();
  peer.ignore_sent();
  peer.deliver(seg().seq(1).ack(2).data(10));
  peer.expect(seg().seq(2).rst().ack(1));
  EXPECT_EQ(peer.stack().teardown().size(), 0u);
}

TEST(TcpTeardownOffload, AnotherConnectionMayFollowTimeWait) {  // RFC 6191
  for (bool setup : {false, true}) {
    ScriptedPeer::Options options = offloaded();
    ScriptedPeer peer(options);
    host::ListenOptions listen;
    listen.socket = options.socket;
    listen.setup_offload = setup;
    peer.listen(listen);
    for (int i = 0; i < 3; ++i) {
      peer.establish_passive();
      peer.release();
      peer.expect(seg().seq(1).ack(1).fin());
      peer.deliver(seg().seq(1).ack(2).fin());
      peer.expect(seg().seq(2).ack(2));
      ASSERT_EQ(state(peer), TeardownState::kTimeWait);
      peer.tick(seconds(5));  // the peer's ISN is always the same
    }
    EXPECT_EQ(peer.stack().teardown().counters().time_wait_reused, 2u);
    EXPECT_EQ(peer.stack().setup().count(FL_SETUP_ANSWERED), setup ? 3u : 0u);
  }
}

TEST(TcpTeardownOffload, ASegmentTooBigForThePathIsCut) {  // RFC 1191
  ScriptedPeer peer(offloaded());
  peer.establish_passive();
  peer.write(1448);
  peer.release();
  expect_handed_over(peer);
  peer.ignore_sent();
  deliver_too_big(peer, 1, 1000);
  const uint16_t size = 1000 - 52;
  peer.expect(seg().seq(1).ack(1).data(size));
  peer.expect(seg().seq(1 + size).ack(1).data(1448 - size).fin());
  deliver_too_big(peer, 5000, 800);  // of nothing in flight
  peer.expect_nothing();
}

}  // namespace
}  // namespace fairlead::sim
