// SpliceTable: a shard's splices, and the seat `user`: translates their packets in this process.
//
//   packet ──▶ on_packet() ── no splice's ──▶ host stack
//                   └──────── a splice's ──▶ translated, on to the burst that is sent next
//
// With a kernel seat, a splice starts here and sinks when it has seen enough packets to be worth
// two map insertions (SpliceOptions::sink_after_*); what still comes up after that (packets that
// were on their way, a SYN, what the kernel's program does not do) is dealt with here. The end of a
// splice is seen by whoever translates its packets and decided here:
//
//   open ──▶ over: both FINs acknowledged ── time_wait ──▶ gone     late packets still pass
//     ├────▶ reset: a RST has passed ── close_timeout ──▶ gone      or open again: it was forged
//     └────▶ idle_timeout without a packet ──▶ gone: both ends are reset
//
// In each on_timer(), some of what has sunk is walked over: to give it its new way out when routes
// have changed, and to find ends that nobody was told of when the kernel has lost events.
//
// Bounds: `max_splices`; create() fails beyond it. `max_over` of them may be over and wait; at the
// bound the oldest goes early. Both are counted.
#pragma once

#include <array>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "base/hash_index.h"
#include "base/object_pool.h"
#include "base/rate_limit.h"
#include "nic/splice/kernel_seat.h"
#include "nic/splice/splice.h"
#include "port/packet.h"
#include "port/packet_builder.h"
#include "port/path.h"
#include "wire/flow_hasher.h"
#include "wire/icmp.h"

namespace fairlead::nic {

struct SpliceCounters {
  uint64_t opened = 0;
  uint64_t handover_us = 0;  // from being asked for to opened, of all of them
  uint64_t adopted = 0;      // found in the kernel's table after a restart
  uint64_t ended = 0;
  uint64_t sunk = 0;              // went down to the kernel's seat
  uint64_t sink_refused = 0;      // the kernel's table was full; it stays here
  uint64_t adopt_refused = 0;     // found, but max_splices reached: ended
  uint64_t rewired = 0;           // given another way out
  uint64_t sweeps = 0;            // over all that has sunk, for ends whose events were lost
  uint64_t translated = 0;        // packets, here
  uint64_t icmp_translated = 0;   // errors, handed on to the end they are for
  uint64_t syns_limited = 0;      // would have been answered, but for kAnswersPerSecond
  uint64_t icmp_limited = 0;      // likewise
  uint64_t syns_answered = 0;     // to ends that have forgotten, or have not heard our ACK
  uint64_t too_big_answered = 0;  // "packet too big" sent
  uint64_t too_big_limited = 0;   // not sent: kAnswersPerSecond
  uint64_t drop_malformed = 0;
  uint64_t drop_unsupported = 0;  // IP options, extension headers, fragments
  uint64_t drop_bad_icmp = 0;     // errors about nothing in flight, or of no use
  uint64_t drop_ttl = 0;
  uint64_t drop_no_path = 0;
  uint64_t over_recycled = 0;   // ended early: max_over reached
  uint64_t over_reused = 0;     // by a new connection of ours or a new SYN
  uint64_t resets_doubted = 0;  // packets went on after a RST

  /// Calls handle(name, value) for each.
  template <typename Handle>
  void for_each(const Handle& handle) const {
    handle(std::string_view("opened"), opened);
    handle(std::string_view("handover_us"), handover_us);
    handle(std::string_view("adopted"), adopted);
    handle(std::string_view("ended"), ended);
    handle(std::string_view("sunk"), sunk);
    handle(std::string_view("sink_refused"), sink_refused);
    handle(std::string_view("adopt_refused"), adopt_refused);
    handle(std::string_view("rewired"), rewired);
    handle(std::string_view("sweeps"), sweeps);
    handle(std::string_view("translated"), translated);
    handle(std::string_view("icmp_translated"), icmp_translated);
    handle(std::string_view("syns_answered"), syns_answered);
    handle(std::string_view("syns_limited"), syns_limited);
    handle(std::string_view("icmp_limited"), icmp_limited);
    handle(std::string_view("too_big_answered"), too_big_answered);
    handle(std::string_view("too_big_limited"), too_big_limited);
    handle(std::string_view("drop_malformed"), drop_malformed);
    handle(std::string_view("drop_unsupported"), drop_unsupported);
    handle(std::string_view("drop_bad_icmp"), drop_bad_icmp);
    handle(std::string_view("drop_ttl"), drop_ttl);
    handle(std::string_view("drop_no_path"), drop_no_path);
    handle(std::string_view("over_recycled"), over_recycled);
    handle(std::string_view("over_reused"), over_reused);
    handle(std::string_view("resets_doubted"), resets_doubted);
  }
};

/// What becomes of the splices of the kernel's seat when this process ends.
enum class SunkSplices : uint8_t { kReset, kLeave };

class SpliceTable {
 public:
  struct Bounds {
    size_t max_splices = 1 << 19;
    size_t max_over = 1 << 16;
  };

  SpliceTable(const Bounds& bounds, port::Router& router, FlowHasher hasher, Time now);
  ~SpliceTable();
  SpliceTable(const SpliceTable&) = delete;
  SpliceTable& operator=(const SpliceTable&) = delete;

  /// nullptr: splices stay here. Outlives this object or is taken away before. `interfaces`:
  /// indexes, by port_index.
  void use_kernel_seat(KernelSeat* seat, std::vector<uint32_t> interfaces = {}) {
    kernel_ = seat;
    interfaces_ = std::move(interfaces);
  }

  struct Adoption {
    uint16_t shard = 0;            // this one
    SplitTuples* split = nullptr;  // see Splice::split; outlives this object
    SpliceOptions options{};
  };
  /// Takes over a pair that was found in the kernel's table. False: max_splices reached, and its
  /// rules are gone.
  bool adopt(const SplicePair& found, const Adoption& how, Time now);
  /// Gives one that was adopted to its new owner.
  void set_options(Splice& splice, const SpliceOptions& options, Time now);

  /// A splice that no packet is looked up for yet; directions, rules and options are to be filled
  /// in. nullptr at the bound.
  Splice* create();
  /// Takes back a create().
  void discard(Splice& splice) { pool_.destroy(&splice); }
  /// From now on its packets are its own.
  void open(Splice& splice, Time now);
  /// Tells the observer of its end.
  void report(Splice& splice, SpliceEnd end);
  /// Ends it at once. Later packets are the host stack's, which answers RST.
  void remove(Splice& splice, SpliceEnd end);

  /// What tells the ends of a splice that it is no more, from each to the other: exact unless there
  /// is data on its way, and then the answer to what is sent next is. Fewer where there is no path.
  std::vector<port::TcpPacketSpec> resets(Splice& splice);

  /// The resets() of those that have been idle for too long, since the last call.
  std::vector<port::TcpPacketSpec> take_idle_resets() { return std::exchange(idle_resets_, {}); }
  /// Ends every splice, except those left to the kernel's seat, and returns their resets().
  std::vector<port::TcpPacketSpec> reset_all(SunkSplices sunk);

  bool empty() const { return index_.size() == 0; }
  size_t size() const { return index_.size() / 2; }
  /// Those that are not over.
  size_t active() const { return size() - over_count_; }
  /// The direction whose packets have `tuple`; nullptr: none.
  Splice::Direction* find(const FourTuple& tuple) const { return index_.find(tuple); }
  /// May a new connection of ours use `tuple`? A splice that has been over for a second gives way:
  /// its last packets have arrived, or their timestamps give them away (as tcp_tw_reuse of Linux).
  bool give_way(const FourTuple& tuple, Time now);

  /// `proves`: whether a packet proves a handshake that nobody here saw the beginning of (SYN
  /// cookies). One from a client ends the splice that has its addresses.
  void use_proofs(std::function<bool(const port::RxPacket&)> proves) {
    proves_ = std::move(proves);
  }

  enum class Outcome : uint8_t {
    kNotOurs,  // the host stack's
    kSend,     // `out` is to be sent; it refers to the packet's payload
    kDropped,
  };
  /// A packet has arrived.
  Outcome on_packet(const port::RxPacket& packet, Time now, port::TxPacket& out);
  /// A packet of `tuple` that on_packet() has called kNotOurs for what is in front of its TCP
  /// header. True: it is a splice's, and counted; nobody else is to answer.
  bool drop_unsupported(const FourTuple& tuple);
  /// It is a splice's.
  bool owns(const port::RxPacket& packet) const;
  enum class Made : uint8_t {
    kNothing,  // the reason is counted
    kPacket,   // what is sent on
    kAnswer,   // to whom the packet came from
  };
  /// What is to be sent because of a packet of `direction`; it refers to the packet's bytes.
  Made translate(Splice::Direction& direction, const port::RxPacket& packet, Time now,
                 port::TxPacket& out);
  /// Makes of `packet`, an intact ICMP error whose `error.tuple` is that of `back`, what is sent to
  /// the end whose packet it is about. Before open(), the caller has seen to it that this can be in
  /// flight. False: nothing, and the reason is counted.
  bool translate_error(Splice::Direction& back, const wire::TcpError& error,
                       const port::RxPacket& packet, Time now, port::TxPacket& out);
  /// Takes note of what the kernel's program has told of a rule of ours.
  void on_event(const fl_splice_event& event, Time now);

  void on_timer(Time now);
  /// In the past: on_timer() has more to do now.
  std::optional<Time> next_deadline() const;

  /// Wherever packets went; asks the kernel's seat.
  SpliceStatus status(const Splice& splice) const;
  /// When it will be forgotten unless there are more packets.
  static Time expiry(const Splice& splice, const SpliceStatus& status);

  const SpliceCounters& counters() const { return counters_; }
  void for_each(const std::function<void(Splice&)>& visit) const;

 private:
  /// Of what has sunk, in one on_timer(): some 50 us for ways to be looked up, as long again for
  /// ends.
  static constexpr size_t kSunkStep = 256;
  /// How long an end may be overdue because its event was lost, beside the sweep itself.
  static constexpr Duration kLostEventsInterval = seconds(1);
  /// Of each kind, as many as the host stack sends RSTs by default
  /// (StackConfig::resets_per_second): they cost more than a packet, and anybody may ask for them
  /// (RFC 5961 §7).
  static constexpr uint32_t kAnswersPerSecond = 1000;
  using Direction = Splice::Direction;
  static const FourTuple& key_of(const Direction& d) { return d.tuple; }

  bool find_way(Direction& direction);
  Made answer_syn(Direction& direction, const port::RxPacket& packet, Time now,
                  port::TxPacket& out);
  Made answer_too_big(const Direction& direction, const port::RxPacket& packet, Time now,
                      port::TxPacket& out);
  void sink_if_due(Splice& splice);
  void rewire(Splice& splice);
  bool may_be_anothers(const Direction& direction, const uint8_t* tcp) const;
  void supersede(Splice& splice);
  void look_for_changes(Time now);
  void walk_sunk(Time now);
  void refresh_way(Splice& splice, Time now);
  /// An end that the kernel's program has told of, or would have: events are hints, and may be
  /// lost. True: taken.
  bool find_end(Splice& splice, Time now);
  /// The kernel's program has seen an end.
  void take_end(Splice& splice, Time now);
  /// Back from the kernel's seat: from here on its end is seen here.
  void surface(Splice& splice);
  /// Likewise of one whose end has been seen: its rules are gone.
  void take_out(Splice& splice);
  void take_back(Splice& splice, const SpliceRecords& kernels);
  void take_counts(Splice& splice, const SpliceRecords& records);
  /// When to look whether it has been idle for too long.
  static Time idle_check(const Splice& splice, const SpliceStatus& status, Time now);
  static SpliceRecords records(const Splice& splice);
  static const fl_splice_rule& current_rule(const Direction& direction,
                                            const SpliceRecords& kernels);
  /// As the kernel's seat has them; all zero when it has none.
  SpliceRecords in_kernel(const Splice& splice) const;
  void note_end(Splice& splice, Time now);
  void on_splice_timer(Splice& splice, Time now);
  SpliceEnd end_of(const Splice& splice) const;

  Bounds bounds_;
  port::Router& router_;
  KernelSeat* kernel_ = nullptr;
  std::vector<uint32_t> interfaces_;
  IntrusiveList<Splice, SunkTag> sunk_;  // seat is not kUser
  size_t sunk_count_ = 0;
  uint64_t refreshed_generation_ = 0;  // of the router, that sunk_ is being refreshed for
  size_t refresh_left_ = 0;            // how many of sunk_, from the front
  std::function<bool(const port::RxPacket&)> proves_;  // may be none
  uint64_t swept_losses_ = 0;  // KernelSeat::events_lost() that sunk_ is being swept for
  size_t sweep_left_ = 0;      // as refresh_left_
  Time look_for_losses_at_{};
  ObjectPool<Splice> pool_;
  HashIndex<Direction, FourTuple, key_of, FlowHasher> index_;
  IntrusiveList<Splice, OverTag> over_;  // oldest first
  size_t over_count_ = 0;
  TimerWheel timers_;
  std::vector<port::TcpPacketSpec> idle_resets_;
  RateLimit too_big_;
  RateLimit syns_;
  RateLimit errors_;
  SpliceCounters counters_;
};

}  // namespace fairlead::nic
