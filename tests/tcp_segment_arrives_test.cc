// "Segment arrives" (RFC 9293 §3.10.7), state by state, with the checks of RFC 5961.
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "sim/scripted_peer.h"

namespace fairlead::sim {
namespace {

using host::State;

constexpr ScriptedPeer::Handshake kPlain{.sack = false, .timestamps = false};

/// A synchronized state and how a script gets there. In each rcv.nxt is `rcv_nxt` and snd.nxt
/// `snd_nxt`, and nothing is waiting to be sent.
struct Synchronized {
  State state;
  uint32_t snd_nxt;
  uint32_t rcv_nxt;
  std::function<void(ScriptedPeer&)> reach;
};

const std::vector<Synchronized>& synchronized_states() {
  static const std::vector<Synchronized> kStates{
      {State::kEstablished, 1, 1, [](ScriptedPeer& p) { p.establish_passive(kPlain); }},
      {State::kFinWait1, 2, 1,
       [](ScriptedPeer& p) {
         p.establish_passive(kPlain);
         p.shutdown();
       }},
      {State::kFinWait2, 2, 1,
       [](ScriptedPeer& p) {
         p.establish_passive(kPlain);
         p.shutdown();
         p.deliver(seg().seq(1).ack(2));
       }},
      {State::kCloseWait, 1, 2,
       [](ScriptedPeer& p) {
         p.establish_passive(kPlain);
         p.deliver(seg().fin().seq(1).ack(1));
       }},
      {State::kClosing, 2, 2,
       [](ScriptedPeer& p) {
         p.establish_passive(kPlain);
         p.shutdown();
         p.deliver(seg().fin().seq(1).ack(1));
       }},
      {State::kLastAck, 2, 2,
       [](ScriptedPeer& p) {
         p.establish_passive(kPlain);
         p.deliver(seg().fin().seq(1).ack(1));
         p.shutdown();
       }},
  };
  return kStates;
}

/// Runs `check` in every synchronized state.
void in_every_state(const std::function<void(ScriptedPeer&, const Synchronized&)>& check) {
  for (const Synchronized& s : synchronized_states()) {
    SCOPED_TRACE(std::string(host::state_name(s.state)));
    ScriptedPeer peer;
    s.reach(peer);
    peer.expect_state(s.state);
    peer.ignore_sent();
    check(peer, s);
  }
}

// ---- CLOSED, LISTEN, SYN-SENT ----

TEST(TcpClosed, AnswersWithARstThatTheSenderAccepts) {  // RFC 9293 §3.10.7.1
  ScriptedPeer peer;
  peer.deliver(seg().seq(5).ack(77).data(10));
  peer.expect(seg().rst().seq(77));
  peer.deliver(seg().syn().seq(5));
  peer.expect(seg().rst().seq(0).ack(6));
  peer.deliver(seg().seq(5).fin().flags(wire::tcp_flag::kFin).data(10));
  peer.expect(seg().rst().seq(0).ack(16));
  peer.deliver(seg().rst().seq(5));
  peer.expect_nothing();
}

TEST(TcpListen, AnswersAnAckWithRstAndIgnoresTheRest) {  // RFC 9293 §3.10.7.2
  ScriptedPeer peer;
  peer.listen();
  peer.deliver(seg().seq(5).ack(77));
  peer.expect(seg().rst().seq(77));
  peer.deliver(seg().syn().seq(5).ack(77));
  peer.expect(seg().rst().seq(77));
  peer.deliver(seg().rst().seq(5));
  peer.deliver(seg().fin().seq(5));
  peer.deliver(seg().seq(5).data(10));
  peer.deliver(seg().syn().fin().seq(5));
  peer.deliver(seg().syn().seq(5).from_port(0));
  peer.expect_nothing();
  EXPECT_EQ(peer.stack().connection_count(), 0u);
}

TEST(TcpSynSent, AnswersAnAckOfWhatWasNotSentWithRst) {  // RFC 9293 §3.10.7.3, first
  ScriptedPeer peer;
  peer.connect();
  peer.ignore_sent();
  bool first = true;
  for (uint32_t ack : {0u, 2u, 1000u}) {
    peer.deliver(seg().syn().seq(0).ack(ack));
    peer.expect(seg().rst().seq(ack));
    // What answered is gone with the RST: the SYN comes again at once, the first time.
    if (std::exchange(first, false)) peer.expect(seg().syn().ece().cwr().seq(0));
    peer.deliver(seg().rst().seq(0).ack(ack));
    peer.expect_nothing();
  }
  peer.expect_state(State::kSynSent);
}

TEST(TcpSynSent, ItsFirstRstIsSentHoweverManyStrangersGotOne) {
  ScriptedPeer::Options options;
  options.stack.resets_per_second = 0;
  ScriptedPeer peer(options);
  peer.connect();
  peer.ignore_sent();
  peer.deliver(seg().seq(700).ack(1000));  // of one in TIME-WAIT
  peer.expect(seg().rst().seq(1000));
  peer.expect(seg().syn().ece().cwr().seq(0));
  peer.deliver(seg().seq(700).ack(1000));
  peer.expect_nothing();
  EXPECT_EQ(peer.counters().resets_limited, 1u);
}

TEST(TcpSynSent, ARstIsBelievedOnlyWithAnAckOfTheSyn) {  // RFC 9293 §3.10.7.3, second
  ScriptedPeer peer;
  peer.connect();
  peer.ignore_sent();
  peer.deliver(seg().rst().seq(0));
  peer.expect_state(State::kSynSent);
  peer.deliver(seg().rst().seq(0).ack(1));
  peer.expect_state(State::kClosed);
  EXPECT_EQ(peer.connection().error(), Errc::kConnectionRefused);
  peer.expect_nothing();
}

TEST(TcpSynSent, DropsWhatHasNeitherSynNorRst) {  // RFC 9293 §3.10.7.3, fifth
  ScriptedPeer peer;
  peer.connect();
  peer.ignore_sent();
  peer.deliver(seg().seq(0).ack(1).data(100));
  peer.expect_nothing();
  peer.expect_state(State::kSynSent);
}

TEST(TcpSynSent, TakesDataAndFinThatComeWithTheSynAck) {  // RFC 9293 §3.10.7.3, fourth
  ScriptedPeer peer;
  peer.connect();
  peer.ignore_sent();
  peer.deliver(seg().syn().fin().seq(0).ack(1).mss(1460).payload(script_bytes(1, 10)));
  peer.expect(seg().seq(1).ack(12));
  peer.expect_state(State::kCloseWait);
  EXPECT_EQ(peer.read(100), 10u);
  EXPECT_TRUE(peer.connection().end_of_stream());
}

TEST(TcpSynSent, SimultaneousOpenEstablishes) {  // RFC 9293 §3.5, figure 7
  ScriptedPeer peer;
  peer.connect();
  peer.ignore_sent();
  peer.deliver(seg().syn().seq(0).mss(1460));
  peer.expect(seg().syn().seq(0).ack(1));
  peer.expect_state(State::kSynReceived);
  peer.deliver(seg().syn().seq(0).ack(1).mss(1460));
  peer.expect(seg().seq(1).ack(1));
  peer.expect_state(State::kEstablished);
  peer.write(10);
  peer.expect(seg().seq(1).ack(1).data(10));
}

TEST(TcpSynSent, SimultaneousOpenEstablishesByAPlainAckToo) {
  ScriptedPeer peer;
  peer.connect();
  peer.ignore_sent();
  peer.deliver(seg().syn().seq(0).mss(1460));
  peer.ignore_sent();
  peer.deliver(seg().seq(1).ack(1));
  peer.expect_state(State::kEstablished);
}

// ---- SYN-RECEIVED ----

TEST(TcpSynReceived, AnswersAWrongAckWithRst) {  // RFC 9293 §3.10.7.4, fifth
  ScriptedPeer peer;
  peer.listen();
  peer.deliver(seg().syn().seq(0).mss(1460));
  peer.ignore_sent();
  peer.deliver(seg().seq(1).ack(2));
  peer.expect(seg().rst().seq(2));
  peer.deliver(seg().seq(1).ack(0));
  peer.expect(seg().rst().seq(0));
  EXPECT_EQ(peer.stack().connection_count(), 1u);
  peer.deliver(seg().seq(1).ack(1));
  EXPECT_NE(peer.accept(), nullptr);
}

TEST(TcpSynReceived, RepeatsTheSynAckForARepeatedSyn) {
  ScriptedPeer peer;
  peer.listen();
  peer.deliver(seg().syn().seq(0).mss(1460));
  peer.expect(seg().syn().seq(0).ack(1));
  peer.deliver(seg().syn().seq(0).mss(1460));
  peer.expect(seg().syn().seq(0).ack(1));
  EXPECT_EQ(peer.stack().connection_count(), 1u);
}

TEST(TcpSynReceived, ASynAckIsNoAnswerToAPassiveOpen) {  // RFC 9293 §3.10.7.4, fourth
  ScriptedPeer peer;
  host::Listener& listener = peer.listen();
  peer.deliver(seg().syn().seq(0).mss(1460));
  peer.ignore_sent();
  peer.deliver(seg().syn().seq(0).ack(1).mss(1460));
  EXPECT_EQ(listener.pending(), 0u);
}

TEST(TcpSynReceived, OnlyAnExactRstEndsIt) {  // RFC 9293 §3.10.7.4, second; RFC 5961 §3.2
  ScriptedPeer peer;
  peer.listen();
  peer.deliver(seg().syn().seq(0).mss(1460));
  peer.ignore_sent();
  peer.deliver(seg().rst().seq(100));
  peer.expect(seg().seq(1).ack(1).empty());
  EXPECT_EQ(peer.stack().connection_count(), 1u);
  peer.deliver(seg().rst().seq(1));
  EXPECT_EQ(peer.stack().connection_count(), 0u);
  peer.expect_nothing();
}

TEST(TcpSynReceived, AnswersASegmentOutsideTheWindowWithAnAck) {  // RFC 9293 §3.10.7.4, first
  ScriptedPeer peer;
  peer.listen();
  peer.deliver(seg().syn().seq(0).mss(1460));
  peer.ignore_sent();
  peer.deliver(seg().seq(0x1000'0000).ack(1).data(10));
  peer.expect(seg().seq(1).ack(1).empty());
}

TEST(TcpSynReceived, TakesDataThatComesWithTheThirdSegment) {
  ScriptedPeer peer;
  peer.listen();
  peer.deliver(seg().syn().seq(0).mss(1460));
  peer.ignore_sent();
  peer.deliver(seg().fin().seq(1).ack(1).data(100));
  peer.expect(seg().seq(1).ack(102));
  ASSERT_NE(peer.accept(), nullptr);
  peer.expect_state(State::kCloseWait);
  EXPECT_EQ(peer.read(1000), 100u);
}

// ---- every synchronized state ----

TEST(TcpSynchronized, AnswersASegmentOutsideTheWindowWithAnAck) {  // §3.10.7.4, first
  in_every_state([](ScriptedPeer& peer, const Synchronized& s) {
    peer.deliver(seg().seq(s.rcv_nxt + 0x1000'0000).ack(s.snd_nxt).data(10));
    peer.expect(seg().seq(s.snd_nxt).ack(s.rcv_nxt).empty());
    peer.expect_state(s.state);
  });
}

TEST(TcpSynchronized, AnswersSegmentsOutsideTheWindowNotOftenerThanTwiceASecond) {
  in_every_state([](ScriptedPeer& peer, const Synchronized& s) {
    for (int i = 0; i < 10; ++i) peer.deliver(seg().seq(s.rcv_nxt - 1).ack(s.snd_nxt).empty());
    EXPECT_EQ(peer.sent(), 1u);
  });
}

TEST(TcpSynchronized, AnExactRstEndsIt) {  // RFC 5961 §3.2
  in_every_state([](ScriptedPeer& peer, const Synchronized& s) {
    peer.deliver(seg().rst().seq(s.rcv_nxt));
    peer.expect_state(State::kClosed);
    peer.expect_nothing();
    // Where the peer had closed and was told everything it takes nothing away.
    bool clean = s.state == State::kClosing || s.state == State::kLastAck;
    EXPECT_EQ(peer.connection().error(), clean ? Errc::kOk : Errc::kConnectionReset);
  });
}

TEST(TcpSynchronized, AnRstElsewhereInTheWindowGetsAChallengeAck) {  // RFC 5961 §3.2
  in_every_state([](ScriptedPeer& peer, const Synchronized& s) {
    peer.deliver(seg().rst().seq(s.rcv_nxt + 1));
    peer.expect(seg().seq(s.snd_nxt).ack(s.rcv_nxt).empty());
    peer.expect_state(s.state);
    EXPECT_EQ(peer.counters().challenge_acks_sent, 1u);
  });
}

TEST(TcpSynchronized, AnRstOutsideTheWindowIsDropped) {  // RFC 5961 §3.2
  in_every_state([](ScriptedPeer& peer, const Synchronized& s) {
    peer.deliver(seg().rst().seq(s.rcv_nxt - 1));
    peer.deliver(seg().rst().seq(s.rcv_nxt + 0x1000'0000));
    peer.expect_nothing();
    peer.expect_state(s.state);
  });
}

TEST(TcpSynchronized, ASynGetsAChallengeAck) {  // RFC 5961 §4.2
  in_every_state([](ScriptedPeer& peer, const Synchronized& s) {
    peer.deliver(seg().syn().seq(s.rcv_nxt + 10));
    peer.expect(seg().seq(s.snd_nxt).ack(s.rcv_nxt).empty());
    peer.deliver(seg().syn().seq(s.rcv_nxt).ack(s.snd_nxt));
    peer.expect(seg().seq(s.snd_nxt).ack(s.rcv_nxt).empty());
    peer.expect_state(s.state);
  });
}

TEST(TcpSynchronized, ASegmentWithoutAckIsDropped) {  // RFC 9293 §3.10.7.4, fifth
  in_every_state([](ScriptedPeer& peer, const Synchronized& s) {
    peer.deliver(seg().seq(s.rcv_nxt).data(10).psh());
    peer.expect_nothing();
    EXPECT_EQ(peer.connection().readable(), 0u);
    EXPECT_EQ(peer.counters().drop_no_ack_flag, 1u);
  });
}

TEST(TcpSynchronized, AnAckOfWhatWasNotSentGetsAChallengeAck) {  // RFC 5961 §5.2
  in_every_state([](ScriptedPeer& peer, const Synchronized& s) {
    peer.deliver(seg().seq(s.rcv_nxt).ack(s.snd_nxt + 1).data(10));
    peer.expect(seg().seq(s.snd_nxt).ack(s.rcv_nxt).empty());
    peer.deliver(seg().seq(s.rcv_nxt).ack(s.snd_nxt - 0x1000'0000).data(10));
    peer.expect(seg().seq(s.snd_nxt).ack(s.rcv_nxt).empty());
    EXPECT_EQ(peer.connection().readable(), 0u);
    EXPECT_EQ(peer.counters().drop_bad_ack, 2u);
  });
}

TEST(TcpSynchronized, AbortSendsAnRstWithTheNextSequenceNumber) {  // RFC 9293 §3.10.5
  in_every_state([](ScriptedPeer& peer, const Synchronized& s) {
    peer.abort();
    peer.expect(seg().rst().seq(s.snd_nxt).ack(s.rcv_nxt));
    EXPECT_EQ(peer.connection().error(), Errc::kConnectionAborted);
  });
}

TEST(TcpChallengeAck, IsLimitedForTheWholeStack) {  // RFC 5961 §7
  ScriptedPeer::Options options;
  options.stack.challenge_acks_per_second = 5;
  ScriptedPeer peer(options);
  peer.establish_passive(kPlain);
  for (int i = 0; i < 20; ++i) peer.deliver(seg().rst().seq(10));
  EXPECT_EQ(peer.sent(), 5u);
  EXPECT_EQ(peer.counters().challenge_acks_limited, 15u);
  peer.ignore_sent();
  peer.tick(seconds(1));
  peer.deliver(seg().rst().seq(10));
  peer.expect(seg().seq(1).ack(1));
}

TEST(TcpReset, AnswersToStrangersAreLimited) {
  ScriptedPeer::Options options;
  options.stack.resets_per_second = 5;
  ScriptedPeer peer(options);
  for (int i = 0; i < 20; ++i) peer.deliver(seg().seq(1).ack(1));
  EXPECT_EQ(peer.sent(), 5u);
  EXPECT_EQ(peer.counters().resets_limited, 15u);
}

// ---- text, urgent data, FIN ----

TEST(TcpText, UrgentDataIsReadInline) {  // RFC 9293 §3.8.5, RFC 6093 §4
  ScriptedPeer peer;
  peer.establish_passive(kPlain);
  peer.deliver(seg().urg(5).seq(1).ack(1).data(10));
  peer.expect(seg().seq(1).ack(11));
  EXPECT_EQ(peer.read(100), 10u);
}

TEST(TcpText, AFinWithDataIsReadToItsEnd) {
  ScriptedPeer peer;
  peer.establish_passive(kPlain);
  peer.deliver(seg().fin().seq(1).ack(1).data(100));
  peer.expect(seg().seq(1).ack(102));
  peer.expect_state(State::kCloseWait);
  EXPECT_FALSE(peer.connection().end_of_stream());
  EXPECT_EQ(peer.read(1000), 100u);
  EXPECT_TRUE(peer.connection().end_of_stream());
}

TEST(TcpText, AFinAheadOfAGapWaits) {
  ScriptedPeer peer;
  peer.establish_passive(kPlain);
  peer.deliver(seg().fin().seq(101).ack(1).data(100));
  peer.expect(seg().seq(1).ack(1));
  peer.expect_state(State::kEstablished);
  peer.deliver(seg().seq(1).ack(1).data(100));
  peer.expect(seg().seq(1).ack(202));
  peer.expect_state(State::kCloseWait);
}

TEST(TcpText, WhatOverlapsIsTakenOnce) {
  ScriptedPeer peer;
  peer.establish_passive(kPlain);
  peer.deliver(seg().seq(1).ack(1).data(100));
  peer.expect(seg().ack(101));
  peer.deliver(seg().seq(51).ack(1).data(100));
  peer.expect(seg().ack(151));
  peer.deliver(seg().seq(1).ack(1).data(100));
  peer.expect(seg().ack(151));
  EXPECT_EQ(peer.read(1000), 150u);
}

TEST(TcpText, WhatIsBeyondTheWindowIsTrimmed) {
  ScriptedPeer::Options options;
  options.socket.receive_buffer_min = options.socket.receive_buffer_max = 1000;
  ScriptedPeer peer(options);
  peer.establish_passive(kPlain);
  peer.deliver(seg().fin().seq(1).ack(1).data(1400));
  peer.expect(seg().ack(1001).win(0));
  peer.expect_state(State::kEstablished);
  EXPECT_EQ(peer.read(2000), 1000u);
  peer.expect(seg().ack(1001).win(1000));
}

// ---- closing ----

TEST(TcpClose, SimultaneouslyEndsInTimeWait) {  // RFC 9293 §3.6, figure 13
  ScriptedPeer peer;
  peer.establish_passive(kPlain);
  peer.shutdown();
  peer.expect(seg().fin().seq(1).ack(1));
  peer.deliver(seg().fin().seq(1).ack(1));
  peer.expect(seg().seq(2).ack(2));
  peer.expect_state(State::kClosing);
  peer.deliver(seg().seq(2).ack(2));
  peer.expect_state(State::kTimeWait);
  peer.expect_nothing();
}

TEST(TcpClose, AFinAndTheAckOfOursTogetherEndInTimeWait) {
  ScriptedPeer peer;
  peer.establish_passive(kPlain);
  peer.shutdown();
  peer.expect(seg().fin().seq(1).ack(1));
  peer.deliver(seg().fin().seq(1).ack(2).data(10));
  peer.expect(seg().seq(2).ack(12));
  peer.expect_state(State::kTimeWait);
  EXPECT_EQ(peer.read(100), 10u);
  EXPECT_TRUE(peer.connection().end_of_stream());
}

TEST(TcpClose, AfterOurFinThePeerMaySendOn) {  // half-close, RFC 9293 §3.6
  ScriptedPeer peer;
  peer.establish_passive(kPlain);
  peer.write(10);
  peer.shutdown();
  peer.expect(seg().seq(1).ack(1).data(10));
  peer.expect(seg().fin().seq(11).ack(1));
  peer.deliver(seg().seq(1).ack(12));
  peer.expect_state(State::kFinWait2);
  EXPECT_EQ(peer.connection().writable(), 0u);
  peer.tick(hours(1));  // as long as it likes, while the application holds on
  peer.deliver(seg().seq(1).ack(12).data(1000));
  peer.expect(seg().seq(12).ack(1001));
  EXPECT_EQ(peer.read(2000), 1000u);
  peer.deliver(seg().fin().seq(1001).ack(12));
  peer.expect(seg().seq(12).ack(1002));
  peer.expect_state(State::kTimeWait);
}

TEST(TcpClose, AfterThePeersFinWeMaySendOn) {
  ScriptedPeer peer;
  peer.establish_passive(kPlain);
  peer.deliver(seg().fin().seq(1).ack(1));
  peer.expect(seg().ack(2));
  peer.tick(hours(1));
  peer.write(3000);
  peer.expect(seg().seq(1).ack(2).data(1460));
  peer.expect(seg().seq(1461).ack(2).data(1460));
  peer.expect(seg().seq(2921).ack(2).data(80));
  peer.deliver(seg().seq(2).ack(3001));
  peer.shutdown();
  peer.expect(seg().fin().seq(3001).ack(2));
  peer.deliver(seg().seq(2).ack(3002));
  peer.expect_state(State::kClosed);
  EXPECT_EQ(peer.connection().error(), Errc::kOk);
  EXPECT_EQ(peer.stack().time_wait_count(), 0u);
}

TEST(TcpClose, ARepeatedFinIsAcknowledgedAgain) {
  ScriptedPeer peer;
  peer.establish_passive(kPlain);
  peer.deliver(seg().fin().seq(1).ack(1));
  peer.expect(seg().ack(2));
  peer.deliver(seg().fin().seq(1).ack(1));
  peer.expect(seg().ack(2));
  peer.expect_state(State::kCloseWait);
}

TEST(TcpClose, OurFinIsRepeatedUntilItIsAcknowledged) {
  ScriptedPeer peer;
  peer.establish_passive(kPlain);
  peer.shutdown();
  peer.expect(seg().fin().seq(1).ack(1));
  peer.expect_after(milliseconds(200), seg().fin().seq(1).ack(1));
  peer.expect_after(milliseconds(400), seg().fin().seq(1).ack(1));
  peer.deliver(seg().seq(1).ack(2));
  peer.expect_state(State::kFinWait2);
}

}  // namespace
}  // namespace fairlead::sim
