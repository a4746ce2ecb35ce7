#include "host/splicing.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "host/stack.h"
#include "port/packet_builder.h"
#include "wire/tcp.h"

namespace fairlead::host {

using wire::tcp_flag::kAck;
using wire::tcp_flag::kPsh;

namespace {

/// How far from what is expected a sequence number may be, bytes: what a peer may have in flight.
constexpr uint32_t kPlausible = 1 << 24;

}  // namespace

std::string_view splice_refusal_name(SpliceRefusal refusal) {
  switch (refusal) {
    case SpliceRefusal::kNone:
      return "none";
    case SpliceRefusal::kNotEstablished:
      return "not_established";
    case SpliceRefusal::kFamily:
      return "family";
    case SpliceRefusal::kTimestamps:
      return "timestamps";
    case SpliceRefusal::kSack:
      return "sack";
    case SpliceRefusal::kEcn:
      return "ecn";
    case SpliceRefusal::kSegmentSize:
      return "segment_size";
    case SpliceRefusal::kHalfClosed:
      return "half_closed";
    case SpliceRefusal::kTableFull:
      return "table_full";
  }
  check_failed("SpliceRefusal has a name", __FILE__, __LINE__);
}

Splicing::Splicing(Stack& stack, std::array<Connection*, 2> connections, nic::Splice& splice)
    : stack_(stack), splice_(splice) {
  for (size_t i = 0; i < 2; ++i) {
    Connection& c = *connections[i];
    sides_[i].connection = &c;
    sides_[i].fin_passed = c.tcb_->sender.fin_queued();
    c.observer_ = this;
    c.splicing_ = true;
    c.tcb_->receiver.freeze_window();
  }
  for (Side& side : sides_) side.fin_passed = other(side).connection->tcb_->sender.fin_queued();
}

bool Splicing::failed() const {
  return std::ranges::any_of(sides_,
                             [](const Side& s) { return s.connection->error() != Errc::kOk; });
}

bool Splicing::step(Time now) {
  if (!translating_ && !ended_) {
    relay(sides_[0], sides_[1]);
    relay(sides_[1], sides_[0]);
    if (failed() || (sides_[0].fin_passed && sides_[1].fin_passed)) {
      end_relaying();
    } else if (all_sent()) {
      begin_translating(now);
    }
  }
  if (ended_) return true;
  if (!translating_) return false;
  if (failed()) {  // what we sent ourselves never got there
    stop(nic::SpliceEnd::kRemoved);
    return true;
  }
  for (const Side& side : sides_) {
    const Connection& c = *side.connection;
    if (!c.tcb_->sender.all_acknowledged() || c.tcb_->receiver.ack_due()) return false;
  }
  stack_.splices().open(splice_, now);
  release_connections();
  return true;
}

// Both have ended in order, and finish by themselves; or one has broken, and the other has to be
// told.
void Splicing::end_relaying() {
  nic::SpliceEnd how = nic::SpliceEnd::kClosed;
  for (Side& side : sides_) {
    if (side.connection->error() == Errc::kOk) continue;
    how = side.connection->error() != Errc::kConnectionReset ? nic::SpliceEnd::kRemoved
          : &side == &sides_[0]                              ? nic::SpliceEnd::kResetByClient
                                                             : nic::SpliceEnd::kResetByServer;
    other(side).connection->abort();
  }
  for (Side& side : sides_) direction_from(side).rule.bytes = side.relayed;
  end(how);
}

void Splicing::relay(Side& from, Side& to) {
  Connection& x = *from.connection;
  Connection& y = *to.connection;
  const size_t ours = x.readable() - x.held();
  if (ours > 0) from.relayed += x.forward(y, ours);
  if (x.end_of_stream() && !from.fin_passed) {
    from.fin_passed = true;
    y.shutdown_write();
  }
}

bool Splicing::all_sent() const {
  return std::ranges::all_of(sides_, [](const Side& s) {
    const Connection& c = *s.connection;
    return c.readable() == c.held() && c.tcb_->receiver.in_order() && c.tcb_->sender.all_sent();
  });
}

void Splicing::begin_translating(Time now) {
  translating_ = true;
  for (Side& side : sides_) {
    Connection& c = *side.connection;
    side.in = side.high = c.tcb_->receiver.nxt() - static_cast<uint32_t>(c.held());
    side.out = c.tcb_->sender.end();
  }
  stack_.describe(splice_, *sides_[0].connection, *sides_[1].connection,
                  {sides_[0].in, sides_[0].out, sides_[1].in, sides_[1].out});
  for (Side& side : sides_) {
    direction_from(side).rule.bytes = side.relayed;
    Connection& c = *side.connection;
    if (side.fin_passed) {  // by us: the other end's acknowledgement of it will pass, or has come
      fl_splice_rule& answers = direction_from(other(side)).rule;
      answers.peer_fin_end = side.in.value();
      answers.state |= FL_SPLICE_PEER_FIN;
      const bool acked = other(side).connection->tcb_->sender.all_acknowledged();
      if (acked) answers.state |= FL_SPLICE_PEER_FIN_ACKED;
    }
    if (c.quasi_.timestamps) c.follow_timestamps(c.timestamp(now));
    c.tcb_->life_deadline = Time::max();  // no keep-alive: the ends look after themselves
    if (other(side).connection->held() > 0) continue;  // acknowledged with what is passed on
    if (c.tcb_->receiver.ack_delayed()) c.tcb_->receiver.ack_now();
  }
  send_held(sides_[0], sides_[1], now);
  send_held(sides_[1], sides_[0], now);
  for (Side& side : sides_) stack_.update(*side.connection);
}

// Built as the peer's own segments would be translated. Lost on the way, they come from it again.
void Splicing::send_held(Side& from, Side& to, Time now) {
  Connection& x = *from.connection;
  Connection& y = *to.connection;
  if (x.held() == 0) {
    x.tcb_->receiver.release_acks();
    return;
  }
  Resources& res = stack_.resources();
  SendQueue queue;
  queue.start(to.out);
  x.tcb_->receiver.take_held(queue.chain(), res);
  nic::Splice::Direction& direction = direction_from(from);
  const SendLimits limits = y.limits();
  const uint32_t window = x.tcb_->sender.vars().wnd >> y.tcb_->receiver.shift();
  SeqNum seq = to.out;
  while (seq != queue.end()) {
    port::TxPacket* packet = stack_.append_forward();
    if (packet == nullptr) break;
    const auto left = static_cast<uint32_t>(queue.end() - seq);
    const uint32_t size = queue.gather(seq, std::min(left, limits.max_payload), *packet);
    if (size > limits.mss) packet->gso_size = static_cast<uint16_t>(limits.mss);
    port::TcpPacketSpec spec;
    spec.tuple = y.tuple_;
    spec.local_mac = y.path_->path.local_mac;
    spec.next_hop = y.path_->path.next_hop;
    spec.port_index = y.path_->path.port_index;
    spec.seq = seq;
    spec.ack = to.in;
    spec.flags = kAck | kPsh;
    spec.window = static_cast<uint16_t>(std::min<uint32_t>(window, 65535));
    if (y.quasi_.timestamps) {
      spec.options.timestamps = wire::Timestamps{y.timestamp(now), y.quasi_.ts_recent};
    }
    port::build_tcp_packet(*packet, spec);
    seq += size;
    from.high += size;
    direction.rule.packets += (size + limits.mss - 1) / limits.mss;
    direction.rule.bytes += size;
  }
  y.tcb_->receiver.on_ack_sent();
  y.tcb_->ack_deadline = Time::max();
  stack_.keep_for_forwards(std::move(queue.chain()));
}

// ---- translating ----

// RFC 5961's care, as far as it goes for a connection of which we see the packets only.
bool Splicing::plausible(const Side& from, const Segment& segment) const {
  const Side& to = sides_[&from == &sides_[0] ? 1 : 0];
  const SeqNum last_out = from.out + static_cast<uint32_t>(to.high - to.in);
  return segment.seq.at_or_after(from.in - kPlausible) &&
         segment.seq.at_or_before(from.high + kPlausible) && !segment.ack.after(last_out);
}

bool Splicing::on_segment(Connection& connection, const Segment& segment,
                          const port::RxPacket& packet, Time now) {
  Side& from = side_of(connection);
  Counters& counters = stack_.resources().counters;
  if (segment.rst()) {
    pass_on(from, segment, packet, now);
    // Exactly where the peer is, or answering what we sent ourselves (RFC 5961 §3.2). Any other may
    // be forged: whom it is for shall judge.
    if (segment.seq != from.high && segment.seq != from.in) return false;
    const bool client = &from == &sides_[0];
    for (Side& side : sides_) side.connection->end(Errc::kConnectionReset);
    end(client ? nic::SpliceEnd::kResetByClient : nic::SpliceEnd::kResetByServer);
    return true;
  }
  if (!segment.ack_flag() || !plausible(from, segment)) {
    ++counters.drop_out_of_window;
    return false;
  }
  take_own_ack(from, segment, now);
  pass_on(from, segment, packet, now);
  return false;
}

void Splicing::take_own_ack(Side& from, const Segment& segment, Time now) {
  Connection& c = *from.connection;
  if (segment.options.timestamps) {
    const uint32_t value = segment.options.timestamps->value;
    if (static_cast<int32_t>(value - c.quasi_.ts_recent) > 0) c.quasi_.ts_recent = value;
  }
  Sender::Variables& snd = c.tcb_->sender.vars();
  if (c.tcb_->sender.all_acknowledged() || segment.ack.before(snd.una)) return;
  Segment ours = segment;
  if (ours.ack.after(from.out)) ours.ack = from.out;
  uint8_t kept = 0;
  for (uint8_t i = 0; i < segment.options.sack_count; ++i) {
    const wire::SackBlock& block = segment.options.sack[i];
    if (!block.right.after(from.out)) ours.options.sack[kept++] = block;
  }
  ours.options.sack_count = kept;
  c.tcb_->heard_at = now;
  const uint32_t window_before = snd.wnd;
  c.tcb_->sender.update_window(ours, c.quasi_.send_shift);
  ours.window_changed = snd.wnd != window_before;
  c.tcb_->sender.on_ack(ours, std::nullopt, now, stack_.resources());
}

void Splicing::pass_on(Side& from, const Segment& segment, const port::RxPacket& packet, Time now) {
  Side& to = other(from);
  Connection& x = *from.connection;
  const bool own_done = x.tcb_->sender.all_acknowledged();
  const bool passes_ack = segment.ack.after(from.out) || (own_done && segment.ack == from.out);
  const auto old = static_cast<uint32_t>(std::max(0, from.in - segment.seq));
  const bool passes_text = segment.length() > old || segment.syn();
  if (!passes_ack && !passes_text && !segment.rst()) {
    // For us: it acknowledges, or repeats, what was relayed.
    if (segment.length() > 0 || !segment.seq.at_or_after(from.in)) x.tcb_->receiver.ack_now();
    return;
  }
  port::TxPacket* out = stack_.append_forward();
  if (out == nullptr) return;
  nic::Splice::Direction& direction = direction_from(from);
  const nic::SpliceTable::Made made = stack_.splices().translate(direction, packet, now, *out);
  if (made == nic::SpliceTable::Made::kNothing) return stack_.drop_forward();
  if (made == nic::SpliceTable::Made::kAnswer) return;
  const bool trims = old > 0 && !segment.syn() && !segment.rst();
  if (trims || !passes_ack) {
    port::PacketPatch patch;
    if (trims) patch.skip_payload = std::min(old, static_cast<uint32_t>(segment.payload.size()));
    if (!passes_ack && segment.ack_flag()) patch.ack = to.in;
    port::patch_tcp_packet(*out, patch);
  }
  if (segment.end().after(from.high) && !segment.rst()) from.high = segment.end();
  if (segment.options.timestamps) {
    to.connection->follow_timestamps(segment.options.timestamps->value +
                                     direction.rule.ts_value_offset);
  }
}

nic::Splice::Direction* Splicing::passed_on(const Connection& connection, SeqNum seq) {
  Side& to = side_of(connection);
  const Side& from = other(to);
  nic::Splice::Direction& answers = direction_from(to);
  const SeqNum as_it_came = from.in + static_cast<uint32_t>(seq - to.out);
  const bool in_flight = as_it_came.at_or_after(from.in) &&
                         as_it_came.at_or_after(SeqNum(answers.rule.acked)) &&
                         as_it_came.before(from.high);
  return in_flight ? &answers : nullptr;
}

// ---- the end ----

void Splicing::let_go(Connection& c) {
  c.observer_ = nullptr;
  c.splicing_ = false;
}

void Splicing::release_connections() {
  for (Side& side : sides_) {
    Connection& c = *side.connection;
    let_go(c);
    c.end(Errc::kOk);
    c.owned_ = false;
    c.events_ = 0;
    stack_.update(c);
  }
}

Duration Splicing::timeout() const {
  const nic::SpliceOptions& options = splice_.options;
  const bool half_closed = std::ranges::any_of(sides_, &Side::fin_passed);
  return half_closed ? options.half_closed_timeout : options.idle_timeout;
}

bool Splicing::has_progressed() {
  uint64_t progress = 0;
  for (const Side& side : sides_) {
    const SeqNum acknowledged = side.connection->tcb_->sender.vars().una;
    progress += side.relayed + acknowledged.value() + side.high.value();
  }
  return std::exchange(progress_, progress) != progress;
}

void Splicing::stop(nic::SpliceEnd how) {
  if (translating_) {
    stack_.say_farewell(stack_.splices().resets(splice_));
    for (Side& side : sides_) side.connection->end(Errc::kConnectionAborted);
  }
  for (Side& side : sides_) side.connection->abort();
  end(how);
}

void Splicing::abandon() {
  for (Side& side : sides_) let_go(*side.connection);
  stack_.splices().discard(splice_);
}

void Splicing::end(nic::SpliceEnd how) {
  ended_ = true;
  stack_.splices().report(splice_, how);
  stack_.splices().discard(splice_);
  for (Side& side : sides_) {
    let_go(*side.connection);
    stack_.release(side.connection);
  }
}

}  // namespace fairlead::host
