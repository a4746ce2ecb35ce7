// A host whose NIC stack is another program, behind a link: the messages between the two.
#include <gtest/gtest.h>

#include "nic/channel/load_report.h"
#include "nic/setup/setup.h"
#include "sim/scripted_peer.h"
#include "tests/setup_handshakes.h"

namespace fairlead::sim {
namespace {

/// Does handshakes with the stack's secrets, behind a link.
class NicElsewhere final : public nic::NicLink {
 public:
  explicit NicElsewhere(ScriptedPeer& peer) : peer_(peer) { peer.stack().use_nic(*this); }

  void listen(const nic::ListenMessage& message) override { listens_ = message; }
  bool take(const nic::Handover& handover) override {
    taken_ = handover.tuple;
    return takes_;
  }
  double fill() const override { return fill_; }
  /// What it sends up when the peer has completed a handshake with it.
  std::vector<uint8_t> new_connection() {
    const Seg syn_ack = answered_below(peer_, 5'000'000);
    const std::vector<uint8_t> frame =
        acknowledgement(peer_, 5'000'000, syn_ack).data(100).encode(peer_.to_stack());
    port::TxPacket none;
    const nic::SetupOutcome outcome =
        peer_.stack().setup().on_packet({.frame = frame}, peer_.now(), none);
    EXPECT_EQ(outcome.verdict, FL_SETUP_NEW_CONNECTION);
    std::vector<uint8_t> message(frame.size() + nic::kMaxChannelOverhead);
    message.resize(nic::encode(outcome.connection, {.frame = frame}, message).value());
    return message;
  }

  std::optional<nic::ListenMessage> listens_;
  std::optional<FourTuple> taken_;
  bool takes_ = true;
  double fill_ = 0;

 private:
  ScriptedPeer& peer_;
};

template <typename Message>
void deliver_message(ScriptedPeer& peer, const Message& message) {
  std::vector<uint8_t> frame(nic::kMaxChannelMessage);
  frame.resize(nic::encode(message, {}, frame).value());
  peer.deliver_frame(frame);
}

TEST(TcpNicElsewhere, IsToldWhoListens) {
  ScriptedPeer peer;
  NicElsewhere nic(peer);
  host::Listener& listener = peer.listen(offloaded());
  ASSERT_TRUE(nic.listens_ && nic.listens_->listener);
  EXPECT_EQ(nic.listens_->endpoint, peer.to_stack().destination);
  EXPECT_EQ(nic.listens_->listener->mss, 1460);
  peer.stack().close(&listener);
  EXPECT_FALSE(nic.listens_->listener);
}

TEST(TcpNicElsewhere, IsToldAgainWhoListensInCaseItHasNotHeard) {
  ScriptedPeer peer;
  NicElsewhere nic(peer);
  host::Listener& listener = peer.listen(offloaded());
  nic.listens_.reset();
  peer.tick(host::Stack::kListenInterval);
  ASSERT_TRUE(nic.listens_ && nic.listens_->listener);
  EXPECT_EQ(nic.listens_->endpoint, peer.to_stack().destination);
  peer.stack().set_options(listener, {});
  nic.listens_.reset();
  peer.tick(host::Stack::kListenInterval);
  ASSERT_TRUE(nic.listens_);
  EXPECT_FALSE(nic.listens_->listener);
}

TEST(TcpNicElsewhere, IsLeftNoSynsWhileAListenerIsFull) {
  ScriptedPeer peer;
  NicElsewhere nic(peer);
  host::ListenOptions options = offloaded();
  options.backlog = 1;
  host::Listener& listener = peer.listen(options);
  peer.deliver_frame(nic.new_connection());
  peer.expect(seg().ack(5'000'101));
  ASSERT_TRUE(listener.full());
  EXPECT_FALSE(nic.listens_->listener);
  EXPECT_EQ(nic.listens_->endpoint, peer.to_stack().destination);
  peer.deliver(linux_syn(peer).from_port(7000));
  peer.expect_nothing();
  EXPECT_EQ(peer.counters().drop_accept_queue_full, 1u);
  peer.tick(seconds(2));
  EXPECT_FALSE(nic.listens_->listener) << "it is still full";
  peer.accept();
  EXPECT_FALSE(nic.listens_->listener) << "not with every connection";
  peer.stack().set_mss_max(listener, 1300);
  EXPECT_FALSE(nic.listens_->listener);
  peer.tick(host::Stack::kSetupPause);
  ASSERT_TRUE(nic.listens_->listener);
  EXPECT_EQ(nic.listens_->listener->mss, 1300);
  EXPECT_EQ(peer.counters().setup_pauses, 1u);
}

TEST(TcpNicElsewhere, IsLeftNoSynsWhileThereIsNoRoomForAConnection) {
  ScriptedPeer::Options options;
  options.stack.max_connections = 1;
  ScriptedPeer peer(options);
  NicElsewhere nic(peer);
  peer.listen(offloaded());
  peer.deliver_frame(nic.new_connection());
  ASSERT_NE(peer.accept(), nullptr);
  EXPECT_FALSE(nic.listens_->listener);
  peer.tick(seconds(3));
  EXPECT_FALSE(nic.listens_->listener);
  peer.abort();
  peer.release();
  peer.tick(host::Stack::kSetupPause);
  EXPECT_TRUE(nic.listens_->listener);
  EXPECT_EQ(peer.counters().setup_pauses, 1u);
}

TEST(TcpNicElsewhere, ItsMessageMakesOneConnection) {
  ScriptedPeer peer;
  NicElsewhere nic(peer);
  host::Listener& listener = peer.listen(offloaded());
  const std::vector<uint8_t> message = nic.new_connection();
  peer.deliver_frame(message);
  peer.deliver_frame(message);
  EXPECT_EQ(listener.pending(), 1u);
  ASSERT_NE(peer.accept(), nullptr);
  EXPECT_EQ(peer.connection().readable(), 100u);
  peer.abort();
  peer.release();
  peer.deliver_frame(message);
  EXPECT_EQ(peer.stack().connection_count(), 0u);
  EXPECT_EQ(peer.counters().connections_accepted, 1u);
}

TEST(TcpNicElsewhere, OtherMessagesAreCountedAndDropped) {
  ScriptedPeer peer;
  NicElsewhere nic(peer);
  peer.listen(offloaded());
  std::vector<uint8_t> message = nic.new_connection();
  message.pop_back();
  peer.deliver_frame(message);
  deliver_message(peer, *nic.listens_);
  peer.expect_nothing();
  EXPECT_EQ(peer.counters().drop_bad_message, 2u);
  EXPECT_EQ(peer.stack().connection_count(), 0u);
}

TEST(TcpNicElsewhere, MessagesFromTheNetworkAreNone) {
  ScriptedPeer peer;
  peer.listen(offloaded());
  std::vector<uint8_t> message;
  {
    ScriptedPeer other;
    NicElsewhere nic(other);
    other.listen(offloaded());
    message = nic.new_connection();
  }
  peer.deliver_frame(message);
  EXPECT_EQ(peer.stack().connection_count(), 0u);
  EXPECT_EQ(peer.counters().drop_bad_message, 0u);
}

/// Of `connections` that are established and released one after the other, those it was given.
size_t handed_over(ScriptedPeer& peer, NicElsewhere& nic, host::Listener& listener,
                   uint16_t connections) {
  size_t taken = 0;
  static uint16_t port = 10'000;
  for (const uint16_t end = port + connections; port < end; ++port) {
    peer.deliver(seg().syn().mss(1460).from_port(port));
    peer.ignore_sent();
    peer.deliver(seg().seq(1).ack(1).from_port(port));
    host::Connection* c = listener.accept();
    nic.taken_.reset();
    peer.call("release()", [&] { peer.stack().release(c); });
    peer.ignore_sent();
    taken += nic.taken_ ? 1 : 0;
  }
  return taken;
}

TEST(TcpNicElsewhere, GetsFewerAndFewerTheFullerItOrTheWayThereIs) {
  for (const bool way : {false, true}) {
    ScriptedPeer::Options options;
    options.socket.teardown_offload = true;
    ScriptedPeer peer(options);
    NicElsewhere nic(peer);
    host::Listener& listener = peer.listen();
    const auto fill = [&](uint32_t percent) {
      nic.fill_ = way ? percent / 100.0 : 0.1;
      if (!way) deliver_message(peer, nic::LoadMessage{.closing = percent * 7, .most = 700});
    };
    EXPECT_EQ(handed_over(peer, nic, listener, 50), 50u) << "before it has told anything";
    for (const uint32_t percent : {0u, 50u}) {
      fill(percent);
      EXPECT_EQ(peer.stack().teardown_share(), 1);
      EXPECT_EQ(handed_over(peer, nic, listener, 100), 100u);
    }
    EXPECT_EQ(peer.counters().teardowns_kept, 0u);
    size_t before = 300;
    for (const uint32_t percent : {60u, 75u, 90u}) {
      fill(percent);
      const double share = 2 * (1 - percent / 100.0);
      EXPECT_NEAR(peer.stack().teardown_share(), share, 0.001);
      const size_t taken = handed_over(peer, nic, listener, 300);
      EXPECT_NEAR(static_cast<double>(taken), 300 * share, 40);
      EXPECT_LT(taken, before);
      before = taken;
    }
    fill(100);
    EXPECT_EQ(peer.stack().teardown_share(), 0);
    EXPECT_EQ(handed_over(peer, nic, listener, 100), 0u);
    EXPECT_GT(peer.counters().teardowns_kept, 300u);
    nic.fill_ = 0;
    peer.tick(nic::LoadReport::kHolds);
    EXPECT_EQ(handed_over(peer, nic, listener, 100), 100u) << "it has said nothing since";
  }
}

TEST(TcpNicElsewhere, TellsHowConnectionsEnded) {
  ScriptedPeer peer;
  NicElsewhere nic(peer);
  deliver_message(peer, nic::TeardownReport{.tuple = {}, .end = nic::TeardownEnd::kClosed});
  EXPECT_EQ(peer.counters().teardowns_reported, 1u);
  EXPECT_EQ(peer.counters().drop_bad_message, 0u);
}

TEST(TcpNicElsewhere, WhatWasUnderWayWhenItGotTheConnectionIsNotReset) {
  ScriptedPeer::Options options;
  options.socket.teardown_offload = true;
  ScriptedPeer peer(options);
  NicElsewhere nic(peer);
  peer.establish_passive();
  peer.write(500);
  peer.ignore_sent();
  peer.release();
  ASSERT_TRUE(nic.taken_);
  peer.deliver(seg().seq(1).ack(501));
  peer.deliver(seg().seq(1).ack(501).data(10));
  peer.deliver(seg().seq(1).ack(501).fin());
  peer.expect_nothing();
  EXPECT_EQ(peer.counters().drop_handed_over, 3u);
  peer.tick(host::RecentHandovers::kRecent);
  peer.deliver(seg().seq(1).ack(501));
  peer.expect(seg().seq(501).rst());
}

TEST(TcpNicElsewhere, LeavesSynsThatMayFollowToTheHost) {
  ScriptedPeer::Options options;
  options.socket.teardown_offload = true;
  ScriptedPeer peer(options);
  NicElsewhere nic(peer);
  peer.establish_passive();
  peer.release();
  ASSERT_TRUE(nic.taken_);
  peer.deliver(seg().syn().seq(1'000'000).mss(1460));
  EXPECT_EQ(peer.stack().connection_count(), 1u);
}

TEST(TcpNicElsewhere, ClosesWhatItHasRoomFor) {
  for (bool takes : {true, false}) {
    ScriptedPeer::Options options;
    options.socket.teardown_offload = true;
    ScriptedPeer peer(options);
    NicElsewhere nic(peer);
    nic.takes_ = takes;
    peer.establish_passive();
    const FourTuple tuple = peer.connection().tuple();
    peer.release();
    EXPECT_EQ(nic.taken_, tuple);
    EXPECT_EQ(peer.stack().connection_count(), takes ? 0u : 1u);
    EXPECT_EQ(peer.sent(), takes ? 0u : 1u) << "the FIN";
  }
}

}  // namespace
}  // namespace fairlead::sim
