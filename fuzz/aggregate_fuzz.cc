// Any frames at any times through an aggregator, under any configuration. Nothing is read or
// written out of bounds; every segment leaves once, in a packet no longer than allowed and with
// right checksums, and none waits for longer than AgTimer.
//
// The input: 6 bytes of configuration, then records:
//
//     size (2)   wait in us (1)   how (1)   frame of `size` bytes ...
//
// how: 0x01 the frame's checksums are made right, 0x02 it follows the last one in sequence with
// that one's headers, its frame being the payload, 0x04 verified, 0x08 PSH flipped, 0x10 wait in
// ms, 0x20 one segment ahead, 0x40 IP ID as it was.
#include <algorithm>
#include <deque>

#include "fuzz/input.h"
#include "nic/aggregate/aggregator.h"
#include "tests/splice_packets.h"

namespace fairlead {
namespace {

using test::PacketBytes, test::read16, test::read32, test::write16, test::write32;

constexpr size_t kConfigSize = 6;
constexpr size_t kRecordSize = 4;

class CheckingSink : public nic::PacketSink {
 public:
  explicit CheckingSink(const nic::AggregateConfig& config) : config_(config) {}
  void deliver(const port::RxPacket& packet, std::span<const ByteSpan> chain) override {
    PacketBytes whole(packet.frame.begin(), packet.frame.end());
    for (const ByteSpan part : chain) whole.insert(whole.end(), part.begin(), part.end());
    if (packet.gso_size == 0) {
      ++segments;
      return;
    }
    nic::Segment read;
    // kUnknown: the state that the aggregator claims is not trusted.
    CHECK(!nic::read_segment({.frame = whole}, nic::PayloadSum::kWanted, read));
    CHECK(read.ip_size() <= config_.max_aggregate && read.frame.size() == whole.size());
    segments += (read.fields.size + packet.gso_size - 1u) / packet.gso_size;
  }
  uint64_t segments = 0;

 private:
  const nic::AggregateConfig& config_;
};

nic::AggregateConfig config_of(ByteSpan input) {
  nic::AggregateConfig config{.ag_timer = microseconds(1 + input[0]),
                              .del_timer = milliseconds(1 + input[1] % 16),
                              .contexts = 1 + input[2] % 4u,
                              .open_aggregates = 1 + input[2] / 64u,
                              .max_held = input[3] % 33u,
                              .carry_push = input[3] >= 128,
                              .chain = input[1] >= 128};
  config.max_aggregate = 1500 + input[4] * 16u;
  config.threshold = std::min<size_t>(input[5] * 16u, config.max_aggregate - config.mtu);
  return config;
}

/// Where the last frame, an untagged IPv4 or IPv6 packet, has its TCP header; 0 when it is not
/// that.
size_t tcp_offset(const PacketBytes& frame) {
  if (frame.size() < 14 + 40) return 0;
  const uint16_t type = read16(frame, 12);
  const bool v4 = type == 0x0800 && frame[14] == 0x45;
  const bool v6 = type == 0x86dd && frame[14] >> 4 == 6 && frame.size() >= 14 + 60;
  return v4 ? 34 : v6 ? 54 : 0;
}

/// Gives the frame the lengths and checksums it should have; false when it is not that kind.
bool make_right(PacketBytes& frame) {
  const size_t tcp = tcp_offset(frame);
  if (tcp == 0 || frame.size() > 60'000) return false;
  if (tcp == 34) {
    write16(frame, 16, static_cast<uint16_t>(frame.size() - 14));
  } else {
    write16(frame, 18, static_cast<uint16_t>(frame.size() - 54));
  }
  test::complete_checksums(MutableByteSpan(frame).subspan(14), false);
  return true;
}

/// The segment behind the one in `last`, with `payload`.
PacketBytes following(const PacketBytes& last, ByteSpan payload, uint8_t how) {
  const size_t tcp = tcp_offset(last);
  if (tcp == 0) return last;
  const size_t headers = tcp + std::max<size_t>(last[tcp + 12] / 16u * 4u, 20);
  if (headers > last.size()) return last;
  PacketBytes out(last.begin(), last.begin() + static_cast<ptrdiff_t>(headers));
  auto step = static_cast<uint32_t>(last.size() - headers);
  if ((how & 0x20) != 0) step += static_cast<uint32_t>(payload.size());
  write32(out, tcp + 4, read32(out, tcp + 4) + step);
  if (tcp == 34 && (how & 0x40) == 0) write16(out, 18, static_cast<uint16_t>(read16(out, 18) + 1));
  if ((how & 0x08) != 0) out[tcp + 13] ^= 8;
  out.insert(out.end(), payload.begin(), payload.end());
  return out;
}

void run(ByteSpan input) {
  const nic::AggregateConfig config = config_of(input);
  CHECK(config.check());
  input = input.subspan(kConfigSize);
  Time now{seconds(1)};
  CheckingSink sink(config);
  nic::Aggregator aggregator(config, now);
  uint64_t sent = 0;
  PacketBytes last;
  std::deque<PacketBytes> frames;  // chained, borrowed until they are delivered
  while (input.size() >= kRecordSize) {
    const size_t size = std::min<size_t>(read16(input, 0), input.size() - kRecordSize);
    const uint8_t how = input[3];
    const Time next = now + ((how & 0x10) != 0 ? Duration(milliseconds(input[2]))
                                               : Duration(microseconds(input[2])));
    const ByteSpan bytes = input.subspan(kRecordSize, size);
    input = input.subspan(kRecordSize + size);
    PacketBytes frame =
        (how & 0x02) != 0 ? following(last, bytes, how) : PacketBytes(bytes.begin(), bytes.end());
    const bool right = (how & 0x03) != 0 && make_right(frame);
    last = frame;
    if (!config.chain) frames.clear();
    frames.push_back(std::move(frame));
    while (aggregator.next_deadline() && *aggregator.next_deadline() <= next) {
      now = std::max(now, *aggregator.next_deadline());
      aggregator.on_timer(now, sink);
    }
    now = next;
    const bool verified = right && (how & 0x04) != 0;
    aggregator.on_packet(
        {.frame = frames.back(),
         .checksum = verified ? port::ChecksumState::kVerified : port::ChecksumState::kUnknown},
        now, sink);
    ++sent;
    CHECK(aggregator.contexts() <= config.contexts);
  }
  aggregator.flush(now, sink);
  CHECK(sink.segments == sent);
  CHECK(aggregator.delay().longest <= config.ag_timer);
}

}  // namespace
}  // namespace fairlead

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size >= fairlead::kConfigSize) fairlead::run({data, size});
  return 0;
}
