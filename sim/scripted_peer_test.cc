#include "sim/scripted_peer.h"

#include <gtest/gtest-spi.h>

namespace fairlead::sim {
namespace {

using host::State;

TEST(ScriptedPeer, PlaysAWholeConnectionOpenedByThePeer) {
  for (bool ipv6 : {false, true}) {
    ScriptedPeer peer({.ipv6 = ipv6});
    peer.listen();
    peer.deliver(seg().syn().mss(1460).sack_ok().wscale(7).ts(100, 0));
    peer.expect(seg().syn().ack(1).mss(ipv6 ? 1440 : 1460).sack_ok().ts_echo(100));
    peer.deliver(seg().seq(1).ack(1));
    ASSERT_NE(peer.accept(), nullptr);
    peer.expect_state(State::kEstablished);

    peer.deliver(seg().seq(1).ack(1).data(1000).psh());
    peer.expect(seg().seq(1).ack(1001).empty());
    EXPECT_EQ(peer.read(5000), 1000u);

    peer.write(500);
    peer.expect(seg().seq(1).ack(1001).data(500).psh());
    peer.deliver(seg().seq(1001).ack(501));

    peer.deliver(seg().seq(1001).ack(501).fin());
    peer.expect(seg().ack(1002));
    peer.expect_state(State::kCloseWait);
    peer.shutdown();
    peer.expect(seg().fin().seq(501).ack(1002));
    peer.deliver(seg().seq(1002).ack(502));
    peer.expect_state(State::kClosed);
    peer.expect_nothing();
  }
}

TEST(ScriptedPeer, PlaysAWholeConnectionOpenedByTheStack) {
  ScriptedPeer peer;
  ASSERT_NE(peer.establish_active(), nullptr);
  peer.expect_state(State::kEstablished);
  peer.shutdown();
  peer.expect(seg().fin().seq(1).ack(1));
  peer.deliver(seg().seq(1).ack(2));
  peer.expect_state(State::kFinWait2);
  peer.deliver(seg().seq(1).ack(2).fin());
  peer.expect(seg().seq(2).ack(2));
  peer.expect_state(State::kTimeWait);
}

TEST(ScriptedPeer, TimeIsTheScripts) {
  ScriptedPeer peer;
  peer.establish_passive({.timestamps = false});
  peer.write(100);
  peer.expect(seg().seq(1).ack(1).data(100));
  // The tail loss probe: 2 SRTT and the peer's delayed ACK (RFC 8985 §7.2). SRTT is 1 µs here.
  peer.expect_after(milliseconds(200), seg().seq(1).ack(1).data(100));
}

TEST(ScriptedPeer, WhatWasNotExpectedIsPrintedWithItsHistory) {
  EXPECT_NONFATAL_FAILURE(
      {
        ScriptedPeer peer;
        peer.establish_passive();
        peer.deliver(seg().seq(1).ack(1).data(10));
        peer.expect(seg().ack(12));
        peer.read(10);
      },
      "ack: wanted 12, got 11");
}

TEST(ScriptedPeer, SeesABadChecksumRefused) {
  ScriptedPeer peer;
  peer.establish_passive();
  peer.deliver(seg().seq(1).ack(1).data(10).bad_checksum());
  peer.expect_nothing();
  EXPECT_EQ(peer.counters().drop_bad_tcp_checksum, 1u);
}

}  // namespace
}  // namespace fairlead::sim
