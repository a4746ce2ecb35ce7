#include "tests/splice_packets.h"

#include "base/check.h"

namespace fairlead::test {
namespace {

constexpr uint8_t kTcp = 6;

void append(PacketBytes& to, ByteSpan bytes) { to.insert(to.end(), bytes.begin(), bytes.end()); }

/// One word after the other, folded at the end. The last byte of an odd number is a high half.
uint16_t plain_sum(uint64_t sum, ByteSpan bytes) {
  for (size_t at = 0; at < bytes.size(); ++at) {
    sum += at % 2 == 0 ? uint64_t{bytes[at]} << 8 : bytes[at];
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(sum);
}

PacketBytes tcp_of(const Segment& segment) {
  CHECK(segment.options.size() % 4 == 0 && segment.options.size() <= 40);
  PacketBytes out;
  append16(out, segment.from.port);
  append16(out, segment.to.port);
  append32(out, segment.seq);
  append32(out, segment.ack);
  out.push_back(static_cast<uint8_t>((20 + segment.options.size()) / 4 << 4));
  out.push_back(segment.flags);
  append16(out, segment.window);
  append16(out, 0);
  append16(out, segment.urgent);
  append(out, segment.options);
  append(out, segment.payload);
  return out;
}

PacketBytes ipv4_of(const Segment& segment, ByteSpan tcp) {
  PacketBytes out{0x45, segment.traffic_class};
  append16(out, static_cast<uint16_t>(20 + tcp.size()));
  append16(out, 0x1234);
  append16(out, 0x4000);
  out.push_back(segment.ttl);
  out.push_back(kTcp);
  append16(out, 0);
  append(out, segment.from.address.header_bytes());
  append(out, segment.to.address.header_bytes());
  append(out, tcp);
  return out;
}

PacketBytes ipv6_of(const Segment& segment, ByteSpan tcp) {
  PacketBytes out;
  append32(out, 6u << 28 | uint32_t{segment.traffic_class} << 20 | segment.flow_label);
  append16(out, static_cast<uint16_t>(tcp.size()));
  out.push_back(kTcp);
  out.push_back(segment.ttl);
  append(out, segment.from.address.header_bytes());
  append(out, segment.to.address.header_bytes());
  append(out, tcp);
  return out;
}

}  // namespace

PacketBytes packet_of(const Segment& segment) {
  const PacketBytes tcp = tcp_of(segment);
  PacketBytes out = segment.from.address.is_v4() ? ipv4_of(segment, tcp) : ipv6_of(segment, tcp);
  complete_checksums(out, segment.partial_checksum);
  return out;
}

void complete_checksums(MutableByteSpan packet, bool partial) {
  const bool v4 = packet[0] >> 4 == 4;
  const size_t header = v4 ? 20 : 40;
  const size_t tcp_size = v4 ? read16(packet, 2) - header : read16(packet, 4);
  if (v4) {
    write16(packet, 10, 0);
    write16(packet, 10, static_cast<uint16_t>(~plain_sum(0, packet.first(header))));
  }
  const MutableByteSpan tcp = packet.subspan(header, tcp_size);
  const MutableByteSpan addresses = v4 ? packet.subspan(12, 8) : packet.subspan(8, 32);
  const uint16_t pseudo = plain_sum(kTcp + tcp_size, addresses);
  write16(tcp, 16, 0);
  write16(tcp, 16, partial ? pseudo : static_cast<uint16_t>(~plain_sum(pseudo, tcp)));
}

PacketBytes operator+(PacketBytes a, const PacketBytes& b) {
  append(a, b);
  return a;
}

PacketBytes nops(size_t count) { return PacketBytes(count, 1); }

PacketBytes timestamps(uint32_t value, uint32_t echo) {
  PacketBytes out{8, 10};
  append32(out, value);
  append32(out, echo);
  return out;
}

PacketBytes sack(const std::vector<uint32_t>& edges) {
  PacketBytes out{5, static_cast<uint8_t>(2 + 4 * edges.size())};
  for (const uint32_t edge : edges) append32(out, edge);
  return out;
}

PacketBytes some_bytes(size_t count) {
  PacketBytes out(count);
  for (size_t i = 0; i < count; ++i) out[i] = static_cast<uint8_t>(i * 7 + 3);
  return out;
}

void append16(PacketBytes& to, uint16_t value) {
  to.push_back(static_cast<uint8_t>(value >> 8));
  to.push_back(static_cast<uint8_t>(value));
}

void append32(PacketBytes& to, uint32_t value) {
  append16(to, static_cast<uint16_t>(value >> 16));
  append16(to, static_cast<uint16_t>(value));
}

uint16_t read16(ByteSpan bytes, size_t at) {
  return static_cast<uint16_t>(bytes[at] << 8 | bytes[at + 1]);
}

uint32_t read32(ByteSpan bytes, size_t at) {
  return uint32_t{read16(bytes, at)} << 16 | read16(bytes, at + 2);
}

void write16(MutableByteSpan bytes, size_t at, uint16_t value) {
  bytes[at] = static_cast<uint8_t>(value >> 8);
  bytes[at + 1] = static_cast<uint8_t>(value);
}

void write32(MutableByteSpan bytes, size_t at, uint32_t value) {
  write16(bytes, at, static_cast<uint16_t>(value >> 16));
  write16(bytes, at + 2, static_cast<uint16_t>(value));
}

}  // namespace fairlead::test
