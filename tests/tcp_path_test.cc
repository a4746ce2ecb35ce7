// The path: its MTU (RFC 1191, 8201, 4821), ICMP errors (RFC 5927), and TIME-WAIT, listeners and
// the bounds on what strangers can make a stack keep.
#include <gtest/gtest.h>

#include "sim/icmp_frame.h"
#include "sim/scripted_peer.h"
#include "wire/icmp.h"

namespace fairlead::sim {
namespace {

using host::State;

constexpr ScriptedPeer::Handshake kPlain{.wscale = {}, .sack = false, .timestamps = false};
constexpr uint8_t kUnreachable = wire::IcmpHeader::kUnreachable;

/// An ICMP error about the segment of the stack that began at `seq`.
void deliver_icmp(ScriptedPeer& peer, const IcmpError& error, uint32_t seq) {
  std::vector<uint8_t> quote = quote_of(seg().seq(seq).ack(1).data(8), peer.to_stack());
  peer.deliver_frame(icmp_frame(error, peer.to_stack(), quote));
}

// ---- path MTU ----

TEST(TcpPathMtu, SegmentsShrinkAndWhatWasLostIsSentAgain) {  // RFC 1191 §6.4, RFC 8201 §5.4
  for (bool ipv6 : {false, true}) {
    ScriptedPeer peer({.ipv6 = ipv6});
    peer.establish_passive({.mss = 1440, .wscale = {}, .sack = false, .timestamps = false});
    peer.write(2880);
    peer.expect(seg().seq(1).ack(1).data(1440));
    peer.expect(seg().seq(1441).ack(1).data(1440));
    uint32_t cwnd = peer.connection().info().cwnd;
    deliver_icmp(peer, too_big(ipv6, 1300), 1);
    uint32_t mss = ipv6 ? 1240 : 1260;
    peer.expect(seg().seq(1).ack(1).data(mss));
    peer.deliver(seg().seq(1).ack(1 + mss));
    peer.expect(seg().seq(1 + mss).ack(1).data(mss));
    EXPECT_EQ(peer.connection().info().mss, mss);
    EXPECT_GE(peer.connection().info().cwnd, cwnd);  // congestion was not the cause
  }
}

TEST(TcpPathMtu, AnErrorAboutSomethingNotInFlightIsALie) {  // RFC 5927 §4.1
  ScriptedPeer peer;
  peer.establish_passive(kPlain);
  deliver_icmp(peer, too_big(false, 600), 1);  // nothing was sent yet
  peer.write(1460);
  peer.ignore_sent();
  for (uint32_t seq : {0u, 1461u, 0x8000'0000u}) deliver_icmp(peer, too_big(false, 600), seq);
  peer.expect_nothing();
  EXPECT_EQ(peer.counters().drop_bad_icmp, 4u);
  EXPECT_EQ(peer.counters().path_mtu_reductions, 0u);
}

TEST(TcpPathMtu, ALaterFragmentHasNoPortsToQuote) {  // RFC 791 §3.1
  for (bool ipv6 : {false, true}) {
    ScriptedPeer peer({.ipv6 = ipv6});
    peer.establish_passive(kPlain);
    peer.write(1460);
    peer.ignore_sent();
    std::vector<uint8_t> quote = quote_of(seg().seq(1).ack(1).data(8), peer.to_stack());
    if (ipv6) {
      quote[6] = 44;  // a fragment header before what looks like TCP
      quote.insert(quote.begin() + 40, {6, 0, 0, 0x40, 0, 0, 0, 1});
    } else {
      quote[6] = 0, quote[7] = 8;  // 64 octets into its packet
    }
    peer.deliver_frame(icmp_frame(too_big(ipv6, 1290), peer.to_stack(), quote));
    EXPECT_EQ(peer.counters().path_mtu_reductions, 0u);
    EXPECT_EQ(peer.counters().drop_bad_icmp, 1u);
  }
}

TEST(TcpPathMtu, AQuoteTooShortOrOfAnotherIsDropped) {
  ScriptedPeer peer;
  peer.establish_passive(kPlain);
  peer.write(1460);
  peer.ignore_sent();
  std::vector<uint8_t> quote = quote_of(seg().seq(1).ack(1).data(8), peer.to_stack());
  for (size_t size = 0; size < 28; ++size) {
    peer.deliver_frame(
        icmp_frame(too_big(false, 600), peer.to_stack(), ByteSpan(quote).first(size)));
  }
  std::vector<uint8_t> other = quote;
  other[15] ^= 1;  // not sent by us
  peer.deliver_frame(icmp_frame(too_big(false, 600), peer.to_stack(), other));
  other = quote;
  other[9] = 17;  // UDP
  peer.deliver_frame(icmp_frame(too_big(false, 600), peer.to_stack(), other));
  EXPECT_EQ(peer.counters().path_mtu_reductions, 0u);
  EXPECT_EQ(peer.counters().drop_bad_icmp, 30u);
}

TEST(TcpPathMtu, NeverFallsBelowTheFloor) {  // RFC 8201 §4: less than 1280 is discarded
  ScriptedPeer v4;
  v4.establish_passive(kPlain);
  v4.write(1460);
  deliver_icmp(v4, too_big(false, 68), 1);
  EXPECT_EQ(v4.connection().info().mss, 552u - 40);

  ScriptedPeer v6({.ipv6 = true});
  v6.establish_passive(kPlain);
  v6.write(1440);
  deliver_icmp(v6, too_big(true, 1279), 1);
  EXPECT_EQ(v6.connection().info().mss, 1440u);
  EXPECT_EQ(v6.counters().drop_bad_icmp, 1u);
}

TEST(TcpPathMtu, IsForgottenAfterTenMinutesAndTriedAgain) {  // RFC 1191 §6.3
  ScriptedPeer peer;
  peer.establish_passive(kPlain);
  peer.write(1460);
  deliver_icmp(peer, too_big(false, 1000), 1);
  peer.ignore_sent();
  peer.deliver(seg().seq(1).ack(1461));
  peer.tick(minutes(11));
  peer.write(1460);
  peer.expect(seg().seq(1461).ack(1).data(1460));
}

TEST(TcpPathMtu, IsWhatThePathsMssAndThePeersOfferGoBy) {  // RFC 6691 §2
  for (bool ipv6 : {false, true}) {
    ScriptedPeer peer({.ipv6 = ipv6});
    const IpAddress remote = peer.to_stack().source.address;
    const uint16_t headers = ipv6 ? 60 : 40;
    EXPECT_EQ(peer.stack().path_mss(remote), 1500 - headers);
    peer.establish_passive({.mss = 1440, .wscale = {}, .sack = false, .timestamps = false});
    EXPECT_EQ(peer.connection().peer_offer().mss_max, 1440);
    peer.write(1440);
    deliver_icmp(peer, too_big(ipv6, 1300), 1);
    EXPECT_EQ(peer.stack().path_mss(remote), 1300 - headers);
    EXPECT_EQ(peer.connection().peer_offer().mss_max, 1300 - headers);
    peer.deliver(seg().seq(1).ack(1441));
    peer.tick(minutes(11));
    peer.call("a turn", [] {});
    EXPECT_EQ(peer.stack().path_mss(remote), 1500 - headers);
  }
}

TEST(TcpPathMtu, ABlackHoleIsFoundByTimeouts) {  // RFC 4821 §7.7
  ScriptedPeer peer;
  peer.establish_passive(kPlain);
  peer.write(1460);
  peer.expect(seg().seq(1).ack(1).data(1460));
  peer.expect_after(milliseconds(200), seg().seq(1).ack(1).data(1460));
  peer.expect_after(milliseconds(400), seg().seq(1).ack(1).data(984));
  EXPECT_EQ(peer.counters().black_holes_detected, 1u);
  peer.deliver(seg().seq(1).ack(985));
  peer.expect(seg().seq(985).ack(1).data(476));
}

TEST(TcpPathMtu, AWindowOfOneSmallSegmentIsOneOfLargeOnesLater) {
  ScriptedPeer peer;
  peer.establish_passive(kPlain);
  peer.write(1460);
  peer.tick(milliseconds(700));  // two timeouts: cwnd is one segment, and those are small
  peer.ignore_sent();
  EXPECT_EQ(peer.counters().black_holes_detected, 1u);
  peer.tick(seconds(1));
  peer.ignore_sent();
  peer.deliver(seg().seq(1).ack(1461));
  peer.write(10);
  peer.tick(seconds(1));  // and once more, where no ACK makes it grow by much
  peer.ignore_sent();
  peer.deliver(seg().seq(1).ack(1471));
  peer.tick(minutes(11));
  peer.write(5000);
  peer.expect(seg().seq(1471).ack(1).data(1460));
  peer.ignore_sent();
}

TEST(TcpIcmp, UnreachableEndsAHandshakeAndNothingElse) {  // RFC 5927 §6
  ScriptedPeer peer;
  peer.connect();
  peer.ignore_sent();
  peer.deliver_frame(icmp_frame({.type = kUnreachable, .code = 3, .rest = 0}, peer.to_stack(),
                                quote_of(seg().syn().seq(0), peer.to_stack())));
  peer.expect_state(State::kClosed);
  EXPECT_EQ(peer.connection().error(), Errc::kConnectionRefused);

  ScriptedPeer established;
  established.establish_passive(kPlain);
  established.write(10);
  deliver_icmp(established, {.type = kUnreachable, .code = 3, .rest = 0}, 1);
  established.expect_state(State::kEstablished);
}

// ---- TIME-WAIT ----

void close_into_time_wait(ScriptedPeer& peer, const ScriptedPeer::Handshake& handshake) {
  peer.establish_passive(handshake);
  peer.shutdown();
  peer.deliver(seg().fin().seq(1).ack(2));
  peer.expect_state(State::kTimeWait);
  peer.release();
  peer.ignore_sent();
}

TEST(TcpTimeWait, AcknowledgesARepeatedFinAndStartsAnew) {  // RFC 9293 §3.10.7.4, eighth
  ScriptedPeer peer;
  close_into_time_wait(peer, kPlain);
  peer.tick(seconds(40));
  peer.deliver(seg().fin().seq(1).ack(2));
  peer.expect(seg().seq(2).ack(2));
  peer.tick(seconds(40));
  EXPECT_EQ(peer.stack().time_wait_count(), 1u);
  peer.tick(seconds(21));
  EXPECT_EQ(peer.stack().time_wait_count(), 0u);
}

TEST(TcpTimeWait, ANewSynAboveTheOldStreamBeginsANewConnection) {  // RFC 9293 §3.6.1, 6191 §2
  ScriptedPeer peer;
  close_into_time_wait(peer, kPlain);
  uint32_t old_isn = peer.stack_isn();
  peer.deliver(seg().syn().seq(1000).mss(1460));
  peer.expect(seg().syn().ack(1001));
  EXPECT_GT(static_cast<int32_t>(peer.stack_isn() - old_isn), 2);  // above all that was sent
  EXPECT_EQ(peer.counters().time_wait_reused, 1u);
  EXPECT_EQ(peer.stack().time_wait_count(), 0u);
}

TEST(TcpTimeWait, ASynWithANewerTimestampBeginsANewConnectionWhateverItsNumber) {  // RFC 6191 §2
  ScriptedPeer peer;
  close_into_time_wait(peer, ScriptedPeer::Handshake{});
  uint32_t clock = peer.ts_clock();
  peer.deliver(seg().syn().seq(0xf000'0000).mss(1460).ts(clock, 0));  // not newer
  peer.expect(seg().seq(2).ack(2));
  peer.deliver(seg().syn().seq(0xf000'0000).mss(1460).ts(clock + 1, 0));
  peer.expect(seg().syn().ack(0xf000'0001));
}

TEST(TcpTimeWait, AnOldSynIsAnsweredWithAnAck) {  // RFC 9293 §3.10.7.4, fourth
  ScriptedPeer peer;
  close_into_time_wait(peer, kPlain);
  peer.deliver(seg().syn().seq(0xf000'0000).mss(1460));
  peer.expect(seg().seq(2).ack(2));
  EXPECT_EQ(peer.stack().time_wait_count(), 1u);
}

TEST(TcpTimeWait, OfOurOwnPortIsInUse) {
  ScriptedPeer peer;
  peer.establish_active(kPlain);
  peer.shutdown();
  peer.deliver(seg().fin().seq(1).ack(2));
  peer.expect_state(State::kTimeWait);
  SegContext c = peer.to_stack();
  auto again = peer.stack().connect({.remote = c.source,
                                     .source = c.destination.address,
                                     .local_port = c.destination.port,
                                     .socket = {}},
                                    peer.now());
  ASSERT_FALSE(again.has_value());
  EXPECT_EQ(again.error().code, Errc::kAddressInUse);
}

TEST(TcpTimeWait, LastsAsLongAsTheOptionsOfItsConnectionSay) {
  ScriptedPeer::Options options;
  options.socket.time_wait = seconds(5);
  ScriptedPeer passive(options);
  close_into_time_wait(passive, kPlain);
  passive.tick(milliseconds(4990));
  EXPECT_EQ(passive.stack().time_wait_count(), 1u);
  passive.tick(milliseconds(20));
  EXPECT_EQ(passive.stack().time_wait_count(), 0u);

  options.socket.time_wait = minutes(5);
  ScriptedPeer active(options);
  active.establish_active(kPlain);
  active.shutdown();
  active.deliver(seg().fin().seq(1).ack(2));
  active.release();
  active.tick(seconds(299));
  EXPECT_EQ(active.stack().time_wait_count(), 1u);
  active.tick(seconds(2));
  EXPECT_EQ(active.stack().time_wait_count(), 0u);
}

TEST(TcpTimeWait, APortOfOursServesAgainOnlyASynThatCannotBeTakenForTheOldOnes) {  // RFC 6191 §2
  ScriptedPeer::Options options;
  options.stack.local_port_first = options.stack.local_port_last = options.stack_port;
  ScriptedPeer peer(options);
  peer.establish_active();
  peer.shutdown();
  peer.deliver(seg().fin().seq(1).ack(2));
  peer.release();
  peer.tick(seconds(2));
  const SegContext c = peer.to_stack();
  auto connect = [&](const host::Offer& offer) {
    return peer.stack().connect({.remote = c.source,
                                 .source = c.destination.address,
                                 .local_port = {},
                                 .socket = {},
                                 .offer = offer},
                                peer.now());
  };
  const SeqNum snd_nxt(peer.stack_isn() + 2);
  for (const host::Offer& offer :
       {host::Offer{.timestamps = false}, host::Offer{.isn = snd_nxt + 65536}}) {
    const auto refused = connect(offer);
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().code, Errc::kAddressNotAvailable);
  }
  const auto taken = connect({.isn = snd_nxt + 65537});
  ASSERT_TRUE(taken.has_value());
  peer.stack().release(*taken);
}

TEST(TcpTimeWait, AtItsBoundTheOldestGoes) {
  ScriptedPeer::Options options;
  options.stack.max_time_wait = 1;
  ScriptedPeer peer(options);
  close_into_time_wait(peer, kPlain);
  peer.deliver(seg().syn().seq(0).mss(1460).from_port(5001));
  peer.ignore_sent();
  peer.deliver(seg().seq(1).ack(1).from_port(5001));
  ASSERT_NE(peer.accept(), nullptr);
  peer.shutdown();
  peer.deliver(seg().fin().seq(1).ack(2).from_port(5001));
  EXPECT_EQ(peer.stack().time_wait_count(), 1u);
  EXPECT_EQ(peer.counters().time_wait_recycled, 1u);
}

// ---- listeners ----

TEST(TcpListener, SynsAboveTheSynQueueAreDropped) {
  ScriptedPeer peer;
  host::ListenOptions options;
  options.syn_queue = 3;
  host::Listener& listener = peer.listen(options);
  for (uint16_t i = 0; i < 10; ++i) {
    peer.deliver(seg().syn().seq(0).mss(1460).from_port(static_cast<uint16_t>(6000 + i)));
  }
  EXPECT_EQ(peer.sent(), 3u);
  EXPECT_EQ(listener.handshakes(), 3u);
  EXPECT_EQ(peer.stack().connection_count(), 3u);
  EXPECT_EQ(peer.counters().drop_syn_queue_full, 7u);
  peer.ignore_sent();
  peer.tick(minutes(2));  // nobody answers, and the queue is free again
  EXPECT_EQ(listener.handshakes(), 0u);
  EXPECT_EQ(peer.stack().connection_count(), 0u);
}

TEST(TcpListener, NewOptionsHoldForBoundsAtOnceAndForConnectionsToCome) {
  ScriptedPeer peer;
  host::ListenOptions options;
  host::Listener& listener = peer.listen(options);
  peer.establish_passive(kPlain);
  options.syn_queue = 1;
  options.socket.time_wait = seconds(1);
  peer.stack().set_options(listener, options);
  peer.shutdown();
  peer.deliver(seg().fin().seq(1).ack(2));
  peer.tick(seconds(2));
  EXPECT_EQ(peer.stack().time_wait_count(), 1u);  // as it began
  for (const uint16_t port : {uint16_t{6000}, uint16_t{6001}}) {
    peer.deliver(seg().syn().seq(0).mss(1460).from_port(port));
  }
  EXPECT_EQ(peer.counters().drop_syn_queue_full, 1u);
  peer.deliver(seg().seq(1).ack(1).from_port(6000));
  ASSERT_NE(peer.accept(), nullptr);
  peer.shutdown();
  peer.deliver(seg().fin().seq(1).ack(2).from_port(6000));
  EXPECT_EQ(peer.stack().time_wait_count(), 2u);
  peer.tick(seconds(2));
  EXPECT_EQ(peer.stack().time_wait_count(), 1u);
}

TEST(TcpListener, WhatWaitsToBeAcceptedIsBounded) {
  ScriptedPeer peer;
  host::ListenOptions options;
  options.backlog = 1;
  host::Listener& listener = peer.listen(options);
  peer.deliver(seg().syn().seq(0).mss(1460));
  peer.expect(seg().syn().ack(1));
  peer.deliver(seg().syn().seq(0).mss(1460).from_port(6000));
  peer.ignore_sent();
  peer.deliver(seg().seq(1).ack(1).from_port(6000));
  EXPECT_EQ(listener.pending(), 1u);
  // The other's final ACK is ignored, a new SYN dropped.
  peer.deliver(seg().syn().seq(0).mss(1460).from_port(6001));
  EXPECT_EQ(listener.pending(), 1u);
  EXPECT_EQ(peer.stack().connection_count(), 2u);
  EXPECT_EQ(peer.counters().drop_accept_queue_full, 1u);
}

TEST(TcpListener, AConnectionTheBacklogHadNoRoomForIsTakenWhenThereIs) {
  ScriptedPeer peer;
  host::ListenOptions options;
  options.backlog = 1;
  host::Listener& listener = peer.listen(options);
  peer.deliver_burst({seg().syn().seq(0).mss(1460).from_port(6000), seg().syn().seq(0).mss(1460)});
  peer.expect(seg().syn().ack(1));
  peer.expect(seg().syn().ack(1));
  peer.deliver(seg().seq(1).ack(1));
  EXPECT_EQ(listener.pending(), 1u);
  ASSERT_NE(peer.accept(), nullptr);
  EXPECT_EQ(listener.pending(), 0u);
  peer.expect_after(seconds(1), seg().syn().ack(1));  // asks once more
}

TEST(TcpListener, ClosingItResetsWhatWaitsInIt) {  // RFC 9293 §3.10.4
  ScriptedPeer peer;
  host::Listener& listener = peer.listen();
  peer.deliver(seg().syn().seq(0).mss(1460));
  peer.expect(seg().syn().ack(1));
  peer.deliver(seg().seq(1).ack(1).data(10));
  peer.expect(seg().ack(11));
  peer.deliver(seg().syn().seq(0).mss(1460).from_port(6000));
  peer.expect(seg().syn().ack(1));
  EXPECT_EQ(listener.pending(), 1u);
  peer.call("close(listener)", [&] { peer.stack().close(&listener); });
  EXPECT_EQ(peer.sent(), 2u);
  EXPECT_EQ(peer.counters().resets_sent, 2u);
  EXPECT_EQ(peer.stack().connection_count(), 0u);
  EXPECT_EQ(peer.stack().buffer_bytes(), 0u);
  peer.ignore_sent();
  peer.deliver(seg().syn().seq(0).mss(1460));
  peer.expect(seg().rst().seq(0 - peer.stack_isn()).ack(1));
}

TEST(TcpListener, AtTheBoundOfConnectionsSynsAreDropped) {
  ScriptedPeer::Options options;
  options.stack.max_connections = 2;
  ScriptedPeer peer(options);
  peer.listen();
  for (uint16_t i = 0; i < 4; ++i) {
    peer.deliver(seg().syn().seq(0).mss(1460).from_port(static_cast<uint16_t>(6000 + i)));
  }
  EXPECT_EQ(peer.sent(), 2u);
  EXPECT_EQ(peer.counters().drop_no_connection_slot, 2u);
  SegContext c = peer.to_stack();
  auto connection = peer.stack().connect(
      {.remote = c.source, .source = c.destination.address, .local_port = 7000, .socket = {}},
      peer.now());
  ASSERT_FALSE(connection.has_value());
  EXPECT_EQ(connection.error().code, Errc::kNoBufferSpace);
}

}  // namespace
}  // namespace fairlead::sim
