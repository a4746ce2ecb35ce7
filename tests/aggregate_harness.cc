#include "tests/aggregate_harness.h"

#include <algorithm>

#include "base/check.h"
#include "wire/ethernet.h"

namespace fairlead::test {
namespace {

constexpr uint8_t kTcp = 6;

size_t l3_offset(ByteSpan frame) {
  size_t at = wire::kEthernetSize - 2;
  while (at + 2 <= frame.size() && (read16(frame, at) == 0x8100 || read16(frame, at) == 0x88a8)) {
    at += 4;
  }
  return at + 2;
}

}  // namespace

PacketBytes frame_of(const FrameSpec& spec) {
  PacketBytes ip = packet_of(spec.segment);
  const bool v4 = spec.segment.from.address.is_v4();
  if (v4) {
    write16(ip, 4, spec.ip_id);
    write16(ip, 6, spec.fragment);
    complete_checksums(ip, spec.segment.partial_checksum);
  }
  PacketBytes out{2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, spec.mac};
  for (size_t i = 0; i < spec.tags.size(); ++i) {
    append16(out, i + 1 < spec.tags.size() ? 0x88a8 : 0x8100);
    append16(out, spec.tags[i]);
  }
  append16(out, v4 ? 0x0800 : 0x86dd);
  return std::move(out) + ip + PacketBytes(spec.padding);
}

Delivered read_frame(ByteSpan frame) {
  Delivered out{.frame = {frame.begin(), frame.end()}};
  const size_t l3 = l3_offset(frame);
  if (frame.size() < l3 + 40) return out;
  const bool v4 = read16(frame, l3 - 2) == 0x0800 && frame[l3] == 0x45 && frame[l3 + 9] == kTcp;
  const bool v6 = read16(frame, l3 - 2) == 0x86dd && frame[l3 + 6] == kTcp;
  if (!v4 && !v6) return out;
  const size_t l4 = l3 + (v4 ? 20 : 40);
  const size_t end = v4 ? l3 + read16(frame, l3 + 2) : l4 + read16(frame, l3 + 4);
  if (end > frame.size() || end < l4 + 20) return out;
  const ByteSpan tcp = frame.subspan(l4, end - l4);
  const size_t header = size_t{tcp[12]} / 16 * 4;
  if (header < 20 || header > tcp.size()) return out;
  const auto flow = [&](ByteSpan bytes) { out.flow.append(bytes.begin(), bytes.end()); };
  flow(frame.subspan(wire::kEthernetSize - 2, l3 - wire::kEthernetSize));
  flow(v4 ? frame.subspan(l3 + 12, 8) : frame.subspan(l3 + 8, 32));
  flow(tcp.first(4));
  if (v4) out.ip_id = read16(frame, l3 + 4);
  out.seq = read32(tcp, 4);
  out.ack = read32(tcp, 8);
  out.flags = tcp[13];
  out.window = read16(tcp, 14);
  out.options.assign(tcp.begin() + 20, tcp.begin() + static_cast<ptrdiff_t>(header));
  out.payload.assign(tcp.begin() + static_cast<ptrdiff_t>(header), tcp.end());
  return out;
}

std::string fault_of(ByteSpan frame, bool partial) {
  const size_t l3 = l3_offset(frame);
  const PacketBytes packet(frame.begin() + static_cast<ptrdiff_t>(l3), frame.end());
  const bool v4 = packet[0] >> 4 == 4;
  const size_t size = v4 ? read16(packet, 2) : 40u + read16(packet, 4);
  if (size != packet.size()) return "IP length";
  PacketBytes right = packet;
  complete_checksums(right, partial);
  if (v4 && !std::ranges::equal(ByteSpan(right).first(20), ByteSpan(packet).first(20))) {
    return "IP checksum";
  }
  return right == packet ? "" : "TCP checksum";
}

std::vector<std::pair<uint32_t, PacketBytes>> cut(const Delivered& delivered) {
  const PacketBytes& payload = delivered.payload;
  const size_t step = delivered.gso_size == 0 ? payload.size() : delivered.gso_size;
  std::vector<std::pair<uint32_t, PacketBytes>> out;
  for (size_t at = 0; at < payload.size(); at += step) {
    const auto begin = payload.begin() + static_cast<ptrdiff_t>(at);
    const size_t size = std::min(step, payload.size() - at);
    out.emplace_back(delivered.seq + static_cast<uint32_t>(at),
                     PacketBytes(begin, begin + static_cast<ptrdiff_t>(size)));
  }
  return out;
}

Harness::Harness(const nic::AggregateConfig& c) : config(c), aggregator(c, kHarnessStart) {}

void Harness::wait(Duration duration) {
  const Time end = now + duration;
  // Deadlines of the wheel may be early, or at once: one step of a nanosecond at least.
  while (const auto deadline = aggregator.next_deadline()) {
    if (*deadline > end) break;
    now = std::max(now, *deadline);
    aggregator.on_timer(now, *this);
  }
  now = end;
}

port::RxPacket Harness::lend(const port::RxPacket& packet) {
  borrowed_.emplace_back(new uint8_t[packet.frame.size()]);
  std::ranges::copy(packet.frame, borrowed_.back().get());
  port::RxPacket copy = packet;
  copy.frame = {borrowed_.back().get(), packet.frame.size()};
  return copy;
}

void Harness::take_back() {
  if (!config.chain) borrowed_.clear();
}

void Harness::arrive(const port::RxPacket& packet, Duration after) {
  wait(after);
  aggregator.on_packet(lend(packet), now, *this);
  take_back();
}

void Harness::arrive_together(std::span<const FrameSpec> specs, Duration after,
                              port::ChecksumState checksum) {
  wait(after);
  std::vector<port::RxPacket> packets;
  for (const FrameSpec& spec : specs) {
    const PacketBytes frame = frame_of(spec);
    packets.push_back(lend({.frame = frame, .checksum = checksum}));
  }
  aggregator.on_burst(packets, now, *this);
  take_back();
}

void Harness::arrive(const FrameSpec& spec, Duration after) {
  const PacketBytes frame = frame_of(spec);
  arrive(port::RxPacket{.frame = frame}, after);
}

void Harness::deliver(const port::RxPacket& packet, std::span<const ByteSpan> chain) {
  PacketBytes whole(packet.frame.begin(), packet.frame.end());
  for (const ByteSpan part : chain) whole.insert(whole.end(), part.begin(), part.end());
  Delivered out = read_frame(whole);
  out.fragments = chain.size();
  out.gso_size = packet.gso_size;
  out.checksum = packet.checksum;
  out.when = now;
  if (packet.checksum != port::ChecksumState::kUnknown) {
    EXPECT_EQ(fault_of(whole, packet.checksum == port::ChecksumState::kPartial), "");
  }
  delivered.push_back(std::move(out));
}

Sender Sender::v6() {
  Sender out;
  out.segment.from.address = *IpAddress::parse("2001:db8::1");
  out.segment.to.address = *IpAddress::parse("2001:db8::2");
  return out;
}

FrameSpec Sender::next(size_t size) {
  FrameSpec out{.segment = segment, .ip_id = ip_id++};
  out.segment.payload.resize(size);
  for (uint8_t& byte : out.segment.payload) byte = static_cast<uint8_t>(content++ * 167 >> 4);
  segment.seq += static_cast<uint32_t>(size);
  return out;
}

}  // namespace fairlead::test
