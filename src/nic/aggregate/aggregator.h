// Aggregator: large receive. Packets of one connection that come one after another leave as one
// legal packet of up to 64 KiB, so that whatever is behind handles up to 45 times fewer.
//
//   packet ──▶ candidate? ──no──▶ simple path: passes by as it is
//                 │ yes
//              context, found or made ──database full──▶ simple path
//                 │
//              fits what was gathered? ──no──▶ that is sent, the packet starts afresh
//                 │ yes        └── ahead of sequence: held where it belongs, in order
//              merged; sent when complete: FIN, PSH, short segment, THRESHOLD
//
//   AgTimer ──▶ what has been gathered since then is sent
//   DelTimer ─▶ likewise, and the context is deleted
//
// What is known of connections is learnt from their traffic alone (context_database.h); what is
// gathered of one is an Aggregate. Nothing is ever dropped or duplicated, and what a context's
// packets carry leaves in order of sequence as far as it came within AgTimer.
//
// Nearly every packet goes on with what is gathered of its connection. It is recognised without a
// look-up (recent_aggregates.h) and without parsing (run_headers.h), in add_successor(), which
// does what the full way would do, or nothing.
//
// A connection whose packets come further apart than AgTimer gains nothing here but delay. So when
// two in a row have waited alone until AgTimer expired, the next one after such a pause does not
// wait; what comes sooner is gathered again.
//
// AgTimer has one length for all, so the open aggregates are a queue by deadline: O(1), and exact
// to the nanosecond. An aggregate whose run has left keeps its deadline while it holds something
// early.
//
// Bounds, each counted: contexts (the packet takes the simple path), open aggregates (the oldest is
// sent), segments held early per aggregate (everything gathered of it is sent). All memory is
// allocated at construction.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <span>

#include "base/intrusive_list.h"
#include "nic/aggregate/aggregate.h"
#include "nic/aggregate/aggregate_config.h"
#include "nic/aggregate/aggregate_counters.h"
#include "nic/aggregate/context_database.h"
#include "nic/aggregate/recent_aggregates.h"
#include "port/packet.h"

namespace fairlead::nic {

/// Takes what an Aggregator gives.
class PacketSink {
 public:
  virtual ~PacketSink() = default;
  /// A packet as it came, lent for as long as its frame was lent to the Aggregator.
  virtual void pass(const port::RxPacket& packet) { deliver(packet, {}); }
  /// Valid during the call. An aggregate has gso_size, at which it can be cut into the segments it
  /// was made of; its checksum is kVerified, or kPartial with AggregateConfig::leave_checksum.
  /// Whoever takes its buffer (packet.buffer) gives it back before the Aggregator ends. `chain`
  /// follows packet.frame, which then has headers only: the payload of an aggregate, a
  /// fragment for each segment, in the frames that came. Empty without AggregateConfig::chain.
  virtual void deliver(const port::RxPacket& packet, std::span<const ByteSpan> chain) = 0;
};

/// What packets have waited here.
struct AggregateDelay {
  Duration total{};  // over all packets
  Duration longest{};
};

class Aggregator {
 public:
  /// The configuration has been checked.
  Aggregator(const AggregateConfig& config, Time now);
  ~Aggregator();
  Aggregator(const Aggregator&) = delete;
  Aggregator& operator=(const Aggregator&) = delete;

  /// `now` does not go back from call to call. Deadlines that have passed are on_timer()'s. Frames
  /// are borrowed for the call; with AggregateConfig::chain until they are delivered.
  void on_burst(std::span<const port::RxPacket> packets, Time now, PacketSink& sink);
  void on_packet(const port::RxPacket& packet, Time now, PacketSink& sink) {
    on_burst({&packet, 1}, now, sink);
  }
  void on_timer(Time now, PacketSink& sink);
  /// When on_timer() has something to do: then no packet waits for longer than AgTimer.
  std::optional<Time> next_deadline() const;
  /// Sends all that is gathered.
  void flush(Time now, PacketSink& sink);

  size_t contexts() const { return database_.size(); }
  const AggregateCounters& counters() const { return counters_; }
  const AggregateDelay& delay() const { return delay_; }

 private:
  /// Packets whose memory is fetched together. Their Segments, 5 KiB, fit the nearest cache.
  static constexpr size_t kBurst = 32;

  /// A packet of a burst: what it probably goes on with, or else what was read.
  struct Read {
    const port::RxPacket* packet = nullptr;
    uint64_t bits = 0;  // RecentAggregates'
    Aggregate* recent = nullptr;
    Segment segment;
    uint64_t hash = 0;
    std::optional<SimpleReason> refused;
  };
  /// A packet on its way through.
  struct Arrival {
    const port::RxPacket& packet;
    const Segment& segment;
    uint64_t bits;
    Context& context;
    bool after_pause;  // of its connection, longer than AgTimer
    Time now;
    PacketSink& sink;
  };

  void look_ahead(std::span<const port::RxPacket> packets, Time now);
  void read_segments(std::span<Read* const> reads, Time now);
  bool add_successor(const port::RxPacket& packet, Aggregate& aggregate, Time now,
                     PacketSink& sink);
  void on_read(const Read& read, Time now, PacketSink& sink);
  void pass(const port::RxPacket& packet, uint64_t& reason, PacketSink& sink);
  // What a packet goes through that is not merged: calls would be a twentieth of it.
  [[gnu::always_inline]] void add(const Arrival& arrival);
  [[gnu::always_inline]] void start(const Arrival& arrival);
  [[gnu::always_inline]] void pass_segment(const Arrival& arrival, FlushReason reason);
  void on_unmergeable(const Arrival& arrival, FlushReason reason);
  void on_old_data(const Arrival& arrival);
  void on_mismatch(const Arrival& arrival, FlushReason reason);
  void on_gap(const Arrival& arrival);
  void add_next(const Arrival& arrival);
  void add_ahead(const Arrival& arrival);
  void gather(const Arrival& arrival);
  void start_afresh(const Arrival& arrival);
  std::optional<FlushReason> complete(const SegmentFields& fields, size_t ip_size,
                                      size_t segment_size) const;

  void append(Context& context, const SegmentFields& fields, Time now, PacketSink& sink);
  void append_held(Context& context, Time now, PacketSink& sink);
  void send_run(Context& context, FlushReason reason, Time now, PacketSink& sink);
  void send_all(Context& context, FlushReason reason, Time now, PacketSink& sink);
  Aggregate& take_aggregate(Time now, PacketSink& sink);
  void close(Context& context);
  void end(Context& context);

  AggregateConfig config_;
  PayloadSum wanted_;
  std::array<Read, kBurst> reads_;
  ContextDatabase database_;
  port::RxBufferPool buffers_;
  std::unique_ptr<Aggregate[]> aggregates_;
  RecentAggregates recent_;
  IntrusiveList<Aggregate, Aggregate> free_;
  IntrusiveList<Aggregate, Aggregate> open_;  // by deadline
  AggregateCounters counters_;
  AggregateDelay delay_;
};

}  // namespace fairlead::nic
