// Connections in teardown whose ordinary packets a program decides: any connection, any packets, at
// any time. Nothing is read beyond a packet; one that is left to the process changes nothing; and
// with what was decided for it, a Teardown sends and becomes what another one does that gets all
// packets itself.
//
// The input, 1 byte and packets of at most 255:
//
//     connection   (how   size   IP packet) ...
#include <algorithm>
#include <array>
#include <cstring>

#include "fuzz/input.h"
#include "fuzz/packet.h"
#include "nic/steering/load_from_span.h"
#include "nic/teardown/teardown.h"
#include "nic/teardown/teardown_rule.h"
#include "tests/teardown_segment.h"
#include "wire/ethernet.h"
#include "wire/tcp.h"

namespace fairlead::nic {
namespace {

using test::PacketBytes;
using namespace wire::tcp_flag;

// Connection: its state in three bits, and
constexpr uint8_t kV6 = 0x08;
constexpr uint8_t kTimestamps = 0x10;  // agreed on
constexpr uint8_t kUnacked = 0x20;     // there is data before our FIN
// How: the time since the packet before in four bits, and
constexpr uint8_t kOfTheFlow = 0x01;  // addresses and ports become the connection's
constexpr uint8_t kFromThere = 0x02;  // SEQ, ACK and TSval count from what is next
constexpr uint8_t kRightSums = 0x04;  // checksums are computed,
constexpr uint8_t kPartial = 0x08;    // TCP's as the pseudo header's sum
// The timer wheel counts milliseconds: longer would take long.
constexpr Duration kStep = milliseconds(100);

// Numbers that wrap soon.
constexpr uint32_t kEnd = 0xffff'fffe;  // behind our FIN
constexpr uint32_t kFinSeq = 0x7fff'ffff;
constexpr uint32_t kTsRecent = 0x8000'0001;
constexpr Time kStart{seconds(1000)};
constexpr uint64_t kSeed = 77;

struct Connection {
  explicit Connection(uint8_t choices)
      : state(static_cast<TeardownState>(choices % 8 % 5)),
        timestamps((choices & kTimestamps) != 0),
        tuple{.local = test::setup_listener_endpoint((choices & kV6) != 0),
              .remote = {*IpAddress::parse((choices & kV6) != 0 ? "2001:db8:1::7" : "198.51.100.7"),
                         40000}},
        bytes((choices & kUnacked) != 0 ? 100 : 0) {}

  bool peer_closed_first() const { return state == TeardownState::kLastAck; }
  Handover handover(std::span<const ByteSpan> data) const {
    const SeqNum una = SeqNum(kEnd) - (bytes + 1);
    Handover out{.tuple = tuple,
                 .local_mac = {{2, 0, 0, 0, 0, 1}},
                 .next_hop = {{2, 0, 0, 0, 0, 2}},
                 .peer_closed = peer_closed_first(),
                 .mss = 1000,
                 .window = 501,
                 .receive_window = 60'000,
                 .send_window = 60'000,
                 .rto = seconds(2),
                 .snd_una = una,
                 .snd_nxt = una,
                 .rcv_nxt = SeqNum(kFinSeq + (peer_closed_first() ? 1 : 0)),
                 .timestamps = {},
                 .data = data};
    if (timestamps) out.timestamps = wire::Timestamps{.value = 12345, .echo = kTsRecent};
    return out;
  }
  /// The peer's, which lead to `state` from where it is handed over.
  std::vector<TeardownSegment> way() const {
    TeardownSegment ack;
    ack.tuple = tuple;
    ack.seq = SeqNum(kFinSeq);
    ack.ack = SeqNum(kEnd);
    ack.flags = kAck;
    if (timestamps) ack.timestamps = wire::Timestamps{.value = kTsRecent, .echo = 12345};
    TeardownSegment fin = ack;
    fin.flags |= kFin;
    switch (state) {
      case TeardownState::kFinWait1:
      case TeardownState::kLastAck:
        return {};
      case TeardownState::kFinWait2:
        return {ack};
      case TeardownState::kClosing:
        fin.ack = SeqNum(kEnd) - (bytes + 1);
        return {fin};
      case TeardownState::kTimeWait:
        return {fin};
    }
    check_failed("TeardownState has a way", __FILE__, __LINE__);
  }

  TeardownState state;
  bool timestamps;
  FourTuple tuple;
  uint32_t bytes;
};

/// A packet as it comes in, and as it is when its checksum is complete.
struct Input {
  PacketBytes packet;
  PacketBytes complete;
  fl_checksum checksum = FL_CHECKSUM_TO_VERIFY;
};

void give_tuple(MutableByteSpan packet, const FourTuple& tuple) {
  if (packet[0] >> 4 == 6) {
    // The connection's own, or an IPv4 connection's in a form that has no place on the wire.
    std::ranges::copy(tuple.remote.address.bytes(), packet.begin() + 8);
    std::ranges::copy(tuple.local.address.bytes(), packet.begin() + 24);
  } else if (tuple.local.address.is_v4()) {
    std::ranges::copy(tuple.remote.address.header_bytes(), packet.begin() + 12);
    std::ranges::copy(tuple.local.address.header_bytes(), packet.begin() + 16);
  }
  const size_t tcp = packet[0] >> 4 == 6 ? 40 : 20;
  test::write16(packet, tcp, tuple.remote.port);
  test::write16(packet, tcp + 2, tuple.local.port);
}

void count_from_there(MutableByteSpan packet) {
  const size_t tcp = packet[0] >> 4 == 6 ? 40 : 20;
  const auto add = [&](size_t at, uint32_t base) {
    test::write32(packet, at, test::read32(packet, at) + base);
  };
  add(tcp + 4, kFinSeq);
  add(tcp + 8, kEnd);
  if (packet.size() >= tcp + 32) add(tcp + 24, kTsRecent);
}

Input input_of(uint8_t how, ByteSpan bytes, const Connection& connection) {
  Input out{.packet = PacketBytes(bytes.begin(), bytes.end()), .complete = {}};
  if (fuzz::has_tcp_headers(out.packet)) {
    if ((how & kOfTheFlow) != 0) give_tuple(out.packet, connection.tuple);
    if ((how & kFromThere) != 0) count_from_there(out.packet);
    if ((how & kRightSums) != 0) {
      out.complete = out.packet;
      test::complete_checksums(out.complete, false);
      if ((how & kPartial) != 0) out.checksum = FL_CHECKSUM_MAYBE_PARTIAL;
      test::complete_checksums(out.packet, (how & kPartial) != 0);
    }
  }
  out.packet.shrink_to_fit();
  if (out.complete.empty()) out.complete = out.packet;
  return out;
}

// ---- the program ----

struct Decision {
  fl_teardown_verdict verdict = FL_TEARDOWN_UP;
  PacketBytes answer{};
};

/// What all of the kernel's programs do with a packet: decide() is that of the first to see it, or
/// of the one behind that.
Decision look_at(fl_teardown_bucket& bucket, const Input& input, Time now,
                 decltype(fl_teardown_decide) decide) {
  ByteSpan bytes = input.packet;
  fl_segment segment;
  fl_teardown_look look{.tuple = {},
                        .now = static_cast<uint64_t>(now.time_since_epoch().count()),
                        .checksum = input.checksum};
  const bool v6 = !bytes.empty() && bytes[0] >> 4 == 6;
  if (fl_segment_read(&bytes, v6 ? FL_ETH_P_IPV6 : FL_ETH_P_IP, static_cast<uint32_t>(bytes.size()),
                      &segment) != 0 ||
      fl_teardown_is_candidate(&segment) == 0) {
    return {};
  }
  fl_teardown_read_tuple(&segment, &look.tuple);
  fl_teardown_entry* const entry = fl_teardown_find(&bucket, &look.tuple);
  if (entry == nullptr || fl_segment_read_options(&bytes, &segment) != 0) return {};
  fl_teardown_decision decision;
  Decision out{.verdict = decide(entry, &segment, &look, &decision)};
  if (out.verdict != FL_TEARDOWN_ANSWERED) return out;
  fl_teardown_answer(&segment, entry, &look, &decision);
  out.answer.assign(segment.ip, segment.ip + segment.ip_size);
  out.answer.insert(out.answer.end(), segment.tcp, segment.tcp + segment.tcp_size);
  if (decision.partial != 0) test::complete_checksums(out.answer, false);
  return out;
}

std::array<uint64_t, FL_TEARDOWN_WAYS> words_of(const fl_teardown_bucket& bucket) {
  std::array<uint64_t, FL_TEARDOWN_WAYS> out;
  std::ranges::transform(bucket.entries, out.begin(), &fl_teardown_entry::word);
  return out;
}

Decision decide(fl_teardown_bucket& bucket, const Input& input, Time now) {
  const auto before = words_of(bucket);
  const Decision decision = look_at(bucket, input, now, fl_teardown_decide);
  const auto after = words_of(bucket);
  if (decision.verdict == FL_TEARDOWN_UP) {
    CHECK(after == before);
    return decision;
  }
  CHECK(decision.answer.empty() == (decision.verdict == FL_TEARDOWN_TAKEN));
  const Decision again = look_at(bucket, input, now, fl_teardown_repeat);
  CHECK(again.verdict == decision.verdict && again.answer == decision.answer);
  CHECK(words_of(bucket) == after);
  return decision;
}

// ---- what becomes of the connection ----

/// Without what depends on the moment: TSval.
PacketBytes timeless(PacketBytes packet) {
  const auto read = test::read_segment(packet);
  CHECK(read.has_value());  // checksums are right
  if (!read->options.timestamps) return packet;
  test::write32(packet, (packet[0] >> 4 == 6 ? 40 : 20) + 24, 0);
  test::complete_checksums(packet, false);
  return packet;
}

class Closing {
 public:
  /// `bucket`: a program decides by this table; nullptr: there is none.
  Closing(const Connection& connection, fl_teardown_bucket* bucket)
      : bucket_(bucket), teardown_({.max_flows = 4}, SipKey{1, 2}, nullptr, kStart) {
    if (bucket != nullptr) {
      teardown_.use_kernel(TeardownTable({.buckets = {bucket, 1}, .hash_seed = kSeed}));
    }
    const PacketBytes bytes = test::some_bytes(connection.bytes);
    const std::array data{ByteSpan(bytes)};
    const auto pieces = std::span(data).first(bytes.empty() ? 0 : 1);
    CHECK(teardown_.take(connection.handover(pieces), kStart).has_value());
    transmit(kStart);
    for (const TeardownSegment& segment : connection.way()) {
      CHECK(teardown_.on_segment(segment, kStart).outcome == Teardown::Outcome::kTaken);
      transmit(kStart);
    }
    CHECK(teardown_.state(connection.tuple) == connection.state);
  }

  // Both return what goes out.
  std::vector<PacketBytes> wait_until(Time now) {
    teardown_.on_timer(now);
    return transmit(now);
  }
  std::vector<PacketBytes> deliver(const Input& input, Time now) {
    std::vector<PacketBytes> out;
    const auto read = test::read_segment(input.complete);
    const Decision decision = bucket_ != nullptr ? nic::decide(*bucket_, input, now) : Decision{};
    if (decision.verdict != FL_TEARDOWN_UP) {
      CHECK(read.has_value());
      if (!decision.answer.empty()) out.push_back(timeless(decision.answer));
      teardown_.on_timer(now);
    } else if (read) {
      teardown_.on_segment(test::as_teardown_segment(*read), now);
    }
    for (PacketBytes& packet : transmit(now)) out.push_back(std::move(packet));
    return out;
  }
  std::optional<TeardownState> state(const FourTuple& tuple) const {
    return teardown_.state(tuple);
  }
  const TeardownCounters& counters() const { return teardown_.counters(); }

 private:
  std::vector<PacketBytes> transmit(Time now) {
    std::vector<PacketBytes> out;
    port::PacketBurst burst;
    for (bool more = true; more; burst.clear()) {
      more = teardown_.transmit(burst, now);
      for (port::TxPacket packet : burst.packets()) {
        port::complete_checksum(packet);
        const ByteSpan header = packet.header_bytes().subspan(wire::kEthernetSize);
        PacketBytes& bytes = out.emplace_back(header.begin(), header.end());
        for (size_t i = 0; i < packet.payload_count; ++i) {
          bytes.insert(bytes.end(), packet.payload[i].begin(), packet.payload[i].end());
        }
        bytes = timeless(std::move(bytes));
      }
    }
    return out;
  }

  fl_teardown_bucket* bucket_;
  Teardown teardown_;
};

void on_input(ByteSpan input) {
  const Connection connection(input[0]);
  fl_teardown_bucket bucket{};
  Closing plain(connection, nullptr);
  Closing seated(connection, &bucket);
  Time now = kStart;
  for (size_t at = 1; at + 2 <= input.size();) {
    const uint8_t how = input[at];
    const size_t size = std::min<size_t>(input[at + 1], input.size() - at - 2);
    const Input packet = input_of(how, input.subspan(at + 2, size), connection);
    at += 2 + size;
    now += kStep * (how >> 4);
    CHECK(seated.wait_until(now) == plain.wait_until(now));
    // That a FIN has come again in TIME-WAIT is learned when it would end, and it begins anew then.
    const bool rests_longer = seated.state(connection.tuple) == TeardownState::kTimeWait;
    if (!plain.state(connection.tuple) && rests_longer) return;
    CHECK(seated.deliver(packet, now) == plain.deliver(packet, now));
    CHECK(seated.state(connection.tuple) == plain.state(connection.tuple));
  }
  CHECK(seated.counters().closed == plain.counters().closed);
  CHECK(seated.counters().resets_sent == plain.counters().resets_sent);
}

}  // namespace
}  // namespace fairlead::nic

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size > 0) fairlead::nic::on_input({data, size});
  return 0;
}
