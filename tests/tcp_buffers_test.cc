// The bound on stream bytes held (StackConfig::max_buffer_bytes): what does not fit is not
// accepted, the peer still has it, and nobody waits for ever.
#include <gtest/gtest.h>

#include "sim/scripted_peer.h"

namespace fairlead::sim {
namespace {

using host::State;

constexpr ScriptedPeer::Handshake kPlain{.wscale = {}, .sack = false, .timestamps = false};
constexpr uint32_t kChunk = host::Chunk::kCapacity;

ScriptedPeer::Options with_chunks(size_t count) {
  ScriptedPeer::Options options;
  options.stack.max_buffer_bytes = count * sizeof(host::Chunk);
  return options;
}

/// Segments of 1000 bytes from `from` to `to`.
std::vector<Seg> stream(uint32_t from, uint32_t to) {
  std::vector<Seg> segments;
  for (; from < to; from += 1000) {
    segments.push_back(seg().seq(from).ack(1).data(std::min(1000u, to - from)));
  }
  return segments;
}

/// Reads everything at once, where it lies in its packets.
class PromptReader final : public host::Observer {
 public:
  explicit PromptReader(host::Connection& connection) : connection_(connection) {
    connection.set_observer(this);
  }
  void on_events(uint8_t) override {
    while (connection_.readable() > 0) {
      size_t n = connection_.peek().size();
      connection_.consume(n);
      bytes += n;
    }
  }
  size_t bytes = 0;

 private:
  host::Connection& connection_;
};

class EventLog final : public host::Observer {
 public:
  void on_events(uint8_t events) override { seen = static_cast<uint8_t>(seen | events); }
  uint8_t seen = 0;
};

/// Looks at what there is and reads nothing.
class Onlooker final : public host::Observer {
 public:
  explicit Onlooker(host::Connection& connection) : connection_(connection) {
    connection.set_observer(this);
  }
  void on_events(uint8_t) override {
    readable = connection_.readable();
    fin = connection_.fin_received();
  }
  size_t readable = 0;
  bool fin = false;

 private:
  host::Connection& connection_;
};

TEST(TcpBuffers, WhatTheApplicationHasSeenIsNotTakenBack) {
  for (size_t chunks = 1; chunks <= 8; ++chunks) {
    ScriptedPeer peer(with_chunks(chunks));
    peer.establish_passive(kPlain);
    Onlooker onlooker(peer.connection());
    std::vector<Seg> burst = stream(1, 20'001);
    burst.back().fin();
    peer.deliver_burst(burst);
    EXPECT_GT(onlooker.readable, 0u);
    EXPECT_EQ(peer.connection().readable(), onlooker.readable);
    EXPECT_EQ(peer.connection().fin_received(), onlooker.fin);
    EXPECT_LE(peer.stack().buffer_bytes(), chunks * sizeof(host::Chunk));
    peer.ignore_sent();
  }
}

TEST(TcpBuffers, WhatDoesNotFitIsNotAcknowledgedAndComesAgain) {
  ScriptedPeer peer(with_chunks(1));
  peer.establish_passive(kPlain);
  peer.deliver_burst(stream(1, 6001));
  peer.expect(seg().ack(1 + kChunk));
  peer.ignore_sent();
  EXPECT_GT(peer.counters().drop_no_buffer, 0u);
  EXPECT_EQ(peer.stack().buffer_bytes(), sizeof(host::Chunk));
  EXPECT_EQ(peer.read(10'000), kChunk);
  peer.ignore_sent();
  peer.deliver(seg().seq(1 + kChunk).ack(1).data(1000));
  peer.expect(seg().ack(1 + kChunk + 1000));
  EXPECT_EQ(peer.read(10'000), 1000u);  // the stream's bytes: read() looks at them
  EXPECT_EQ(peer.stack().buffer_bytes(), 0u);
}

TEST(TcpBuffers, AGapThatClosesWhenThereIsNoRoomStaysClosedForLater) {
  ScriptedPeer peer(with_chunks(1));
  peer.establish_passive(kPlain);
  peer.deliver(seg().seq(1001).ack(1).data(1000));  // takes the only chunk
  peer.expect(seg().ack(1));
  peer.deliver(seg().seq(1).ack(1).data(1000));
  peer.expect_nothing();  // nothing was accepted
  EXPECT_EQ(peer.connection().readable(), 0u);
  peer.expect_state(State::kEstablished);
}

TEST(TcpBuffers, AGapClosesFromTheReserve) {
  ScriptedPeer peer(with_chunks(4));
  peer.establish_passive(kPlain);
  peer.deliver_burst(stream(1001, 20'001));
  peer.ignore_sent();
  EXPECT_EQ(peer.stack().buffer_bytes(), 3 * sizeof(host::Chunk));
  peer.deliver(seg().seq(1).ack(1).data(1000));
  peer.expect(seg().ack(1001 + 3 * kChunk));
  EXPECT_EQ(peer.read(20'000), 1000 + 3 * kChunk);
  peer.ignore_sent();
}

TEST(TcpBuffers, AFinBehindWhatDoesNotFitIsNotReceived) {
  ScriptedPeer peer(with_chunks(1));
  peer.establish_passive(kPlain);
  std::vector<Seg> burst = stream(1, 5001);
  burst.back().fin();
  peer.deliver_burst(burst);
  peer.expect(seg().ack(1 + kChunk));
  peer.ignore_sent();
  EXPECT_EQ(peer.read(10'000), kChunk);
  EXPECT_FALSE(peer.connection().end_of_stream());
  peer.ignore_sent();
  peer.deliver(seg().fin().seq(1 + kChunk).ack(1).data(5000 - kChunk));
  peer.expect(seg().ack(5002));
  EXPECT_EQ(peer.read(10'000), 5000 - kChunk);
  EXPECT_TRUE(peer.connection().end_of_stream());
}

TEST(TcpBuffers, NothingIsLostWhenBothSidesClose) {
  // Each way into TIME-WAIT or CLOSED, with the peer's last bytes and FIN not accepted at first.
  enum class Way { kWeClosedFirst, kSimultaneously, kPeerClosedFirst };
  for (Way way : {Way::kWeClosedFirst, Way::kSimultaneously, Way::kPeerClosedFirst}) {
    SCOPED_TRACE(static_cast<int>(way));
    ScriptedPeer peer(with_chunks(1));
    peer.establish_passive(kPlain);
    std::vector<Seg> burst = stream(1, 5001);
    burst.back().fin();
    if (way != Way::kPeerClosedFirst) peer.shutdown();
    if (way == Way::kWeClosedFirst) {
      peer.deliver(seg().seq(1).ack(2));
      for (Seg& s : burst) s.ack(2);
    }
    peer.deliver_burst(burst);
    if (way == Way::kPeerClosedFirst) peer.shutdown();
    if (way != Way::kWeClosedFirst) peer.deliver(seg().seq(1 + kChunk).ack(2));
    EXPECT_EQ(peer.read(10'000), kChunk);
    peer.deliver(seg().fin().seq(1 + kChunk).ack(2).data(5000 - kChunk));
    EXPECT_EQ(peer.read(10'000), 5000 - kChunk);
    EXPECT_TRUE(peer.connection().end_of_stream());
    EXPECT_EQ(peer.connection().error(), Errc::kOk);
    peer.expect_state(State::kTimeWait);
    peer.ignore_sent();
  }
}

TEST(TcpBuffers, OneThatReadsAtOnceGoesOnWhenOthersHaveFilledTheRest) {
  ScriptedPeer peer(with_chunks(8));
  host::Listener& listener = peer.listen();
  peer.deliver(seg().syn().seq(0).mss(1460).from_port(6000));
  peer.ignore_sent();
  peer.deliver(seg().seq(1).ack(1).from_port(6000));
  host::Connection* prompt = listener.accept();
  ASSERT_NE(prompt, nullptr);
  PromptReader reader(*prompt);
  uint32_t prompt_isn = peer.stack_isn();
  peer.establish_passive(kPlain);  // the other, which does not read
  peer.deliver_burst(stream(1, 30'001));
  peer.ignore_sent();
  ASSERT_EQ(peer.stack().buffer_bytes(), 6 * sizeof(host::Chunk));
  for (uint32_t at = 1; at < 20'000; at += 1000) {
    uint32_t ack = 1 + prompt_isn - peer.stack_isn();
    peer.deliver(seg().seq(at).ack(ack).data(1000).from_port(6000));
    peer.ignore_sent();
  }
  EXPECT_EQ(reader.bytes, 20'000u);
  prompt->set_observer(nullptr);
  peer.stack().release(prompt);
}

TEST(TcpBuffers, AWriterIsToldWhenAnotherConnectionHasGivenBuffersBack) {
  ScriptedPeer peer(with_chunks(2));
  host::Listener& listener = peer.listen();
  peer.deliver(seg().syn().seq(0).mss(1460).from_port(6000));
  peer.ignore_sent();
  peer.deliver(seg().seq(1).ack(1).from_port(6000));
  host::Connection* writer = listener.accept();
  ASSERT_NE(writer, nullptr);
  peer.establish_passive(kPlain);
  peer.deliver_burst(stream(1, 10'001));
  peer.ignore_sent();
  std::array<uint8_t, 100> bytes{};
  // What says that there is room must mean it: whoever believes it tries again at once.
  EXPECT_EQ(writer->writable(), 0u);
  EXPECT_EQ(writer->write(bytes), 0u);
  EventLog log;
  writer->set_observer(&log);
  peer.tick(seconds(2));
  EXPECT_EQ(log.seen & host::event::kWritable, 0);
  EXPECT_FALSE(peer.stack().next_deadline());  // waiting costs no turns of the loop
  peer.read(10'000);
  peer.tick(milliseconds(20));
  EXPECT_NE(log.seen & host::event::kWritable, 0);
  EXPECT_EQ(writer->write(bytes), 100u);
  writer->set_observer(nullptr);
  peer.call("abort", [&] { writer->abort(); });
  peer.stack().release(writer);
  peer.ignore_sent();
}

}  // namespace
}  // namespace fairlead::sim
