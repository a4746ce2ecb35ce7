// Quasi-TCBs: a connection that began as one does what it would have done with a full TCB from the
// start, whatever happens to it, in whatever order, within its first burst or later.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "base/random.h"
#include "sim/scripted_peer.h"

namespace fairlead::sim {
namespace {

struct Event {
  std::string_view name;
  std::function<void(ScriptedPeer&, host::Connection&)> act;
};

void read(host::Connection& c, size_t most) {
  while (most > 0 && c.readable() > 0) {
    const size_t n = std::min(most, c.peek().size());
    c.consume(n);
    most -= n;
  }
}

/// Writes the stream's next bytes.
void write(host::Connection& c, size_t size) {
  const std::string bytes = script_bytes(1, size);
  c.write({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()});
}

/// What an application can do, at any time.
const std::vector<Event>& calls() {
  static const std::vector<Event> all{
      {"nothing", [](auto&, auto&) {}},
      {"read 1", [](auto&, auto& c) { read(c, 1); }},
      {"read all", [](auto&, auto& c) { read(c, SIZE_MAX); }},
      {"write nothing", [](auto&, auto& c) { c.write({}); }},
      {"write 10", [](auto&, auto& c) { write(c, 10); }},
      {"write a segment", [](auto&, auto& c) { write(c, 1448); }},
      {"write a chunk", [](auto&, auto& c) { write(c, host::Chunk::kCapacity); }},
      {"write more", [](auto&, auto& c) { write(c, 20'000); }},
      {"forward", [](auto&, auto& c) { c.forward(c); }},
      {"forward 3", [](auto&, auto& c) { c.forward(c, 3); }},
      {"shutdown", [](auto&, auto& c) { c.shutdown_write(); }},
      {"abort", [](auto&, auto& c) { c.abort(); }},
      {"hold ACKs", [](auto&, auto& c) { c.hold_acks(true); }},
      {"release ACKs", [](auto&, auto& c) { c.hold_acks(false); }},
      {"no delay", [](auto&, auto& c) { c.set_nodelay(true); }},
      {"cork", [](auto&, auto& c) { c.set_cork(true); }},
      {"keep-alive", [](auto&, auto& c) { c.set_keepalive(true); }},
      {"info", [](auto&, auto& c) { static_cast<void>(c.info()); }},
  };
  return all;
}

/// What its peer can do, and time.
const std::vector<Event>& arrivals() {
  static const std::vector<Event> all{
      {"ACK", [](auto& peer, auto&) { peer.deliver(seg().seq(1).ack(1)); }},
      {"text", [](auto& peer, auto&) { peer.deliver(seg().seq(1).ack(1).data(100)); }},
      {"next text", [](auto& peer, auto&) { peer.deliver(seg().seq(101).ack(1).data(100)); }},
      {"later text", [](auto& peer, auto&) { peer.deliver(seg().seq(501).ack(1).data(100)); }},
      {"ACK of ours", [](auto& peer, auto&) { peer.deliver(seg().seq(101).ack(11)); }},
      {"ACK of nothing", [](auto& peer, auto&) { peer.deliver(seg().seq(1).ack(90'000)); }},
      {"another window", [](auto& peer, auto&) { peer.deliver(seg().seq(1).ack(1).win(7)); }},
      {"zero window", [](auto& peer, auto&) { peer.deliver(seg().seq(101).ack(1).win(0)); }},
      {"FIN", [](auto& peer, auto&) { peer.deliver(seg().seq(1).ack(1).fin()); }},
      {"FIN with text", [](auto& peer, auto&) { peer.deliver(seg().seq(1).ack(1).data(9).fin()); }},
      {"RST", [](auto& peer, auto&) { peer.deliver(seg().seq(101).rst()); }},
      {"SYN", [](auto& peer, auto&) { peer.deliver(seg().seq(101).syn()); }},
      {"urgent", [](auto& peer, auto&) { peer.deliver(seg().seq(1).ack(1).urg(1).data(5)); }},
      {"SACK", [](auto& peer, auto&) { peer.deliver(seg().seq(1).ack(1).sack({{5, 9}})); }},
      {"CE", [](auto& peer, auto&) { peer.deliver(seg().seq(1).ack(1).data(100).ce()); }},
      {"no timestamps", [](auto& peer, auto&) { peer.deliver(seg().seq(1).ack(1).no_ts()); }},
      {"old timestamp",
       [](auto& peer, auto&) {
         peer.deliver(seg().seq(1).ack(1).data(100).ts_value(peer.ts_clock() - 100));
       }},
      {"beyond the window",
       [](auto& peer, auto&) { peer.deliver(seg().seq(3'000'001).ack(1).data(1)); }},
      {"1 ms", [](auto& peer, auto&) { peer.tick(milliseconds(1)); }},
      {"50 ms", [](auto& peer, auto&) { peer.tick(milliseconds(50)); }},
      {"a minute", [](auto& peer, auto&) { peer.tick(minutes(1)); }},
  };
  return all;
}

/// What a connection goes through.
struct Story {
  bool ecn;
  bool teardown;
  size_t first;                     // bytes of text with the handshake's last segment
  std::vector<const Event*> burst;  // in the burst that made it
  bool release_in_burst;
  std::vector<const Event*> later;
};

std::string text_of(const Story& story) {
  std::string text = fmt::format("{}{}{} bytes:", story.ecn ? "ECN, " : "",
                                 story.teardown ? "teardown, " : "", story.first);
  for (const Event* event : story.burst) text += fmt::format(" {},", event->name);
  text += story.release_in_burst ? " release |" : " |";
  for (const Event* event : story.later) text += fmt::format(" {},", event->name);
  return text;
}

/// Accepts, and acts at once, as a coroutine would that waits for the listener.
class Acceptor final : public host::Observer {
 public:
  Acceptor(ScriptedPeer& peer, host::Listener& listener, const Story& story)
      : peer_(peer), listener_(listener), story_(story) {
    listener.set_observer(this);
  }
  ~Acceptor() { listener_.set_observer(nullptr); }

  void on_events(uint8_t) override {
    if (accepted_) return peer_.stack().release(listener_.accept());
    accepted_ = true;
    connection_ = listener_.accept();
    began_as_quasi_ = connection_->is_quasi();
    for (const Event* event : story_.burst) event->act(peer_, *connection_);
    if (story_.release_in_burst) peer_.stack().release(std::exchange(connection_, nullptr));
  }
  host::Connection* connection() { return connection_; }
  host::Connection* take() { return std::exchange(connection_, nullptr); }
  bool began_as_quasi() const { return began_as_quasi_; }

 private:
  ScriptedPeer& peer_;
  host::Listener& listener_;
  const Story& story_;
  host::Connection* connection_ = nullptr;
  bool accepted_ = false;
  bool began_as_quasi_ = false;
};

std::string state_of(const host::Connection& c) {
  return fmt::format("{} {} readable {}{} held {} unsent {} acked {} isn {}",
                     host::state_name(c.state()), errc_name(c.error()), c.readable(),
                     c.end_of_stream() ? " end" : "", c.held(), c.unsent_or_unacked(),
                     c.acknowledged_to_peer().value(), c.peer_isn().value());
}

struct Told {
  std::vector<std::string> lines;
  bool began_as_quasi = false;
};

/// Everything the story's connection has sent and shown. `full`: with a full TCB from the start.
Told tell(const Story& story, bool full) {
  ScriptedPeer::Options small;
  small.stack.max_setup_replays = small.stack.max_teardowns = 16;  // thousands of them are made
  ScriptedPeer peer(small);
  host::ListenOptions options;
  options.setup_offload = true;
  options.socket.ecn = story.ecn;
  options.socket.teardown_offload = story.teardown;
  options.socket.user_timeout = seconds(20);
  options.socket.quasi_tcb = !full;
  host::Listener& listener = peer.listen(options);
  Acceptor acceptor(peer, listener, story);
  Seg syn = seg().syn().mss(1460).sack_ok().wscale(7).ts(peer.ts_clock(), 0);
  if (story.ecn) syn.ece().cwr();
  peer.deliver(syn);
  peer.deliver(seg().seq(1).ack(1).data(story.first));

  Told told{.lines = {}, .began_as_quasi = acceptor.began_as_quasi()};
  const auto note = [&] {
    for (std::string& line : peer.take_sent()) told.lines.push_back(std::move(line));
    if (acceptor.connection() != nullptr) told.lines.push_back(state_of(*acceptor.connection()));
  };
  note();
  for (const Event* event : story.later) {
    if (acceptor.connection() == nullptr) break;
    peer.call(event->name, [&] { event->act(peer, *acceptor.connection()); });
    note();
  }
  if (host::Connection* c = acceptor.take()) peer.call("release", [&] { peer.stack().release(c); });
  note();
  // Its peer gives up, wherever it is: minutes of a teardown's timers take their time.
  for (const uint32_t more : {0u, 1u, 5u, 9u, 10u, 100u, 101u, 105u, 110u, 200u, 201u}) {
    peer.deliver(seg().seq(static_cast<uint32_t>(story.first) + 1 + more).rst());
  }
  note();
  peer.tick(minutes(5));
  note();
  EXPECT_EQ(peer.stack().connection_count(), 0u) << text_of(story);
  EXPECT_EQ(peer.stack().buffer_bytes(), 0u) << text_of(story);
  return told;
}

void expect_the_same(const Story& story) {
  const Told quasi = tell(story, false);
  const Told full = tell(story, true);
  ASSERT_FALSE(full.began_as_quasi);
  ASSERT_EQ(quasi.began_as_quasi, story.first <= 2000) << text_of(story);
  ASSERT_EQ(quasi.lines, full.lines) << text_of(story);
}

Story plain() {
  return {.ecn = false,
          .teardown = false,
          .first = 100,
          .burst = {},
          .release_in_burst = false,
          .later = {}};
}

TEST(TcpQuasiTcb, AnyCallPromotesItWithoutLoss) {
  for (const bool teardown : {false, true}) {
    for (const size_t first : {0u, 1u, 100u, 1400u}) {
      for (const Event& one : calls()) {
        for (const Event& two : calls()) {
          for (const bool release : {false, true}) {
            Story story = plain();
            story.teardown = teardown;
            story.first = first;
            story.burst = {&one, &two};
            story.release_in_burst = release;
            expect_the_same(story);
            if (HasFailure()) return;
          }
        }
      }
    }
  }
}

TEST(TcpQuasiTcb, AnyArrivalPromotesItWithoutLoss) {
  for (const size_t first : {0u, 100u}) {
    for (const Event& one : arrivals()) {
      for (const Event& two : arrivals()) {
        for (const std::string_view call : {"nothing", "read all", "write 10", "shutdown"}) {
          Story story = plain();
          story.first = first;
          story.later = {&one, &*std::ranges::find(calls(), call, &Event::name), &two};
          expect_the_same(story);
          if (HasFailure()) return;
        }
      }
    }
  }
}

TEST(TcpQuasiTcb, WhateverHappensItIsAsIfThereHadBeenAFullTcb) {
  Rng rng(1);
  const auto any_of = [&rng](const std::vector<Event>& events) {
    return &events[rng.below(events.size())];
  };
  for (int i = 0; i < 2000; ++i) {
    Story story = plain();
    story.ecn = rng.chance(0.3);
    story.teardown = rng.chance(0.5);
    story.first = rng.chance(0.5) ? 0 : rng.below(1400);
    story.release_in_burst = rng.chance(0.2);
    for (uint64_t n = rng.below(4); n > 0; --n) story.burst.push_back(any_of(calls()));
    for (uint64_t n = rng.below(8); n > 0; --n) {
      story.later.push_back(any_of(rng.chance(0.5) ? calls() : arrivals()));
    }
    expect_the_same(story);
    if (HasFailure()) return;
  }
}

TEST(TcpQuasiTcb, OneThatIsReadWrittenAndReleasedHasNeverMore) {
  Story story = plain();
  story.teardown = true;
  const auto& all = calls();
  const auto forward = std::ranges::find(all, "forward", &Event::name);
  const Event still_quasi{"is still", [](auto&, auto& c) { EXPECT_TRUE(c.is_quasi()); }};
  story.burst = {&*forward, &still_quasi};
  story.release_in_burst = true;
  const Told told = tell(story, false);
  EXPECT_TRUE(told.began_as_quasi);
}

TEST(TcpQuasiTcb, OneThatWaitsHasNoMoreUntilSomethingComes) {
  Story story = plain();
  story.first = 0;
  const Event still_quasi{"is still", [](auto&, auto& c) { EXPECT_TRUE(c.is_quasi()); }};
  const Event no_longer{"no longer", [](auto&, auto& c) { EXPECT_FALSE(c.is_quasi()); }};
  const Event& minute = *std::ranges::find(arrivals(), "a minute", &Event::name);
  const Event& ack = *std::ranges::find(arrivals(), "ACK", &Event::name);
  const Event& text = *std::ranges::find(arrivals(), "text", &Event::name);
  story.later = {&minute, &ack, &still_quasi, &text, &no_longer};
  tell(story, false);
}

}  // namespace
}  // namespace fairlead::sim
