#include "port/packet_builder.h"

#include <algorithm>
#include <new>

#include "base/check.h"
#include "wire/checksum.h"
#include "wire/ethernet.h"
#include "wire/ipv6.h"
#include "wire/tcp.h"

namespace fairlead::port {
namespace {

constexpr uint8_t kHopLimit = 64;  // RFC 1700

}  // namespace

namespace {

/// What IP and Ethernet need to know of a packet.
struct IpSpec {
  IpAddress source;
  IpAddress destination;
  MacAddress local_mac;
  MacAddress next_hop;
  uint8_t protocol;
  uint8_t hop_limit;
  wire::Ecn ecn;
  uint32_t l4_length;  // header and payload
};

size_t l4_offset(bool v4) {
  return wire::kEthernetSize + (v4 ? sizeof(wire::Ipv4Header) : sizeof(wire::Ipv6Header));
}

/// Ethernet and IP header: l4_offset() bytes. Inlined, so that the spec is never written down.
[[gnu::always_inline]] inline void write_ip(uint8_t* start, const IpSpec& spec) {
  const bool v4 = spec.destination.is_v4();
  new (start) wire::EthernetHeader{spec.next_hop, spec.local_mac,
                                   Be16(v4 ? wire::ether_type::kIpv4 : wire::ether_type::kIpv6)};
  uint8_t* ip = start + wire::kEthernetSize;
  if (v4) {
    // ID 0 with DF: an atomic datagram (RFC 6864 §4.1).
    auto* h = new (ip) wire::Ipv4Header;
    h->tos = static_cast<uint8_t>(spec.ecn);
    h->total_length = static_cast<uint16_t>(sizeof(wire::Ipv4Header) + spec.l4_length);
    h->fragment = wire::Ipv4Header::kDontFragment;
    h->ttl = spec.hop_limit;
    h->protocol = spec.protocol;
    h->source = spec.source.v4_value();
    h->destination = spec.destination.v4_value();
    // From what was written, not from where: bytes just written one by one can be read as words
    // only once they have reached the cache, behind all that is being written there.
    const uint32_t first_word = uint32_t{h->version_ihl} << 8 | h->tos;
    const uint32_t ttl_word = uint32_t{spec.hop_limit} << 8 | spec.protocol;
    h->checksum = checksum_finish(uint64_t{first_word} + h->total_length.value() +
                                  wire::Ipv4Header::kDontFragment + ttl_word +
                                  spec.source.v4_value() + spec.destination.v4_value());
  } else {
    auto* h = new (ip) wire::Ipv6Header;
    h->version_class_flow = 0x60000000u | uint32_t{static_cast<uint8_t>(spec.ecn)} << 20;
    h->payload_length = static_cast<uint16_t>(spec.l4_length);
    h->next_header = spec.protocol;
    h->hop_limit = spec.hop_limit;
    h->source = spec.source.bytes();
    h->destination = spec.destination.bytes();
  }
}

void note_layers(TxPacket& packet, bool v4) {
  packet.l4_offset = static_cast<uint16_t>(l4_offset(v4));
  packet.checksum_partial = true;
  packet.ipv6 = !v4;
}

uint16_t pseudo_header(const IpSpec& spec) {
  return checksum_fold(pseudo_header_sum({.source = spec.source,
                                          .destination = spec.destination,
                                          .protocol = spec.protocol,
                                          .length = spec.l4_length}));
}

}  // namespace

size_t write_tcp_headers(const TcpPacketSpec& spec, size_t payload_size,
                         std::span<uint8_t, kMaxTcpHeaders> out) {
  uint8_t* const start = out.data();
  const size_t l4 = l4_offset(spec.tuple.remote.address.is_v4());
  const size_t options = spec.options.emit(out.subspan(l4 + sizeof(wire::TcpHeader)));
  const size_t tcp_size = sizeof(wire::TcpHeader) + options;
  const IpSpec ip{.source = spec.tuple.local.address,
                  .destination = spec.tuple.remote.address,
                  .local_mac = spec.local_mac,
                  .next_hop = spec.next_hop,
                  .protocol = wire::ip_protocol::kTcp,
                  .hop_limit = kHopLimit,
                  .ecn = spec.ecn,
                  .l4_length = static_cast<uint32_t>(tcp_size + payload_size)};
  write_ip(start, ip);
  auto* tcp = new (start + l4) wire::TcpHeader;
  tcp->source_port = spec.tuple.local.port;
  tcp->destination_port = spec.tuple.remote.port;
  tcp->seq = spec.seq.value();
  tcp->ack = spec.ack.value();
  tcp->data_offset = static_cast<uint8_t>(tcp_size / 4 << 4);
  tcp->flags = spec.flags;
  tcp->window = spec.window;
  tcp->checksum = pseudo_header(ip);
  return l4 + tcp_size;
}

void build_tcp_packet(TxPacket& packet, const TcpPacketSpec& spec) {
  const auto header = std::span(packet.header).first<kMaxTcpHeaders>();
  packet.header_size = static_cast<uint16_t>(write_tcp_headers(spec, packet.payload_size, header));
  note_layers(packet, spec.tuple.remote.address.is_v4());
  packet.port_index = spec.port_index;
}

void build_icmp_error(TxPacket& packet, const IcmpErrorSpec& spec) {
  CHECK(spec.quoted_headers.size() <= kMaxQuotedHeaders);
  const bool v4 = spec.destination.is_v4();
  const size_t l4 = l4_offset(v4);
  const size_t headers = sizeof(wire::IcmpHeader) + spec.quoted_headers.size();
  const size_t longest = (v4 ? 576 : 1280) - (l4 - wire::kEthernetSize) - headers;
  const ByteSpan rest = spec.quoted_rest.first(std::min(spec.quoted_rest.size(), longest));
  if (!rest.empty()) {
    packet.payload[0] = rest;
    packet.payload_count = 1;
    packet.payload_size = static_cast<uint32_t>(rest.size());
  }
  const IpSpec ip{.source = spec.source,
                  .destination = spec.destination,
                  .local_mac = spec.local_mac,
                  .next_hop = spec.next_hop,
                  .protocol = v4 ? wire::ip_protocol::kIcmp : wire::ip_protocol::kIcmpv6,
                  .hop_limit = spec.hop_limit,
                  .ecn = wire::Ecn::kNotCapable,
                  .l4_length = static_cast<uint32_t>(headers + rest.size())};
  write_ip(packet.header.data(), ip);
  note_layers(packet, v4);
  auto* icmp = new (packet.header.data() + l4) wire::IcmpHeader(spec.header);
  icmp->checksum = v4 ? uint16_t{0} : pseudo_header(ip);
  std::ranges::copy(spec.quoted_headers, packet.header.begin() + l4 + sizeof(wire::IcmpHeader));
  packet.header_size = static_cast<uint16_t>(l4 + headers);
  packet.port_index = spec.port_index;
  complete_checksum(packet);
}

namespace {

// As NOPs: the segment keeps its shape.
void blank_sack(MutableByteSpan options) {
  constexpr uint8_t kEnd = 0, kNop = 1, kSack = 5;
  size_t at = 0;
  while (at < options.size() && options[at] != kEnd) {
    if (options[at] == kNop) {
      ++at;
      continue;
    }
    if (at + 2 > options.size() || options[at + 1] < 2 || at + options[at + 1] > options.size()) {
      return;
    }
    const size_t length = options[at + 1];
    if (options[at] == kSack) std::ranges::fill(options.subspan(at, length), kNop);
    at += length;
  }
}

void skip_payload(TxPacket& packet, wire::TcpHeader& tcp, uint32_t n) {
  if (n == 0) return;
  packet.payload[0] = packet.payload[0].subspan(n);
  packet.payload_size -= n;
  if (packet.payload_size == 0) packet.payload_count = 0;
  if (packet.payload_size <= packet.gso_size) packet.gso_size = 0;
  tcp.seq = tcp.seq.value() + n;
  if ((tcp.flags & wire::tcp_flag::kUrg) == 0) return;
  if (tcp.urgent.value() > n) {
    tcp.urgent = static_cast<uint16_t>(tcp.urgent.value() - n);
  } else {
    tcp.flags &= static_cast<uint8_t>(~wire::tcp_flag::kUrg);
    tcp.urgent = uint16_t{0};
  }
}

}  // namespace

void patch_tcp_packet(TxPacket& packet, const PacketPatch& patch) {
  uint8_t* const start = packet.header.data();
  uint8_t* const ip = start + packet.l3_offset;
  auto& tcp = *reinterpret_cast<wire::TcpHeader*>(start + packet.l4_offset);
  skip_payload(packet, tcp, patch.skip_payload);
  const MutableByteSpan header =
      MutableByteSpan(packet.header).first(packet.header_size).subspan(packet.l4_offset);
  if (patch.ack) {
    tcp.ack = patch.ack->value();
    blank_sack(header.subspan(sizeof(wire::TcpHeader)));
  }
  const auto l4_length = static_cast<uint32_t>(header.size() + packet.payload_size);
  PseudoHeader pseudo{
      .source = {}, .destination = {}, .protocol = wire::ip_protocol::kTcp, .length = l4_length};
  if (packet.ipv6) {
    auto& h = *reinterpret_cast<wire::Ipv6Header*>(ip);
    h.payload_length = static_cast<uint16_t>(l4_length);
    pseudo.source = IpAddress::v6(h.source);
    pseudo.destination = IpAddress::v6(h.destination);
  } else {
    auto& h = *reinterpret_cast<wire::Ipv4Header*>(ip);
    h.total_length = static_cast<uint16_t>(sizeof(wire::Ipv4Header) + l4_length);
    h.checksum = uint16_t{0};
    h.checksum = checksum_finish(checksum_add(0, {ip, sizeof(wire::Ipv4Header)}));
    pseudo.source = IpAddress::v4(h.source.value());
    pseudo.destination = IpAddress::v4(h.destination.value());
  }
  tcp.checksum = checksum_fold(pseudo_header_sum(pseudo));
  packet.checksum_partial = true;
}

}  // namespace fairlead::port
