#include "nic/splice/splice_table.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "nic/splice/splice_rule.h"
#include "nic/splice/splice_track.h"
#include "port/packet_builder.h"
#include "wire/ethernet.h"
#include "wire/ipv6.h"
#include "wire/tcp.h"

namespace fairlead::nic {

std::string_view splice_end_name(SpliceEnd end) {
  switch (end) {
    case SpliceEnd::kClosed:
      return "closed";
    case SpliceEnd::kResetByClient:
      return "reset by client";
    case SpliceEnd::kResetByServer:
      return "reset by server";
    case SpliceEnd::kIdle:
      return "idle";
    case SpliceEnd::kReused:
      return "reused";
    case SpliceEnd::kRemoved:
      return "removed";
  }
  check_failed("SpliceEnd has a name", __FILE__, __LINE__);
}

std::string_view splice_seat_name(SpliceSeat seat) {
  switch (seat) {
    case SpliceSeat::kUser:
      return "user";
    case SpliceSeat::kTc:
      return "tc";
    case SpliceSeat::kXdp:
      return "xdp";
  }
  check_failed("SpliceSeat has a name", __FILE__, __LINE__);
}

namespace {

constexpr size_t kMaxHeaders = FL_IPV6_HEADER + FL_TCP_HEADER + FL_MAX_OPTIONS;

/// The IP packet in a frame.
ByteSpan ip_of(ByteSpan frame) {
  return frame.size() > wire::kEthernetSize ? frame.subspan(wire::kEthernetSize) : ByteSpan();
}

constexpr Duration kGivesWayAfter = seconds(1);

uint64_t nanoseconds(Time at) { return static_cast<uint64_t>(at.time_since_epoch().count()); }

}  // namespace

SpliceTable::SpliceTable(const Bounds& bounds, port::Router& router, FlowHasher hasher, Time now)
    : bounds_(bounds),
      router_(router),
      pool_(bounds.max_splices),
      index_(std::move(hasher)),
      timers_(now) {}

SpliceTable::~SpliceTable() {
  std::vector<Splice*> all;
  index_.for_each([&](Direction& d) {
    if (d.way == Splice::kUp) all.push_back(d.splice);
  });
  // What runs in the kernel goes on without us; who asks has heard of it until now.
  for (Splice* splice : all) {
    if (splice->seat != SpliceSeat::kUser) take_counts(*splice, in_kernel(*splice));
  }
  kernel_ = nullptr;
  for (Splice* splice : all) remove(*splice, SpliceEnd::kRemoved);
}

Splice* SpliceTable::create() {
  Splice* splice = pool_.create();
  if (splice == nullptr) return nullptr;
  for (const Splice::Way way : {Splice::kUp, Splice::kDown}) {
    splice->directions[way].splice = splice;
    splice->directions[way].way = way;
  }
  return splice;
}

void SpliceTable::open(Splice& splice, Time now) {
  for (Direction& direction : splice.directions) index_.insert(direction);
  splice.spliced_at = now;
  splice.open = true;
  ++counters_.opened;
  counters_.handover_us += static_cast<uint64_t>((now - splice.asked_at) / microseconds(1));
  if (splice.is_over() || splice.is_reset()) return note_end(splice, now);
  timers_.arm(splice, idle_check(splice, status(splice), now));
  sink_if_due(splice);
}

void SpliceTable::report(Splice& splice, SpliceEnd end) {
  if (splice.options.observer == nullptr) return;
  const auto flow = status(splice).flows;
  splice.options.observer->on_splice_end({.client = splice.client(),
                                          .server = splice.server(),
                                          .up = flow[Splice::kUp],
                                          .down = flow[Splice::kDown],
                                          .end = end});
}

void SpliceTable::remove(Splice& splice, SpliceEnd end) {
  take_out(splice);
  for (Direction& direction : splice.directions) {
    index_.erase(direction);
    if (splice.split != nullptr) splice.split->remove(direction.tuple);
  }
  timers_.disarm(splice);
  if (IntrusiveList<Splice, OverTag>::is_linked(splice)) {
    over_.erase(splice);
    --over_count_;
  } else {
    report(splice, end);
  }
  ++counters_.ended;
  pool_.destroy(&splice);
}

std::vector<port::TcpPacketSpec> SpliceTable::resets(Splice& splice) {
  std::vector<port::TcpPacketSpec> out;
  const SpliceRecords kernels = in_kernel(splice);
  for (Direction& from : splice.directions) {
    Direction& to = splice.other(from);
    if (!find_way(to)) continue;
    const fl_splice_rule& rule = current_rule(from, kernels);
    port::TcpPacketSpec& spec = out.emplace_back();
    spec.tuple = from.tuple;
    spec.local_mac = to.path.local_mac;
    spec.next_hop = to.path.next_hop;
    spec.port_index = to.path.port_index;
    spec.seq = SeqNum(rule.acked - rule.ack_offset);
    spec.ack = SeqNum(current_rule(to, kernels).acked);
    spec.flags = wire::tcp_flag::kRst | wire::tcp_flag::kAck;
  }
  return out;
}

std::vector<port::TcpPacketSpec> SpliceTable::reset_all(SunkSplices sunk) {
  std::vector<Splice*> ending;
  index_.for_each([&](Direction& d) {
    const bool left = sunk == SunkSplices::kLeave && d.splice->seat != SpliceSeat::kUser;
    if (!left && &d == &d.splice->directions.front()) ending.push_back(d.splice);
  });
  std::vector<port::TcpPacketSpec> out;
  for (Splice* splice : ending) {
    if (!IntrusiveList<Splice, OverTag>::is_linked(*splice)) {
      const std::vector<port::TcpPacketSpec> own = resets(*splice);
      out.insert(out.end(), own.begin(), own.end());
    }
    remove(*splice, SpliceEnd::kRemoved);
  }
  return out;
}

bool SpliceTable::give_way(const FourTuple& tuple, Time now) {
  Direction* direction = find(tuple);
  if (direction == nullptr) return true;
  Splice& splice = *direction->splice;
  if (!IntrusiveList<Splice, OverTag>::is_linked(splice)) return false;
  const Time over_since = splice.armed_for() - splice.options.time_wait;
  if (now - over_since < kGivesWayAfter) return false;
  ++counters_.over_reused;
  remove(splice, SpliceEnd::kClosed);
  return true;
}

// ---- packets ----

SpliceTable::Outcome SpliceTable::on_packet(const port::RxPacket& packet, Time now,
                                            port::TxPacket& out) {
  const ByteSpan ip = ip_of(packet.frame);
  const std::optional<fl_splice_key> key = nic::key_of(ip);
  if (!key) return Outcome::kNotOurs;
  Direction* direction = find(tuple_of(*key));
  if (direction == nullptr) return Outcome::kNotOurs;
  Splice& splice = *direction->splice;
  const uint8_t* tcp = ip.data() + (ip[0] >> 4 == 6 ? FL_IPV6_HEADER : FL_IPV4_HEADER);
  const uint8_t flags = tcp[13];
  if ((flags & (FL_TCP_SYN | FL_TCP_ACK)) == FL_TCP_SYN && splice.is_finished()) {
    ++counters_.over_reused;
    remove(splice, SpliceEnd::kReused);
    return Outcome::kNotOurs;
  }
  if (proves_ && may_be_anothers(*direction, tcp) && proves_(packet)) {
    supersede(splice);
    return Outcome::kNotOurs;
  }
  // The end must be seen where the rest of it will be.
  if ((flags & (FL_TCP_FIN | FL_TCP_RST)) != 0 && !splice.split) surface(splice);
  const Made made = translate(*direction, packet, now, out);
  if (splice.state() != 0) {
    note_end(splice, now);
  } else if (made != Made::kNothing) {
    sink_if_due(splice);
  }
  return made == Made::kNothing ? Outcome::kDropped : Outcome::kSend;
}

// A proof is 24 bits: it is not asked for of packets that are the splice's own as far as one can
// see.
bool SpliceTable::may_be_anothers(const Direction& direction, const uint8_t* tcp) const {
  constexpr int32_t kFar = 1 << 26;  // bytes; more than anybody's window
  const Splice& splice = *direction.splice;
  if (direction.way != Splice::kUp) return false;
  if (splice.is_finished()) return true;
  if (splice.seat != SpliceSeat::kUser) return false;
  const auto ahead =
      static_cast<int32_t>(fl_be32(tcp + 4) - splice.directions[Splice::kDown].rule.acked);
  return ahead > kFar || ahead < -kFar;
}

// The client has forgotten it; the server has not.
void SpliceTable::supersede(Splice& splice) {
  ++counters_.over_reused;
  if (!splice.is_finished()) {
    for (const port::TcpPacketSpec& reset : resets(splice)) {
      if (reset.tuple == splice.directions[Splice::kDown].tuple) idle_resets_.push_back(reset);
    }
  }
  remove(splice, SpliceEnd::kReused);
}

bool SpliceTable::drop_unsupported(const FourTuple& tuple) {
  if (find(tuple) == nullptr) return false;
  ++counters_.drop_unsupported;
  return true;
}

bool SpliceTable::owns(const port::RxPacket& packet) const {
  const std::optional<fl_splice_key> key = nic::key_of(ip_of(packet.frame));
  return key && find(tuple_of(*key)) != nullptr;
}

bool SpliceTable::find_way(Direction& direction) {
  if (direction.path_generation == router_.generation()) return true;
  const Direction& out = direction.splice->other(direction);
  Result<port::Path> path = router_.resolve(out.tuple.remote.address);
  if (!path) return false;
  direction.path = *path;
  direction.path_generation = router_.generation();
  SpliceWay way{.interface = direction.rule.interface, .next_hop = path->gateway, .mtu = path->mtu};
  if (path->port_index < interfaces_.size()) way.interface = interfaces_[path->port_index];
  if (way == way_of(direction.rule)) return true;
  set_way(direction.rule, way);
  direction.splice->way_changed = true;
  return true;
}

SpliceTable::Made SpliceTable::translate(Direction& direction, const port::RxPacket& packet,
                                         Time now, port::TxPacket& out) {
  const ByteSpan ip = ip_of(packet.frame);
  const size_t copied = std::min(ip.size(), kMaxHeaders);
  if (!find_way(direction)) return ++counters_.drop_no_path, Made::kNothing;
  const MutableByteSpan headers = MutableByteSpan(out.header).subspan(wire::kEthernetSize, copied);
  std::ranges::copy(ip.first(copied), headers.begin());
  const bool partial = packet.checksum == port::ChecksumState::kPartial || packet.gso_size > 0;
  const SpliceOutcome outcome = nic::translate(direction.rule, headers,
                                               {.size = static_cast<uint32_t>(ip.size()),
                                                .gso_size = packet.gso_size,
                                                .checksum_partial = partial});
  if (outcome.verdict == FL_SPLICE_UP_SYN) return answer_syn(direction, packet, now, out);
  if (outcome.verdict == FL_SPLICE_UP_TOO_BIG) return answer_too_big(direction, packet, now, out);
  if (outcome.verdict != FL_SPLICE_TRANSLATED) {
    ++(outcome.verdict == FL_SPLICE_DROP_TTL ? counters_.drop_ttl : counters_.drop_malformed);
    return Made::kNothing;
  }
  const size_t ip_header = ip[0] >> 4 == 6 ? FL_IPV6_HEADER : FL_IPV4_HEADER;
  const uint8_t* tcp = headers.data() + ip_header;
  const size_t header_size = ip_header + static_cast<size_t>(tcp[12] >> 4) * 4;
  std::ranges::copy(direction.path.next_hop.bytes, out.header.begin());
  std::ranges::copy(direction.path.local_mac.bytes, out.header.begin() + 6);
  std::ranges::copy(packet.frame.subspan(12, 2), out.header.begin() + 12);
  out.header_size = static_cast<uint16_t>(wire::kEthernetSize + header_size);
  out.l4_offset = static_cast<uint16_t>(wire::kEthernetSize + ip_header);
  out.checksum_partial = partial;
  out.ipv6 = ip_header == FL_IPV6_HEADER;
  out.port_index = direction.path.port_index;
  if (outcome.segment.payload > 0) {
    out.payload[0] = ip.subspan(header_size, outcome.segment.payload);
    out.payload_count = 1;
    out.payload_size = outcome.segment.payload;
    if (outcome.segment.packets > 1) out.gso_size = packet.gso_size;
    out.ecn = out.gso_size > 0 && (outcome.segment.flags & wire::tcp_flag::kCwr) != 0;
  }
  ++counters_.translated;
  if (fl_splice_count(&direction.rule, &outcome.segment, nanoseconds(now))) {
    fl_splice_track(&direction.rule, &direction.splice->other(direction).rule, &outcome.segment);
  }
  return Made::kPacket;
}

// A SYN-ACK comes again when the ACK that answered it was lost. A SYN comes from an end that has
// forgotten the connection: the ACK makes it say so, by a RST that the other end believes (RFC 9293
// §3.5.1, RFC 5961 §4.2).
SpliceTable::Made SpliceTable::answer_syn(Direction& direction, const port::RxPacket& packet,
                                          Time now, port::TxPacket& out) {
  if (!syns_.allow(now, kAnswersPerSecond)) return ++counters_.syns_limited, Made::kNothing;
  const auto frame = wire::EthernetView::checked(packet.frame);
  const ByteSpan ip = ip_of(packet.frame);
  const auto tcp = wire::TcpView::checked(
      ip.subspan(ip[0] >> 4 == 6 ? sizeof(wire::Ipv6Header) : sizeof(wire::Ipv4Header)));
  if (!frame || !tcp) return ++counters_.drop_malformed, Made::kNothing;
  port::TcpPacketSpec spec;
  spec.tuple = direction.tuple;
  spec.local_mac = frame->destination();
  spec.next_hop = frame->source();
  spec.port_index = packet.port_index;
  spec.flags = wire::tcp_flag::kAck;
  if ((tcp->header().flags & wire::tcp_flag::kAck) != 0) {
    spec.seq = tcp->ack();
    spec.ack = tcp->seq() + 1;
  } else {
    const SpliceRecords kernels = in_kernel(*direction.splice);
    const fl_splice_rule& own = current_rule(direction, kernels);
    const fl_splice_rule& peer = current_rule(direction.splice->other(direction), kernels);
    spec.seq = SeqNum(own.acked - own.ack_offset);
    spec.ack = SeqNum(peer.acked);
  }
  // Scaled as what it is an answer to will have it: half of what 16 bits say, whatever the shift.
  spec.window = 0x8000;
  const auto options = wire::TcpOptions::parse(tcp->options());
  if (options.timestamps && (direction.rule.flags & FL_SPLICE_TIMESTAMPS) != 0) {
    spec.options.timestamps = wire::Timestamps{options.timestamps->echo, options.timestamps->value};
  }
  port::build_tcp_packet(out, spec);
  ++counters_.syns_answered;
  return Made::kAnswer;
}

// ---- the end ----

SpliceEnd SpliceTable::end_of(const Splice& splice) const {
  if (splice.is_over()) return SpliceEnd::kClosed;
  const bool client = (splice.directions[Splice::kUp].rule.state & FL_SPLICE_RESET) != 0;
  return client ? SpliceEnd::kResetByClient : SpliceEnd::kResetByServer;
}

void SpliceTable::note_end(Splice& splice, Time now) {
  if (splice.is_over()) {
    if (IntrusiveList<Splice, OverTag>::is_linked(splice)) return;
    report(splice, SpliceEnd::kClosed);
    over_.push_back(splice);
    timers_.arm(splice, now + splice.options.time_wait);
    if (++over_count_ <= bounds_.max_over) return;
    ++counters_.over_recycled;
    return remove(over_.front(), SpliceEnd::kClosed);
  }
  if (splice.is_half_closed() && !splice.reset_noted) {
    timers_.arm(splice, now + splice.options.half_closed_timeout);
  }
  if (!splice.is_reset() || splice.reset_noted) return;
  splice.reset_noted = true;
  const auto flow = status(splice).flows;
  for (Direction& direction : splice.directions) {
    direction.packets_at_reset = flow[direction.way].packets;
  }
  timers_.arm(splice, now + splice.options.close_timeout);
}

void SpliceTable::on_timer(Time now) {
  timers_.expire(
      now, [this, now](TimerNode& node) { on_splice_timer(static_cast<Splice&>(node), now); });
  if (kernel_ == nullptr) return;
  look_for_changes(now);
  walk_sunk(now);
}

std::optional<Time> SpliceTable::next_deadline() const {
  if (refresh_left_ > 0 || sweep_left_ > 0) return Time{};
  const std::optional<Time> timer = timers_.next_deadline();
  if (sunk_.empty()) return timer;
  return timer ? std::min(*timer, look_for_losses_at_) : look_for_losses_at_;
}

void SpliceTable::on_splice_timer(Splice& splice, Time now) {
  if (splice.is_over()) return remove(splice, SpliceEnd::kClosed);
  if (find_end(splice, now)) return;
  const SpliceStatus found = status(splice);
  if (splice.reset_noted) {
    const bool silent = std::ranges::all_of(splice.directions, [&](const Direction& d) {
      return found.flows[d.way].packets == d.packets_at_reset;
    });
    const bool exact = (found.state & FL_SPLICE_RESET_EXACT) != 0;
    if (exact || silent) return remove(splice, end_of(splice));
    // Whom the RST was for has not believed it.
    ++counters_.resets_doubted;
    splice.reset_noted = false;
    splice.stays = false;
    for (Direction& direction : splice.directions)
      direction.rule.state &= ~uint32_t{FL_SPLICE_RESET};
  }
  if (expiry(splice, found) > now) return timers_.arm(splice, idle_check(splice, found, now));
  const std::vector<port::TcpPacketSpec> last_words = resets(splice);
  idle_resets_.insert(idle_resets_.end(), last_words.begin(), last_words.end());
  remove(splice, SpliceEnd::kIdle);
}

Time SpliceTable::expiry(const Splice& splice, const SpliceStatus& status) {
  if (splice.is_over() || splice.reset_noted) return splice.armed_for();
  const bool half_closed = (status.state & FL_SPLICE_PEER_FIN_ACKED) != 0;
  return status.last_packet +
         (half_closed ? splice.options.half_closed_timeout : splice.options.idle_timeout);
}

// The first FIN that the kernel's program passes on is not told of: it is found by looking.
Time SpliceTable::idle_check(const Splice& splice, const SpliceStatus& status, Time now) {
  return std::min(expiry(splice, status), now + splice.options.half_closed_timeout);
}

// ---- for people ----

SpliceStatus SpliceTable::status(const Splice& splice) const {
  const fl_splice_rule& up = splice.directions[Splice::kUp].rule;
  const fl_splice_rule& down = splice.directions[Splice::kDown].rule;
  const SpliceRecords kernels = in_kernel(splice);
  const fl_splice_rule& kernels_up = kernels.from_client.rule;
  const fl_splice_rule& kernels_down = kernels.from_server.rule;
  const uint64_t last =
      std::max<uint64_t>({up.last_at, down.last_at, kernels_up.last_at, kernels_down.last_at});
  return {.flows = {SpliceFlow{.packets = up.packets + kernels_up.packets,
                               .bytes = up.bytes + kernels_up.bytes},
                    SpliceFlow{.packets = down.packets + kernels_down.packets,
                               .bytes = down.bytes + kernels_down.bytes}},
          .last_packet = std::max(splice.spliced_at, Time(Duration(static_cast<int64_t>(last)))),
          .state = splice.state() | kernels_up.state | kernels_down.state};
}

void SpliceTable::for_each(const std::function<void(Splice&)>& visit) const {
  index_.for_each([&](const Direction& d) {
    if (d.way == Splice::kUp) visit(*d.splice);
  });
}

}  // namespace fairlead::nic
