// ScriptedPeer: one host stack, and a script that plays everybody else. For tests of TCP's rules,
// packet by packet:
//
//   ScriptedPeer peer;
//   peer.listen();
//   peer.deliver(seg().syn().mss(1460).sack_ok());
//   peer.expect(seg().syn().ack(1).mss(1460));
//   peer.deliver(seg().seq(1).ack(1));
//   host::Connection& c = peer.accept();
//   peer.deliver(seg().seq(1).ack(1).data(1000));
//   peer.expect(seg().ack(1001));
//
//        script ── deliver(seg) ──▶ Stack            192.0.2.2:5000 (peer), 192.0.2.1:80 (stack)
//               ◀── expect(seg) ──   ▲ │             no link between: nothing is lost or late
//                                    │ ▼
//                           tick(), the application's calls
//
// The stack's output queues up until it is expected. Numbers are relative (seg.h): the initial
// sequence number of the stack is learned from its SYN; the peer's is an option and lies just below
// the wrap by default. When an expectation fails, the history of all that was sent, received and
// done is printed with it, once.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "host/stack.h"
#include "sim/host.h"
#include "sim/seg.h"
#include "sim/simulator.h"

namespace fairlead::sim {

class ScriptedPeer {
 public:
  struct Options {
    bool ipv6 = false;
    uint16_t mtu = 1500;
    bool segmentation_offload = false;
    host::StackConfig stack{};
    host::SocketOptions socket{};
    std::optional<host::Offer> offer{};  // of connect()
    uint32_t peer_isn = 0xffff'f000;
    uint16_t stack_port = 80;
    uint16_t peer_port = 5000;
    uint64_t seed = 1;
  };
  /// What the peer's SYN has, for the handshakes below.
  struct Handshake {
    std::optional<uint16_t> mss = 1460;
    std::optional<uint8_t> wscale = 7;
    bool sack = true;
    bool timestamps = true;
    bool ecn = false;
    uint16_t win = 65535;  // in the SYN, where it is not scaled, and in the third segment
  };

  ScriptedPeer() : ScriptedPeer(Options{}) {}
  explicit ScriptedPeer(const Options& options);
  ~ScriptedPeer();

  // The other side of the wire.
  /// The stack receives this now, and answers what it will at once. When timestamps were agreed on
  /// and `s` says nothing about them, it carries the peer's clock (1 ms) and the latest echo.
  void deliver(Seg s);
  /// Any bytes.
  void deliver_frame(std::vector<uint8_t> frame);
  /// Several in one receive burst, before the stack has its turn.
  void deliver_burst(std::vector<Seg> segments);
  /// The oldest segment the stack has sent and nobody expected yet matches `s`. Returns it.
  Seg expect(const Seg& s);
  /// Nothing was sent beyond what was expected.
  void expect_nothing();
  /// Time runs until the stack sends something that matches `s`, which must be `after` from now,
  /// give or take the timer wheel's tick and 1 ms.
  Seg expect_after(Duration after, const Seg& s);
  /// Drops what the stack has sent so far.
  void ignore_sent();
  /// Likewise; when it was sent, and what.
  std::vector<std::string> take_sent();
  /// Segments sent and not expected yet.
  size_t sent() const { return sent_.size(); }
  void tick(Duration duration);
  /// Time passes, but the stack gets no turn: its timers are late when the next packet comes.
  void stall(Duration duration) { simulator_.stall(duration); }

  // The application on top of the stack. Every call is followed by a turn of the stack's loop.
  host::Listener& listen(const host::ListenOptions& options);
  host::Listener& listen();
  /// The connection that waits in the listener; a failure when none does, nullptr then.
  host::Connection* accept();
  host::Connection* connect();
  /// Writes `n` bytes of the scripted stream (script_byte()); returns how many were taken.
  size_t write(size_t n);
  /// Reads up to `n` bytes and checks that they are the scripted stream's next ones.
  size_t read(size_t n);
  void shutdown();
  void abort();
  void release();
  void call(std::string_view what, const std::function<void()>& action);

  // Both at once.
  /// Listens if need be, plays the peer's SYN and ACK, accepts.
  host::Connection* establish_passive(const Handshake& handshake);
  host::Connection* establish_passive() { return establish_passive(Handshake{}); }
  host::Connection* establish_active(const Handshake& handshake);
  host::Connection* establish_active() { return establish_active(Handshake{}); }

  void expect_state(host::State state);
  host::Connection& connection() { return *connection_; }
  /// The application's pointer is gone (released or never there).
  bool has_connection() const { return connection_ != nullptr; }
  host::Stack& stack() { return host_.stack(); }
  const host::Counters& counters() { return stack().counters(); }
  Time now() const { return simulator_.now(); }
  /// The peer's timestamp clock, and what the stack's showed in its last segment.
  uint32_t ts_clock() const;
  uint32_t last_ts_value() const { return last_ts_value_; }
  uint32_t peer_isn() const { return options_.peer_isn; }
  uint32_t stack_isn() const { return stack_isn_; }
  /// Addresses for hand-made frames, peer to stack.
  SegContext to_stack() const;

 private:
  struct Sent {
    Time when;
    Seg segment;
  };

  void on_frame(const Link::Frame& frame);
  void complete(Seg& s);
  void note(std::string line);
  void fail(const std::string& what);
  void turn();

  Options options_;
  Simulator simulator_;
  SimHost host_;
  std::deque<Sent> sent_;
  std::vector<std::string> history_;
  host::Listener* listener_ = nullptr;
  host::Connection* connection_ = nullptr;
  uint32_t stack_isn_ = 0;
  uint32_t last_ts_value_ = 0;
  uint32_t written_ = 0;  // bytes, by write()
  uint32_t read_ = 0;
  bool isn_known_ = false;
  bool timestamps_ = false;  // the peer offered them
  bool failed_ = false;
};

}  // namespace fairlead::sim
