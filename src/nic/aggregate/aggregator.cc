#include "nic/aggregate/aggregator.h"

#include <fmt/format.h>

#include <algorithm>

#include "wire/tcp.h"

namespace fairlead::nic {
namespace {

using wire::tcp_flag::kFin, wire::tcp_flag::kPsh, wire::tcp_flag::kRst, wire::tcp_flag::kSyn;

/// How many frames before its turn a frame is fetched.
constexpr size_t kFramesAhead = 6;

void prefetch_headers(ByteSpan frame) {
  __builtin_prefetch(frame.data());
  __builtin_prefetch(frame.data() + 64);  // Ethernet, IPv4 and TCP with timestamps are 66 bytes
}

}  // namespace

Result<void> AggregateConfig::check() const {
  const auto wrong = [](const std::string& text) { return fail(Errc::kInvalidArgument, text); };
  if (mtu < 576 || max_aggregate < mtu || max_aggregate > kMaxAggregate) {
    return wrong(fmt::format("max_aggregate: found {}; expected {} to {}", max_aggregate,
                             std::max<size_t>(mtu, 576), kMaxAggregate));
  }
  if (threshold > max_aggregate - mtu) {
    return wrong(fmt::format("threshold: found {}; expected at most {} (max_aggregate - MTU)",
                             threshold, max_aggregate - mtu));
  }
  if (ag_timer <= Duration() || del_timer <= Duration()) return wrong("a timer must not be 0");
  if (max_held > Aggregate::kMaxHeld) {
    return wrong(
        fmt::format("max_held: found {}; expected at most {}", max_held, Aggregate::kMaxHeld));
  }
  if (contexts == 0 || open_aggregates == 0) return wrong("a table must not be empty");
  return {};
}

Aggregator::Aggregator(const AggregateConfig& config, Time now)
    : config_(config),
      wanted_(config.leave_checksum ? PayloadSum::kNotWanted : PayloadSum::kWanted),
      database_(
          {.capacity = config.contexts, .del_timer = config.del_timer, .secret = config.secret},
          now),
      buffers_(config.open_aggregates + config.more_buffers),
      aggregates_(std::make_unique<Aggregate[]>(config.open_aggregates)),
      recent_(config.recent == 0 ? 0 : std::bit_ceil(config.recent)) {
  CHECK(config.check());
  for (size_t i = 0; i < config.open_aggregates; ++i) {
    aggregates_[i].use(
        {.buffer = buffers_.create(), .max_size = config.max_aggregate, .chained = config.chain});
    free_.push_back(aggregates_[i]);
  }
}

Aggregator::~Aggregator() {
  while (Aggregate* aggregate = open_.pop_front()) aggregate->context().aggregate = nullptr;
  while (free_.pop_front() != nullptr) continue;
  for (size_t i = 0; i < config_.open_aggregates; ++i) {
    buffers_.give_back(*aggregates_[i].buffer());
  }
}

void Aggregator::on_burst(std::span<const port::RxPacket> packets, Time now, PacketSink& sink) {
  while (!packets.empty()) {
    const auto burst = packets.first(std::min(packets.size(), kBurst));
    packets = packets.subspan(burst.size());
    counters_.packets_in += burst.size();
    look_ahead(burst, now);
    for (Read& read : std::span(reads_).first(burst.size())) {
      if (read.recent != nullptr) {
        if (add_successor(*read.packet, *read.recent, now, sink)) continue;
        Read* const late = &read;
        read_segments({&late, 1}, now);
      }
      on_read(read, now, sink);
    }
  }
}

/// What the packets will need is on its way when this returns.
void Aggregator::look_ahead(std::span<const port::RxPacket> packets, Time now) {
  std::array<Read*, kBurst> unknown;
  size_t count = 0;
  for (size_t i = 0; i < packets.size(); ++i) {
    if (i + kFramesAhead < packets.size()) prefetch_headers(packets[i + kFramesAhead].frame);
    Read& read = reads_[i];
    read.packet = &packets[i];
    read.bits = RecentAggregates::bits_of(packets[i].frame);
    read.recent = recent_.find(read.bits);
    if (read.recent == nullptr) unknown[count++] = &read;
  }
  if (count > 0) read_segments(std::span(unknown).first(count), now);
}

/// What on_read() will need of the database is on its way when this returns.
void Aggregator::read_segments(std::span<Read* const> reads, Time now) {
  for (Read* read : reads) {
    read->refused = read_segment(*read->packet, wanted_, read->segment);
    read->segment.fields.arrived = now;
  }
  // A key that was just written in small parts is read slowly: a loop of its own, and a hash for a
  // train of packets.
  const Read* before = nullptr;
  for (Read* read : reads) {
    if (read->refused) continue;
    const bool same = before != nullptr && before->segment.key == read->segment.key;
    read->hash = same ? before->hash : database_.hash_of(read->segment.key);
    if (!same) database_.prefetch_slot(read->hash);
    before = read;
  }
  for (const Read* read : reads) {
    if (!read->refused) database_.prefetch_context(read->hash);
  }
}

/// The short way, of a packet that may go on with `aggregate`: what on_read() would do with it, or
/// nothing and false.
bool Aggregator::add_successor(const port::RxPacket& packet, Aggregate& aggregate, Time now,
                               PacketSink& sink) {
  if (aggregate.run().count == 0 || aggregate.held() > 0) return false;
  Context& context = aggregate.context();
  SegmentFields fields;
  if (!aggregate.headers().read_next(packet, wanted_, context.next, fields)) return false;
  if (aggregate.obstacle(fields) || !aggregate.has_place(fields)) return false;
  ++counters_.recognised;
  fields.arrived = now;
  database_.touch(context, now);
  aggregate.place(fields);
  append(context, fields, now, sink);
  if (aggregate.empty()) close(context);
  return true;
}

void Aggregator::on_read(const Read& read, Time now, PacketSink& sink) {
  const port::RxPacket& packet = *read.packet;
  if (read.refused) return pass(packet, counters_[*read.refused], sink);
  const Segment& segment = read.segment;
  Context* context = database_.find(segment.key, read.hash);
  if (context == nullptr) {
    if (segment.obstacle) return pass(packet, counters_[SimpleReason::kNoContext], sink);
    context = database_.create(segment.key, segment.fields.seq, now);
    if (context == nullptr) return pass(packet, counters_[SimpleReason::kTableFull], sink);
    ++counters_.contexts_created;
  }
  const bool after_pause = now - context->last_packet() > config_.ag_timer;
  database_.touch(*context, now);
  const Arrival arrival{packet, segment, read.bits, *context, after_pause, now, sink};
  if (segment.obstacle) return on_unmergeable(arrival, *segment.obstacle);
  add(arrival);
}

void Aggregator::on_timer(Time now, PacketSink& sink) {
  while (!open_.empty() && open_.front().deadline() <= now) {
    send_all(open_.front().context(), FlushReason::kTimer, now, sink);
  }
  database_.expire(now, [&](Context& context) {
    send_all(context, FlushReason::kIdle, now, sink);
    database_.erase(context);
    ++counters_.contexts_idle;
  });
}

std::optional<Time> Aggregator::next_deadline() const {
  const std::optional<Time> idle = database_.next_deadline();
  if (open_.empty()) return idle;
  return idle ? std::min(*idle, open_.front().deadline()) : open_.front().deadline();
}

void Aggregator::flush(Time now, PacketSink& sink) {
  while (!open_.empty()) send_all(open_.front().context(), FlushReason::kEnd, now, sink);
}

// ---- where a packet belongs ---------------------------------------------------------------------

void Aggregator::add(const Arrival& arrival) {
  const SegmentFields& fields = arrival.segment.fields;
  const SeqNum next = arrival.context.next;
  if ((fields.flags & kFin) != 0 && fields.seq != next) {
    return on_unmergeable(arrival, FlushReason::kFin);
  }
  if (fields.seq.before(next)) return on_old_data(arrival);
  const Aggregate* aggregate = arrival.context.aggregate;
  if (aggregate == nullptr) return start(arrival);
  if (aggregate->overlaps_held(fields)) return on_unmergeable(arrival, FlushReason::kOldData);
  const RunHeaders& headers = aggregate->headers();
  const auto mismatch = header_mismatch(arrival.segment, headers.layout(), headers.bytes());
  if (mismatch) return on_mismatch(arrival, *mismatch);
  return fields.seq == next ? add_next(arrival) : add_ahead(arrival);
}

void Aggregator::add_next(const Arrival& arrival) {
  const SegmentFields& fields = arrival.segment.fields;
  Context& context = arrival.context;
  if (const auto reason = context.aggregate->obstacle(fields)) {
    send_run(context, *reason, arrival.now, arrival.sink);
  }
  if (context.aggregate->empty()) {
    close(context);
    return start(arrival);
  }
  if (!context.aggregate->has_place(fields)) return on_gap(arrival);
  context.aggregate->place(fields);
  append(context, fields, arrival.now, arrival.sink);
  append_held(context, arrival.now, arrival.sink);
  if ((fields.flags & kFin) != 0) {
    send_all(context, FlushReason::kFin, arrival.now, arrival.sink);
    end(context);
  } else if (context.aggregate->empty()) {
    close(context);
  }
}

void Aggregator::add_ahead(const Arrival& arrival) {
  const SegmentFields& fields = arrival.segment.fields;
  Aggregate& aggregate = *arrival.context.aggregate;
  if (!aggregate.has_place(fields) && aggregate.run().count > 0) {
    send_run(arrival.context, FlushReason::kGap, arrival.now, arrival.sink);
  }
  if (!aggregate.has_place(fields) || aggregate.held() == config_.max_held) {
    return on_gap(arrival);
  }
  aggregate.place(fields);
  aggregate.hold(fields);
  ++counters_.held;
}

void Aggregator::on_gap(const Arrival& arrival) {
  send_all(arrival.context, FlushReason::kGap, arrival.now, arrival.sink);
  if (arrival.segment.fields.seq.before(arrival.context.next)) {
    return pass_segment(arrival, FlushReason::kOldData);
  }
  arrival.context.next = arrival.segment.fields.seq;
  start(arrival);
}

void Aggregator::on_old_data(const Arrival& arrival) {
  const SegmentFields& fields = arrival.segment.fields;
  Context& context = arrival.context;
  send_all(context, FlushReason::kOldData, arrival.now, arrival.sink);
  // Two in sequence: the sender has gone back, or `next` was never true.
  const bool again = fields.seq == context.after_old;
  context.after_old = fields.end();
  if (!again) return pass_segment(arrival, FlushReason::kOldData);
  context.next = fields.seq;
  start(arrival);
}

void Aggregator::on_mismatch(const Arrival& arrival, FlushReason reason) {
  Context& context = arrival.context;
  const bool between = context.aggregate->held() > 0 && arrival.segment.fields.seq == context.next;
  if (between && context.aggregate->run().count > 0) {
    send_run(context, reason, arrival.now, arrival.sink);
  }
  if (!between) {
    send_all(context, reason, arrival.now, arrival.sink);
    return start_afresh(arrival);
  }
  // It belongs between the run and what is held, and with a FIN nothing is in order behind it.
  pass(arrival.packet, counters_[reason], arrival.sink);
  context.next = arrival.segment.fields.end();
  send_all(context, reason, arrival.now, arrival.sink);
  if ((arrival.segment.fields.flags & kFin) != 0) end(context);
}

void Aggregator::on_unmergeable(const Arrival& arrival, FlushReason reason) {
  send_all(arrival.context, reason, arrival.now, arrival.sink);
  pass_segment(arrival, reason);
}

void Aggregator::start_afresh(const Arrival& arrival) {
  if (arrival.segment.fields.seq.before(arrival.context.next)) {
    return pass_segment(arrival, FlushReason::kOldData);
  }
  start(arrival);
}

/// Nothing is gathered; the packet is not old.
void Aggregator::start(const Arrival& arrival) {
  const SegmentFields& fields = arrival.segment.fields;
  Context& context = arrival.context;
  // What could not be held, come what may, is not waited for.
  const auto ahead = static_cast<uint32_t>(fields.seq - context.next);
  if (ahead + fields.size > config_.max_aggregate || config_.max_held == 0) {
    context.next = fields.seq;
  }
  if (fields.seq == context.next) {
    if (const auto reason = complete(fields, arrival.segment.ip_size(), fields.size)) {
      return pass_segment(arrival, *reason);
    }
    if (context.is_sparse() && arrival.after_pause) {
      return pass_segment(arrival, FlushReason::kSparse);
    }
  }
  gather(arrival);
}

void Aggregator::gather(const Arrival& arrival) {
  const SegmentFields& fields = arrival.segment.fields;
  Context& context = arrival.context;
  Aggregate& aggregate = take_aggregate(arrival.now, arrival.sink);
  aggregate.open(context, arrival.segment, context.next, arrival.now + config_.ag_timer);
  context.aggregate = &aggregate;
  recent_.put(arrival.bits, aggregate);
  aggregate.place(fields);
  if (fields.seq == context.next) {
    append(context, fields, arrival.now, arrival.sink);
  } else {
    aggregate.hold(fields);
    ++counters_.held;
  }
}

// ---- sending ------------------------------------------------------------------------------------

void Aggregator::pass(const port::RxPacket& packet, uint64_t& reason, PacketSink& sink) {
  ++reason;
  ++counters_.packets_out;
  sink.pass(packet);
}

/// A packet of a context that has nothing gathered.
void Aggregator::pass_segment(const Arrival& arrival, FlushReason reason) {
  const SegmentFields& fields = arrival.segment.fields;
  pass(arrival.packet, counters_[reason], arrival.sink);
  if ((fields.flags & (kFin | kRst | kSyn)) != 0) {
    return end(arrival.context);
  }
  if (fields.end().after(arrival.context.next)) {
    arrival.context.next = fields.end();
  }
}

/// Why a run that ends with `fields` is to be sent at once.
std::optional<FlushReason> Aggregator::complete(const SegmentFields& fields, size_t ip_size,
                                                size_t segment_size) const {
  if ((fields.flags & kFin) != 0) return FlushReason::kFin;
  if ((fields.flags & kPsh) != 0 && !config_.carry_push) return FlushReason::kPush;
  if (fields.size < segment_size) return FlushReason::kShortSegment;
  if (ip_size > config_.threshold) return FlushReason::kFull;
  return std::nullopt;
}

void Aggregator::append(Context& context, const SegmentFields& fields, Time now, PacketSink& sink) {
  Aggregate& aggregate = *context.aggregate;
  aggregate.append(fields);
  context.next = fields.end();
  const auto reason = complete(fields, aggregate.ip_size(), aggregate.run().first.size);
  if (reason) send_run(context, *reason, now, sink);
}

void Aggregator::append_held(Context& context, Time now, PacketSink& sink) {
  Aggregate& aggregate = *context.aggregate;
  while (aggregate.held() > 0 && aggregate.first_held().seq == context.next) {
    if (const auto reason = aggregate.obstacle(aggregate.first_held())) {
      send_run(context, *reason, now, sink);
    }
    append(context, aggregate.take_held(), now, sink);
  }
}

void Aggregator::send_run(Context& context, FlushReason reason, Time now, PacketSink& sink) {
  Aggregate& aggregate = *context.aggregate;
  const Run& run = aggregate.run();
  const bool merged = run.count > 1;
  context.waited(!merged && reason == FlushReason::kTimer);
  delay_.total += run.count * (now - run.earliest) - run.arrived_later;
  delay_.longest = std::max(delay_.longest, now - run.earliest);
  if (merged) {
    ++counters_.aggregates;
    counters_.merged += run.count;
  }
  ++counters_.packets_out;
  ++counters_[reason];
  using enum port::ChecksumState;
  // Behind a gap the same aggregate may go on: then the buffer stays.
  port::RxBuffer** slot = reason == FlushReason::kGap ? nullptr : aggregate.buffer_slot();
  if (config_.chain && !merged) {
    sink.deliver(
        {.frame = aggregate.only_frame(), .checksum = run.first.partial ? kPartial : kVerified},
        {});
  } else {
    sink.deliver({.frame = aggregate.finish(config_.leave_checksum),
                  .gso_size = merged ? run.first.size : uint16_t{0},
                  .checksum = config_.leave_checksum ? kPartial : kVerified,
                  .buffer = slot},
                 aggregate.fragments());
  }
  aggregate.rebase(context.next);
}

void Aggregator::send_all(Context& context, FlushReason reason, Time now, PacketSink& sink) {
  if (context.aggregate == nullptr) return;
  Aggregate& aggregate = *context.aggregate;
  if (aggregate.run().count > 0) send_run(context, reason, now, sink);
  while (aggregate.held() > 0) {
    context.next = aggregate.first_held().seq;
    aggregate.rebase(context.next);
    append_held(context, now, sink);
    if (aggregate.run().count > 0) send_run(context, reason, now, sink);
  }
  close(context);
}

Aggregate& Aggregator::take_aggregate(Time now, PacketSink& sink) {
  if (free_.empty()) send_all(open_.front().context(), FlushReason::kNoBuffer, now, sink);
  Aggregate& aggregate = *free_.pop_front();
  open_.push_back(aggregate);
  return aggregate;
}

void Aggregator::end(Context& context) {
  database_.erase(context);
  ++counters_.contexts_ended;
}

void Aggregator::close(Context& context) {
  open_.erase(*context.aggregate);
  free_.push_front(*context.aggregate);
  context.aggregate = nullptr;
}

}  // namespace fairlead::nic
