#include "tests/teardown_programs.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <optional>

#include "base/random.h"
#include "tests/teardown_segment.h"
#include "wire/ethernet.h"
#include "wire/tcp.h"

namespace fairlead::test {
namespace {

using namespace wire::tcp_flag;
using nic::TeardownState;
using Outcome = TeardownVector::Outcome;

constexpr uint32_t kEnd = 0xffff'fffe;  // behind our FIN
constexpr uint32_t kFin = 0x7fff'ffff;  // the peer's
constexpr uint32_t kTsRecent = 0x8000'0001;
constexpr uint16_t kWindow = 501;

Endpoint peer_of(bool v6) {
  return {*IpAddress::parse(v6 ? "2001:db8:1::7" : "198.51.100.7"), 40000};
}

bool has_closed(TeardownState state) {
  return state != TeardownState::kFinWait1 && state != TeardownState::kFinWait2;
}

PacketBytes timestamp_options(uint32_t value, uint32_t echo = 9) {
  return nops(2) + timestamps(value, echo);
}

/// Packets of one connection, one thing changed in each.
class Vectors {
 public:
  Vectors(bool v6, bool timestamps) : v6_(v6), timestamps_(timestamps) {}

  Segment ack(TeardownState state) const {
    Segment out{.from = peer_of(v6_), .to = setup_listener_endpoint(v6_)};
    out.seq = kFin + (has_closed(state) ? 1 : 0);
    out.ack = kEnd;
    if (timestamps_) out.options = timestamp_options(kTsRecent);
    return out;
  }
  Segment fin() const {
    Segment out = ack(TeardownState::kFinWait2);
    out.flags |= wire::tcp_flag::kFin;
    return out;
  }
  void add(const std::string& name, TeardownState state, const PacketBytes& packet) {
    const std::string prefix = std::string(v6_ ? "IPv6" : "IPv4") + (timestamps_ ? " ts " : " ");
    all.push_back(
        {.name = prefix + std::string(teardown_state_name(state)) + ": " + name,
         .v6 = v6_,
         .timestamps = timestamps_,
         .state = state,
         .packet = packet,
         .outcome = Outcome::kUp,
         .fin_acked = state == TeardownState::kFinWait2 || state == TeardownState::kTimeWait,
         .peer_closed = has_closed(state)});
  }
  void add(const std::string& name, TeardownState state, const Segment& segment) {
    add(name, state, packet_of(segment));
  }
  /// An ordinary one.
  void add(const std::string& name, TeardownState state, const Segment& segment, Outcome outcome) {
    add(name, state, segment);
    all.back().outcome = outcome;
    all.back().fin_acked = true;
    all.back().peer_closed = has_closed(state) || (segment.flags & wire::tcp_flag::kFin) != 0;
  }

  void add_ordinary() {
    for (const auto state : kStates) add("ACK of our FIN", state, ack(state), Outcome::kTaken);
    for (const auto state :
         {TeardownState::kFinWait1, TeardownState::kFinWait2, TeardownState::kTimeWait}) {
      add("FIN", state, fin(), Outcome::kAnswered);
    }
    for (const auto state : {TeardownState::kClosing, TeardownState::kLastAck}) {
      add("FIN again", state, fin());
    }
    Segment odd_window = fin();
    odd_window.window = 0;
    add("FIN, closed window", TeardownState::kFinWait1, odd_window, Outcome::kAnswered);
    Segment marked = fin();
    marked.traffic_class = 0x2e;
    marked.ttl = 3;
    add("FIN from afar", TeardownState::kFinWait1, marked, Outcome::kAnswered);
  }
  void add_flags() {
    for (unsigned flags = 0; flags < 256; ++flags) {
      if ((flags | wire::tcp_flag::kFin) == (kAck | wire::tcp_flag::kFin) && (flags & kAck) != 0) {
        continue;
      }
      for (Segment segment : {ack(TeardownState::kFinWait2), fin()}) {
        segment.flags = static_cast<uint8_t>(flags);
        add("flags " + std::to_string(flags), TeardownState::kFinWait2, segment);
      }
    }
  }
  void add_numbers() {
    for (const auto state : kStates) {
      for (const uint32_t off : {1u, ~0u, 2u, 0x8000'0000u}) {
        for (Segment segment : {ack(state), fin()}) {
          segment.ack += off;
          add("ack off by " + std::to_string(off), state, segment);
          segment.ack -= off;
          segment.seq += off;
          add("seq off by " + std::to_string(off), state, segment);
        }
      }
    }
  }
  void add_options() {
    const auto with = [this](const std::string& name, const PacketBytes& options) {
      Segment segment = fin();
      segment.options = options;
      add("options: " + name, TeardownState::kFinWait1, segment);
    };
    if (!timestamps_) return with("timestamps", timestamp_options(5)), with("NOPs", nops(4));
    with("none", {});
    with("timestamps in front", timestamps(kTsRecent, 9) + nops(2));
    with("one more", timestamp_options(kTsRecent) + nops(4));
    with("SACK", timestamp_options(kTsRecent) + nops(2) + sack({1, 2}));
    with("only NOPs", nops(12));
    with("old", timestamp_options(kTsRecent - 1));
    with("very old", timestamp_options(kTsRecent + 0x8000'0000));
    for (const uint32_t ahead : {1u, 0x7fff'ffffu}) {
      Segment newer = fin();
      newer.options = timestamp_options(kTsRecent + ahead);
      add("newer timestamp", TeardownState::kFinWait1, newer, Outcome::kAnswered);
    }
  }
  void add_packets() {
    constexpr auto kState = TeardownState::kFinWait1;
    const size_t tcp = v6_ ? 40 : 20;
    Segment segment = fin();
    segment.payload = some_bytes(1);
    add("data", kState, segment);
    segment = fin();
    ++segment.from.port;
    add("another's", kState, segment);
    segment = fin();
    ++segment.to.port;
    add("to another port", kState, segment);
    segment = fin();
    segment.from.address = *IpAddress::parse(v6_ ? "2001:db8:1::8" : "198.51.100.8");
    add("from another address", kState, segment);
    for (const size_t at : {tcp, tcp + 4, tcp + 14, tcp + 17}) {
      PacketBytes packet = packet_of(fin());
      packet[at] ^= 0x10;
      add("damaged at " + std::to_string(at), kState, packet);
    }
    PacketBytes packet = packet_of(fin());
    packet[tcp + 12] |= 1;
    complete_checksums(packet, false);
    add("reserved bit", kState, packet);
    packet = packet_of(fin());
    packet.resize(packet.size() - 1);
    add("cut short", kState, packet);
    packet = packet_of(fin());
    packet[v6_ ? 6 : 9] = 17;
    add("UDP", kState, packet);
    if (v6_) return;
    packet = packet_of(Vectors(true, timestamps_).fin());
    std::ranges::copy(peer_of(false).address.bytes(), packet.begin() + 8);
    std::ranges::copy(setup_listener_endpoint(false).address.bytes(), packet.begin() + 24);
    complete_checksums(packet, false);
    add("IPv4-mapped addresses in IPv6", kState, packet);
    packet = packet_of(fin());
    packet[6] = 0x20;
    add("fragment, wrong header checksum", kState, packet);
    packet = packet_of(fin());
    packet[1] ^= 4;
    add("wrong header checksum", kState, packet);
  }

  std::vector<TeardownVector> all;

 private:
  static constexpr std::array kStates{TeardownState::kFinWait1, TeardownState::kFinWait2,
                                      TeardownState::kClosing, TeardownState::kLastAck,
                                      TeardownState::kTimeWait};
  bool v6_;
  bool timestamps_;
};

PacketBytes bytes_of(port::TxPacket packet) {
  port::complete_checksum(packet);
  const ByteSpan header = packet.header_bytes().subspan(wire::kEthernetSize);
  PacketBytes out(header.begin(), header.end());
  for (size_t i = 0; i < packet.payload_count; ++i) {
    out.insert(out.end(), packet.payload[i].begin(), packet.payload[i].end());
  }
  return out;
}

/// Without what depends on the moment: TSval.
PacketBytes timeless(PacketBytes packet) {
  const auto read = read_segment(packet);
  EXPECT_TRUE(read.has_value()) << "a wrong checksum";
  if (!read || !read->options.timestamps) return packet;
  const size_t tcp = packet[0] >> 4 == 6 ? 40 : 20;
  EXPECT_EQ(read->options.timestamps->value % 2, 0u) << "RFC 7323's clock, fl_timestamp_sent()";
  write32(packet, tcp + 24, 0);
  complete_checksums(packet, false);
  return packet;
}

class Closing {
 public:
  Closing(const nic::Handover& handover, TeardownProgram* program, Time now)
      : program_(program), teardown_({.max_flows = 64}, SipKey{1, 2}, nullptr, now) {
    if (program != nullptr) teardown_.use_kernel(program->table);
    EXPECT_TRUE(teardown_.take(handover, now).has_value());
  }

  std::vector<PacketBytes> transmit(Time now) {
    std::vector<PacketBytes> out;
    port::PacketBurst burst;
    for (bool more = true; more; burst.clear()) {
      more = teardown_.transmit(burst, now);
      for (const port::TxPacket& packet : burst.packets())
        out.push_back(timeless(bytes_of(packet)));
    }
    return out;
  }
  std::vector<PacketBytes> deliver(const PacketBytes& packet, Time now) {
    if (program_ != nullptr) {
      const TeardownDecision decision = program_->run(packet, now);
      if (!decision.up) {
        ++decided;
        teardown_.on_timer(now);
        if (decision.answer.empty()) return transmit(now);
        return {timeless(decision.answer)};
      }
    }
    const auto read = read_segment(packet);
    if (read) teardown_.on_segment(as_teardown_segment(*read), now);
    return transmit(now);
  }
  std::string state(const FourTuple& tuple) const {
    const auto state = teardown_.state(tuple);
    return state ? std::string(teardown_state_name(*state)) : "gone";
  }
  const nic::TeardownCounters& counters() const { return teardown_.counters(); }

  size_t decided = 0;

 private:
  TeardownProgram* program_;
  nic::Teardown teardown_;
};

/// Packets of a peer that is mostly well behaved.
class RandomPeer {
 public:
  RandomPeer(Rng& rng, const nic::Handover& handover, uint32_t bytes)
      : rng_(rng), handover_(handover), end_((handover.snd_una + (bytes + 1)).value()) {}

  PacketBytes next() {
    Segment out{.from = handover_.tuple.remote, .to = handover_.tuple.local};
    const uint32_t rcv_nxt = handover_.rcv_nxt.value();
    const uint32_t una = handover_.snd_una.value();
    out.seq = pick({rcv_nxt, rcv_nxt, rcv_nxt, rcv_nxt + 1, rcv_nxt + 1, rcv_nxt - 1, rcv_nxt + 2});
    out.ack = pick({end_, end_, end_, end_, end_ - 1, una, end_ + 1});
    out.flags = kAck;
    if (rng_.chance(0.4)) out.flags |= wire::tcp_flag::kFin;
    if (rng_.chance(0.1)) out.flags = static_cast<uint8_t>(rng_.next());
    if (rng_.chance(0.2)) out.window = static_cast<uint16_t>(rng_.next());
    if (rng_.chance(0.04)) out.payload = some_bytes(1 + rng_.below(3));
    if (handover_.timestamps.has_value() != rng_.chance(0.05)) {
      const uint32_t value = handover_.timestamps ? handover_.timestamps->echo + clock_ : 1;
      out.options = timestamp_options(rng_.chance(0.1) ? value - 2 : value);
      if (rng_.chance(0.05)) out.options = timestamps(value, 9) + nops(2);
    }
    if (rng_.chance(0.3)) clock_ += static_cast<uint32_t>(rng_.below(3));
    PacketBytes packet = packet_of(out);
    if (rng_.chance(0.03)) packet[rng_.below(packet.size())] ^= 1;
    return packet;
  }

 private:
  uint32_t pick(std::array<uint32_t, 7> from) { return from[rng_.below(from.size())]; }

  Rng& rng_;
  const nic::Handover& handover_;
  uint32_t end_;
  uint32_t clock_ = 0;
};

nic::Handover random_handover(Rng& rng, ByteSpan data, std::span<ByteSpan, 1> pieces) {
  const bool v6 = rng.chance(0.5);
  pieces[0] = data.first(rng.below(data.size()));
  nic::Handover out{.tuple = teardown_tuple(v6),
                    .local_mac = {{2, 0, 0, 0, 0, 1}},
                    .next_hop = {{2, 0, 0, 0, 0, 2}},
                    .peer_closed = rng.chance(0.4),
                    .mss = 1000,
                    .window = static_cast<uint16_t>(rng.next()),
                    .receive_window = rng.chance(0.1) ? 0u : 60'000u,
                    .send_window = 60'000,
                    .rto = seconds(50),
                    .snd_una = SeqNum(static_cast<uint32_t>(rng.next())),
                    .snd_nxt = {},
                    .rcv_nxt = SeqNum(static_cast<uint32_t>(rng.next())),
                    .timestamps = {},
                    .data = pieces};
  const auto bytes = static_cast<uint32_t>(pieces[0].size());
  out.snd_nxt = out.snd_una + (rng.chance(0.5) ? bytes + 1 : 0);
  if (rng.chance(0.7)) {
    out.timestamps = wire::Timestamps{.value = static_cast<uint32_t>(rng.next()),
                                      .echo = static_cast<uint32_t>(rng.next())};
  }
  return out;
}

}  // namespace

FourTuple teardown_tuple(bool v6) {
  return {.local = setup_listener_endpoint(v6), .remote = peer_of(v6)};
}

std::vector<TeardownVector> teardown_vectors() {
  std::vector<TeardownVector> out;
  for (const bool v6 : {false, true}) {
    for (const bool timestamps : {false, true}) {
      Vectors vectors(v6, timestamps);
      vectors.add_ordinary();
      vectors.add_flags();
      vectors.add_numbers();
      vectors.add_options();
      vectors.add_packets();
      out.insert(out.end(), vectors.all.begin(), vectors.all.end());
    }
  }
  return out;
}

void expect_vector(const TeardownVector& vector, TeardownProgram& program) {
  SCOPED_TRACE(vector.name);
  const Time now = monotonic_now();
  fl_teardown_entry* const entry = program.table.reserve({.tuple = teardown_tuple(vector.v6),
                                                          .end = SeqNum(kEnd),
                                                          .fin_seq = SeqNum(kFin),
                                                          .ts_offset = 12345,
                                                          .window = kWindow,
                                                          .timestamps = vector.timestamps});
  ASSERT_NE(entry, nullptr);
  nic::FlowState state{};
  state.state = vector.state;
  state.ts_recent = vector.timestamps ? kTsRecent : 0;
  nic::TeardownTable::give(*entry, state, now + seconds(60));
  const TeardownDecision decision = program.run(vector.packet, now);
  const nic::TeardownNews news = nic::TeardownTable::take_back(*entry);
  EXPECT_TRUE(program.run(vector.packet, now).up) << "the process decides";
  nic::TeardownTable::release(*entry);

  EXPECT_EQ(decision.up, vector.outcome == Outcome::kUp);
  EXPECT_EQ(!decision.answer.empty(), vector.outcome == Outcome::kAnswered);
  EXPECT_EQ(news.fin_acked, vector.fin_acked);
  EXPECT_EQ(news.peer_closed, vector.peer_closed);
  const bool again = vector.state == TeardownState::kTimeWait && !decision.answer.empty();
  EXPECT_EQ(news.closed_again, again);
  if (decision.answer.empty()) return;
  const auto answer = read_segment(decision.answer);
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(answer->tuple, teardown_tuple(vector.v6));
  EXPECT_EQ(answer->flags, kAck);
  EXPECT_EQ(answer->seq, kEnd);
  EXPECT_EQ(answer->ack, kFin + 1);
  EXPECT_EQ(answer->window, kWindow);
  EXPECT_EQ(answer->options.timestamps.has_value(), vector.timestamps);
  if (!vector.timestamps) return;
  EXPECT_EQ(answer->options.timestamps->echo,
            read_segment(vector.packet)->options.timestamps->value);
  const auto ms = static_cast<uint32_t>(now.time_since_epoch() / milliseconds(1)) + 12345;
  EXPECT_LE(answer->options.timestamps->value - (ms & ~1u), 1000u);
}

size_t compare_teardowns(TeardownProgram& program, uint64_t seed, Time now) {
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  Rng rng(seed);
  const PacketBytes data = some_bytes(3000);
  std::array<ByteSpan, 1> pieces;
  const nic::Handover handover = random_handover(rng, data, pieces);
  Closing plain(handover, nullptr, now);
  Closing seated(handover, &program, now);
  EXPECT_EQ(seated.transmit(now), plain.transmit(now));
  RandomPeer peer(rng, handover, static_cast<uint32_t>(pieces[0].size()));
  for (int step = 0; step < 30 && !testing::Test::HasFailure(); ++step) {
    SCOPED_TRACE(testing::Message() << "step " << step << ", in " << plain.state(handover.tuple));
    const PacketBytes packet = peer.next();
    EXPECT_EQ(seated.deliver(packet, now), plain.deliver(packet, now));
    EXPECT_EQ(seated.state(handover.tuple), plain.state(handover.tuple));
  }
  EXPECT_EQ(seated.counters().closed, plain.counters().closed);
  return seated.decided;
}

}  // namespace fairlead::test
