// What a SYN of ours offers when it is told what to, and that the connection keeps to it.
#include <gtest/gtest.h>

#include <array>
#include <vector>

#include "sim/scripted_peer.h"

namespace fairlead::sim {
namespace {

using host::Offer;

/// Of which the MSS option is made: none of its own, below and above what the interface takes.
constexpr std::array<uint16_t, 4> kMssMax{0, 536, 1400, 9000};
constexpr uint32_t kBuffer = 128 * 1024;  // SocketOptions::receive_buffer_min

std::vector<Offer> offers() {
  std::vector<Offer> all;
  for (int bits = 0; bits < 8; ++bits) {
    for (std::optional<uint8_t> shift : {std::optional<uint8_t>{}, {0}, {1}, {7}, {14}}) {
      for (uint16_t mss : kMssMax) {
        all.push_back({.timestamps = (bits & 1) != 0,
                       .sack = (bits & 2) != 0,
                       .ecn = (bits & 4) != 0,
                       .window_shift = shift,
                       .mss_max = mss});
      }
    }
  }
  return all;
}

/// `syn` promises what `offer` says and nothing else.
void expect_offered(const Seg& syn, const Offer& offer, uint16_t mss) {
  const wire::TcpOptions& o = syn.get_options();
  EXPECT_EQ(o.timestamps.has_value(), offer.timestamps);
  EXPECT_EQ(o.sack_permitted, offer.sack);
  EXPECT_EQ(o.window_scale, offer.window_shift);
  EXPECT_EQ(o.mss, mss);
  EXPECT_EQ(o.unknown, 0u);
  EXPECT_EQ(syn.has(wire::tcp_flag::kEce), offer.ecn);
  EXPECT_EQ(syn.has(wire::tcp_flag::kCwr), offer.ecn);
}

/// A segment of `size` bytes behind all that was delivered before, `delivered` bytes.
Seg next(uint32_t& delivered, uint32_t size) {
  Seg s = seg().seq(1 + delivered).ack(1).data(size);
  delivered += size;
  return s;
}

TEST(TcpOffer, TheSynHasExactlyWhatIsOffered) {
  for (bool ipv6 : {false, true}) {
    const uint16_t ours = ipv6 ? 1440 : 1460;
    for (const Offer& offer : offers()) {
      ScriptedPeer peer({.ipv6 = ipv6, .offer = offer});
      peer.connect();
      const bool limits = offer.mss_max != 0 && offer.mss_max < ours;
      Seg syn = seg().syn();
      if (offer.ecn) syn.ece().cwr();
      expect_offered(peer.expect(syn), offer, limits ? offer.mss_max : ours);
    }
  }
}

TEST(TcpOffer, TheSynHasTheGivenInitialSequenceNumber) {
  for (uint32_t isn : {0u, 0xffff'ffffu, 0x1234'5678u}) {
    ScriptedPeer peer({.offer = Offer{.isn = SeqNum(isn)}});
    peer.establish_active();
    EXPECT_EQ(peer.stack_isn(), isn);
    peer.write(100);
    peer.expect(seg().seq(1).ack(1).data(100));
  }
}

TEST(TcpOffer, AWindowShiftAboveFourteenIsRefused) {  // RFC 7323 §2.3
  ScriptedPeer peer;
  const SegContext c = peer.to_stack();
  const auto connection = peer.stack().connect({.remote = c.source,
                                                .source = c.destination.address,
                                                .local_port = c.destination.port,
                                                .socket = {},
                                                .offer = Offer{.window_shift = 15}},
                                               peer.now());
  ASSERT_FALSE(connection.has_value());
  EXPECT_EQ(connection.error().code, Errc::kInvalidArgument);
}

TEST(TcpOffer, WhatWasNotOfferedIsNotUsedWhateverTheAnswerHas) {
  ScriptedPeer peer({.offer = Offer{.timestamps = false, .sack = false, .ecn = false}});
  peer.connect();
  peer.expect(seg().syn());
  peer.deliver(seg().syn().ece().seq(0).ack(1).mss(1460).wscale(7).sack_ok().ts(1, 0));
  peer.expect(seg().seq(1).ack(1).no_ts());
  peer.deliver(seg().seq(101).ack(1).win(100).data(100).no_ts());
  peer.expect(seg().ack(1).no_ts().no_sack());
  EXPECT_EQ(peer.connection().info().send_window, 100u);
  EXPECT_FALSE(peer.connection().info().ecn);
}

TEST(TcpOffer, OfAPeerIsWhatItsSynPromised) {
  for (const Offer& theirs : offers()) {
    if (theirs.mss_max == 0) continue;
    ScriptedPeer peer;
    peer.establish_passive({.mss = theirs.mss_max,
                            .wscale = theirs.window_shift,
                            .sack = theirs.sack,
                            .timestamps = theirs.timestamps,
                            .ecn = theirs.ecn});
    const Offer again = peer.connection().peer_offer();
    EXPECT_EQ(again.timestamps, theirs.timestamps);
    EXPECT_EQ(again.sack, theirs.sack);
    EXPECT_EQ(again.ecn, theirs.ecn);
    EXPECT_EQ(again.window_shift, theirs.window_shift);
    EXPECT_EQ(again.mss_max, std::min<uint16_t>(theirs.mss_max, 1460));
    EXPECT_EQ(again.isn, std::nullopt);
  }
}

TEST(TcpOffer, OfAPeerIsOnlyWhatWasAgreedOn) {
  ScriptedPeer::Options options{.offer = Offer{.timestamps = false, .sack = false, .ecn = false}};
  ScriptedPeer peer(options);
  peer.establish_active({.mss = {}, .wscale = 9, .ecn = true});
  const Offer again = peer.connection().peer_offer();
  EXPECT_FALSE(again.timestamps || again.sack || again.ecn || again.window_shift);
  EXPECT_EQ(again.mss_max, 536);  // RFC 9293 §3.7.1: said nothing
}

// ---- the MSS option ----

TEST(TcpMssOption, IsNoMoreThanTheSocketSays) {
  for (uint16_t most : {uint16_t{0}, uint16_t{1200}, uint16_t{9000}}) {
    ScriptedPeer::Options options;
    options.socket.mss_max = most;
    const uint16_t said = most == 1200 ? 1200 : 1460;
    ScriptedPeer passive(options);
    passive.listen();
    passive.deliver(seg().syn().mss(1460));
    passive.expect(seg().syn().ack(1).mss(said));
    ScriptedPeer active(options);
    active.connect();
    active.expect(seg().syn().ece().cwr().mss(said));
  }
}

TEST(TcpMssOption, OfAListenerMayChangeForConnectionsToCome) {
  ScriptedPeer peer;
  host::Listener& listener = peer.listen();
  peer.stack().set_mss_max(listener, 1300);
  peer.deliver(seg().syn().mss(1460));
  peer.expect(seg().syn().ack(1).mss(1300));
  peer.stack().set_mss_max(listener, 0);
  peer.expect_after(seconds(1), seg().syn().ack(1).mss(1300));  // the same one again
  peer.deliver(seg().syn().mss(1460).from_port(6000));
  peer.expect(seg().syn().ack(1).mss(1460));
}

TEST(TcpMssOption, DoesNotLimitWhatTheStackSends) {
  ScriptedPeer::Options options;
  options.socket.mss_max = 500;
  ScriptedPeer peer(options);
  peer.establish_passive({.timestamps = false});
  peer.write(1460);
  peer.expect(seg().seq(1).ack(1).data(1460));
}

// ---- the window ----

TEST(TcpOffer, WithoutScalingTheWindowIsWhatSixteenBitsHold) {
  for (std::optional<uint8_t> shift : {std::optional<uint8_t>{}, {0}}) {
    ScriptedPeer peer({.offer = Offer{.window_shift = shift}});
    peer.connect();
    peer.expect(seg().syn().ece().cwr().win(65535));
    peer.deliver(seg().syn().seq(0).ack(1).mss(1460).wscale(7));
    uint32_t delivered = 0;
    for (int i = 0; i < 200; ++i) {
      peer.ignore_sent();
      peer.deliver(next(delivered, 1460));
      peer.read(1460);
    }
    peer.tick(milliseconds(50));
    peer.ignore_sent();
    peer.deliver(next(delivered, 10));
    peer.read(10);
    peer.tick(milliseconds(50));
    EXPECT_EQ(*peer.expect(seg().ack(1 + delivered)).get_window(), 65535 - 10);
    peer.expect_nothing();
  }
}

TEST(TcpOffer, TheWindowIsCountedInTheOfferedStepAndAsLargeAsTheFieldHolds) {
  for (uint8_t shift : {uint8_t{0}, uint8_t{1}, uint8_t{7}, uint8_t{14}}) {
    ScriptedPeer peer({.offer = Offer{.ecn = false, .window_shift = shift}});
    peer.connect();
    peer.expect(seg().syn().win(65535).wscale(shift));  // not scaled itself (RFC 7323 §2.2)
    peer.deliver(seg().syn().seq(0).ack(1).mss(1460).wscale(7));
    const uint32_t window = std::min(kBuffer, 65535u << shift);
    EXPECT_EQ(*peer.expect(seg().ack(1)).get_window(), window >> shift);
  }
}

}  // namespace
}  // namespace fairlead::sim
