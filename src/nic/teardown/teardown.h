// Teardown: closes connections for the host, which hands one over with its last data and forgets it
// (AccelTCP, NSDI '20, §4.2). All of it at seat `user`; at the kernel's seats its programs decide
// what is ordinary (use_kernel(), teardown_rule.h), and what they cannot comes up.
//
//   host ──take(Handover)──▶ flow: data + FIN sent, kept until acknowledged ──▶ report ──▶ gone
//                              ▲                                                  TIME-WAIT ──▶
//                              gone
//   packet ── on_segment() ────┘── not a flow's ──▶ host
//
//                 our FIN acked              peer's FIN
//     FIN-WAIT-1 ──────────────▶ FIN-WAIT-2 ───────────▶ TIME-WAIT
//        │ peer's FIN          our FIN acked               ▲
//        └───────────▶ CLOSING ────────────────────────────┘
//     LAST-ACK (the peer had closed first) ── our FIN acked ──▶ gone
//
// There is no congestion window: what is handed over fits the send window and goes out at once.
// Loss recovery is NewReno's for a sender with nothing new to send: three duplicate ACKs or a
// timeout resend the first segment, and each partial ACK until the end resends the next one.
//
// Data that comes after the hand-over has no reader: it is answered by RST, and the flow ends, as
// RFC 1122 §4.2.2.13 wants and Linux does.
//
// A flow's identity and path (Flow) and its state (FlowState, by flow id) live in pools; held data
// in chunks; timers in the bitmap wheel, but for TIME-WAIT, where all rest equally long and a queue
// will do. Nothing is allocated for a flow once the pools have grown to what is in use.
//
// Bounds: max_flows; when they are reached the oldest in TIME-WAIT goes early, or take() refuses.
// max_held_bytes: take() refuses. Refused: nothing has changed, and the host closes by itself.
//
//   teardown.cc         taking over, timers, ends
//   teardown_input.cc   "segment arrives" (RFC 9293 §3.10.7.4)
//   teardown_output.cc  building packets
//   teardown_kernel.cc  what the kernel's programs decide, and what has come of it
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <vector>

#include "base/hash_index.h"
#include "base/intrusive_list.h"
#include "base/object_pool.h"
#include "base/rate_limit.h"
#include "nic/teardown/flow_state.h"
#include "nic/teardown/held_data.h"
#include "nic/teardown/teardown_counters.h"
#include "nic/teardown/teardown_table.h"
#include "port/packet.h"
#include "port/packet_builder.h"
#include "wire/address.h"
#include "wire/flow_hasher.h"
#include "wire/tcp_options.h"

namespace fairlead::nic {

/// A connection whose application has closed it: ESTABLISHED or CLOSE-WAIT, or one state further
/// when its FIN is queued or sent and not acknowledged; its handshake complete, nothing received
/// that is unread, no blocking close.
struct Handover {
  FourTuple tuple;
  MacAddress local_mac;
  MacAddress next_hop;
  uint8_t port_index = 0;
  bool peer_closed = false;     // CLOSE-WAIT: rcv_nxt lies behind the peer's FIN
  uint16_t mss = 0;             // payload bytes per segment, options subtracted
  uint16_t window = 0;          // the header's field, scaled
  uint32_t receive_window = 0;  // the same in bytes, from rcv_nxt on
  uint32_t send_window = 0;     // bytes from snd_una on that receiver and congestion control take
  Duration rto{};               // current
  SeqNum snd_una{};             // where `data` begins
  SeqNum snd_nxt{};             // what lies before is on its way, the FIN perhaps included
  SeqNum rcv_nxt{};
  /// Agreed on: what our clock (1 ms, fl_timestamp_sent()) shows now, and the latest value to echo.
  std::optional<wire::Timestamps> timestamps;
  /// All that is not acknowledged, in order, without the FIN. Copied.
  std::span<const ByteSpan> data;
};

enum class TeardownRefusal : uint8_t {
  kFull,     // max_flows
  kBytes,    // max_held_bytes
  kWindow,   // more data than send_window
  kInUse,    // a flow has these addresses
  kInvalid,  // the hand-over contradicts itself
};

/// What of a received TCP segment matters here. Its checksum is intact.
struct TeardownSegment {
  FourTuple tuple;  // local: its destination
  SeqNum seq;
  SeqNum ack;
  uint16_t window = 0;   // the header's field
  uint8_t flags = 0;     // wire::tcp_flag
  uint32_t payload = 0;  // bytes
  std::optional<wire::Timestamps> timestamps;
  bool to_listener = false;  // a SYN for `tuple` would be taken

  bool has(uint8_t mask) const { return (flags & mask) != 0; }
  /// SEG.LEN of RFC 9293 §3.4.
  uint32_t length() const;
  SeqNum end() const { return seq + length(); }
};

enum class TeardownEnd : uint8_t {
  kClosed,  // both directions, in good order (TIME-WAIT may follow)
  kResetByPeer,
  kResetForData,  // the peer sent data after the application had closed
  kTimedOut,      // max_timeouts in a row without an answer
  kNeverClosed,   // all was acknowledged, but the peer's FIN did not come within fin_wait_2
  kRemoved,
};
/// "closed"
std::string_view teardown_end_name(TeardownEnd end);

struct TeardownReport {
  FourTuple tuple;
  TeardownEnd end;
  uint32_t bytes = 0;          // of data taken over
  uint32_t acked = 0;          // of these, acknowledged
  uint32_t retransmitted = 0;  // segments
  Duration lasted{};           // since the hand-over
};

class TeardownObserver {
 public:
  /// Once per flow, from within on_segment(), on_timer() or the destructor.
  virtual void on_teardown_end(const TeardownReport& report) = 0;

 protected:
  ~TeardownObserver() = default;
};

class Teardown {
 public:
  /// A timer comes up late by up to this fraction of its time, 3 ms of 200, and so many intervals
  /// of the wheel at most, so that those which are close share a slot.
  static constexpr int64_t kTimerSlack = 64;
  static constexpr uint64_t kMaxSlack = 64;

  struct Options {
    uint32_t max_flows = 1 << 16;
    size_t max_held_bytes = size_t{64} << 20;
    Duration time_wait = seconds(60);   // 2 MSL; Linux has the same
    Duration fin_wait_2 = seconds(60);  // Linux's tcp_fin_timeout
    /// With the shortest RTO, 200 ms, 102 s: RFC 1122 §4.2.3.5 wants at least 100 s (R2), and Linux
    /// does the same for what no application owns (tcp_orphan_retries).
    uint8_t max_timeouts = 8;
    uint32_t challenge_acks_per_second = 1000;  // RFC 5961 §7
  };

  /// `observer` outlives this object; nullptr: none.
  Teardown(const Options& options, FlowHasher hasher, TeardownObserver* observer, Time now);
  ~Teardown();
  Teardown(const Teardown&) = delete;
  Teardown& operator=(const Teardown&) = delete;

  /// From now on the kernel's programs decide for flows that have an entry in its table. Before the
  /// first take().
  void use_kernel(const TeardownTable& table) { kernel_ = table; }

  /// From now on the connection's packets are ours, and its end is reported.
  std::expected<void, TeardownRefusal> take(const Handover& handover, Time now);

  enum class Outcome : uint8_t {
    kNotOurs,
    kTaken,
    kReopened,  // a SYN that may follow TIME-WAIT, which is over: the host's, as a new connection
  };
  struct Verdict {
    Outcome outcome;
    SeqNum isn_above{};  // kReopened: where our new ISN must lie above (RFC 6191 §2)
  };
  Verdict on_segment(const TeardownSegment& segment, Time now);
  /// A peer has proven a new handshake for `tuple`, with this ACK and TSval: what it had before it
  /// has forgotten, and so do we. False: the ACK is for what the flow has in flight, a proof by
  /// chance; or there is TIME-WAIT which has seen that value, or none (RFC 6191 §2).
  bool yield_to(const FourTuple& tuple, SeqNum ack, uint32_t ts_value, Time now);
  /// For many segments at a time, in these steps, each for all of them: brings what on_segment()
  /// and yield_to() need into the processor's cache. `hash`: of the addresses.
  void prefetch(uint64_t hash) const { index_.prefetch(hash); }
  void prefetch_flow(uint64_t hash) const;
  void prefetch_state(uint64_t hash) const;
  /// ICMP: the packet with `seq` was too big for a path of `mtu`. False: not ours, or not in flight
  /// (RFC 5927 §4.1).
  bool on_too_big(const FourTuple& tuple, SeqNum seq, uint32_t mtu, Time now);
  /// May a new connection of ours use `tuple`? A flow that has been in TIME-WAIT for a second and
  /// has timestamps gives way (as tcp_tw_reuse of Linux).
  bool give_way(const FourTuple& tuple, Time now);

  /// Learns what the kernel's programs have decided, of all flows: for those who count. What is
  /// not asked for is learned in time for whatever depends on it.
  void catch_up(Time now) { look_at_given(pool_.capacity(), now); }

  void on_timer(Time now);
  /// Appends until nothing is left (false) or the burst is full (true: send it and call again).
  /// What is appended refers to held data: valid until the next call of anything else.
  bool transmit(port::PacketBurst& burst, Time now);
  /// In the past: transmit() has something now.
  std::optional<Time> next_deadline() const;

  /// Flows, those in TIME-WAIT included.
  size_t size() const { return pool_.live(); }
  /// Those that are not in TIME-WAIT: how full it is, against max_flows.
  size_t active() const { return size() - resting_; }
  size_t held_bytes() const { return held_pool_.live() * sizeof(HeldChunk); }
  std::optional<TeardownState> state(const FourTuple& tuple) const;
  /// visit(tuple): all but those in TIME-WAIT.
  template <typename Visit>
  void for_each_active(Visit&& visit) const {
    index_.for_each([&](const Flow& flow) {
      if (state_of(flow).state != TeardownState::kTimeWait) visit(flow.tuple);
    });
  }
  const Options& options() const { return options_; }
  const TeardownCounters& counters() const { return counters_; }

 private:
  /// RSTs per burst.
  static constexpr size_t kMaxReplies = 256;
  static constexpr Duration kMaxRto = seconds(60);     // RFC 6298 (2.5)
  static constexpr Duration kReuseAfter = seconds(1);  // as Linux
  static constexpr uint32_t kMaxWindow = 1u << 30;     // RFC 7323 §2.3
  static constexpr uint32_t kRefusedIntervalMs = 500;  // as Linux

  /// Flows given to the kernel, looked at each time on_timer() is called: the timers of the others
  /// look at theirs.
  static constexpr size_t kLooks = 32;
  /// Beyond the longest that a flow is expected to last: nobody answers for a process that has
  /// died.
  static constexpr Duration kGiftMargin = seconds(60);

  struct OutputTag {};
  struct RestTag {};
  struct GivenTag {};
  struct Flow : ListHook<OutputTag>, ListHook<RestTag>, ListHook<GivenTag> {
    FourTuple tuple;
    uint32_t id = 0;
    MacAddress local_mac;
    MacAddress next_hop;
    uint8_t port_index = 0;
    uint16_t mss = 0;
    uint16_t window = 0;
    uint16_t peer_window = 0;  // the field of the last segment
    uint32_t receive_window = 0;
    SeqNum next;             // to be sent: up to the state's end
    uint32_t ts_offset = 0;  // of our timestamp clock
    uint32_t refused_at_ms = 0;
    uint32_t bytes = 0;
    uint32_t retransmitted = 0;
    Time taken_at{};
    Time rests_until{};
    HeldData held;
    fl_teardown_entry* entry = nullptr;  // the kernel's table has it
    uint64_t word = 0;                   // the entry's, as last seen
    bool given = false;                  // the programs decide
    bool no_entry = false;               // there was no room
  };
  static const FourTuple& key_of(const Flow& flow) { return flow.tuple; }

  FlowState& state_of(const Flow& flow) { return states_[flow.id]; }
  const FlowState& state_of(const Flow& flow) const { return states_[flow.id]; }

  // teardown.cc
  std::optional<TeardownRefusal> refusal(const Handover& handover, uint64_t bytes) const;
  Flow* create(const FourTuple& tuple);
  void arm(Flow& flow, Duration wait, Time now);
  void disarm(Flow& flow);
  Duration rto(const FlowState& state) const;
  void on_flow_timer(Flow& flow, Time now);
  void enter_time_wait(Flow& flow, Time now);
  void report(const Flow& flow, TeardownEnd end, Time now);
  void end(Flow& flow, TeardownEnd end, Time now);
  void remove(Flow& flow);
  void rest_again(Flow& flow, Time now);
  void wants_output(Flow& flow);

  // teardown_input.cc
  Verdict on_flow_segment(Flow& flow, const TeardownSegment& segment, Time now);
  bool shrink(Flow& flow, SeqNum seq, uint32_t mtu);
  bool on_all_acked(Flow& flow, Time now);
  bool paws_rejects(const FlowState& state, const TeardownSegment& segment) const;
  bool acceptable(const Flow& flow, const TeardownSegment& segment) const;
  void refuse_unacceptable(Flow& flow, const TeardownSegment& segment, Time now);
  bool on_ack(Flow& flow, const TeardownSegment& segment, Time now);
  void on_advance(Flow& flow, SeqNum ack, Time now);
  void on_duplicate_ack(Flow& flow);
  void on_text(Flow& flow, const TeardownSegment& segment, Time now);
  void on_fin(Flow& flow, Time now);
  Verdict on_time_wait(Flow& flow, const TeardownSegment& segment, Time now);
  bool reopens(const FlowState& state, const TeardownSegment& segment) const;
  void ack_now(Flow& flow);
  void answer_sparingly(Flow& flow, Time now);
  void challenge(Flow& flow, Time now);

  // teardown_kernel.cc
  enum class Since : uint8_t { kSame, kMoved, kGone };  // of a flow's state
  void give(Flow& flow, Time now);
  Since take_back(Flow& flow, Time now);
  Since catch_up(Flow& flow, Time now);
  Since learn(Flow& flow, const TeardownNews& news, Time now);
  void look_at_given(size_t most, Time now);

  // teardown_output.cc
  port::TcpPacketSpec header(const Flow& flow, Time now) const;
  bool emit(Flow& flow, port::PacketBurst& burst, Time now);
  void emit_segment(Flow& flow, SeqNum at, port::TxPacket& packet, Time now);
  void reset_peer(const Flow& flow, Time now);

  Options options_;
  TeardownObserver* observer_;
  HeldPool held_pool_;
  ObjectPool<Flow> pool_;
  HashIndex<Flow, FourTuple, key_of, FlowHasher> index_;
  std::vector<FlowState> states_;  // by flow id, as far as ids were ever given
  std::vector<Flow*> by_id_;       // likewise
  std::vector<uint32_t> free_ids_;
  TimerBitmapWheel wheel_;
  IntrusiveList<Flow, OutputTag> output_;
  IntrusiveList<Flow, RestTag> rest_;  // in TIME-WAIT, the first to end first
  size_t resting_ = 0;
  std::optional<TeardownTable> kernel_;
  IntrusiveList<Flow, GivenTag> given_;  // not in TIME-WAIT, the one looked at last behind
  std::vector<port::TcpPacketSpec> replies_;
  RateLimit challenge_acks_;
  TeardownCounters counters_;
};

}  // namespace fairlead::nic
