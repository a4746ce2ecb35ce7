#include "host/packet_builder.h"

#include <new>

#include "wire/checksum.h"
#include "wire/ethernet.h"
#include "wire/ipv6.h"
#include "wire/tcp.h"

namespace fairlead::host {
namespace {

constexpr uint8_t kHopLimit = 64;  // RFC 1700

}  // namespace

void build_tcp_packet(port::TxPacket& packet, const TcpPacketSpec& spec) {
  uint8_t* const start = packet.header.data();
  bool v4 = spec.tuple.remote.address.is_v4();
  size_t l4 =
      sizeof(wire::EthernetHeader) + (v4 ? sizeof(wire::Ipv4Header) : sizeof(wire::Ipv6Header));
  size_t options =
      spec.options.emit(MutableByteSpan(packet.header).subspan(l4 + sizeof(wire::TcpHeader)));
  size_t tcp_size = sizeof(wire::TcpHeader) + options;
  auto l4_length = static_cast<uint32_t>(tcp_size + packet.payload_size);

  new (start) wire::EthernetHeader{spec.next_hop, spec.local_mac,
                                   Be16(v4 ? wire::ether_type::kIpv4 : wire::ether_type::kIpv6)};
  uint8_t* ip = start + sizeof(wire::EthernetHeader);
  if (v4) {
    // ID 0 with DF: an atomic datagram (RFC 6864 §4.1).
    auto* h = new (ip) wire::Ipv4Header;
    h->tos = static_cast<uint8_t>(spec.ecn);
    h->total_length = static_cast<uint16_t>(sizeof(wire::Ipv4Header) + l4_length);
    h->fragment = wire::Ipv4Header::kDontFragment;
    h->ttl = kHopLimit;
    h->source = spec.tuple.local.address.v4_value();
    h->destination = spec.tuple.remote.address.v4_value();
    h->checksum = checksum_finish(checksum_add(0, {ip, sizeof(wire::Ipv4Header)}));
  } else {
    auto* h = new (ip) wire::Ipv6Header;
    h->version_class_flow = 0x60000000u | uint32_t{static_cast<uint8_t>(spec.ecn)} << 20;
    h->payload_length = static_cast<uint16_t>(l4_length);
    h->hop_limit = kHopLimit;
    h->source = spec.tuple.local.address.bytes();
    h->destination = spec.tuple.remote.address.bytes();
  }
  auto* tcp = new (start + l4) wire::TcpHeader;
  tcp->source_port = spec.tuple.local.port;
  tcp->destination_port = spec.tuple.remote.port;
  tcp->seq = spec.seq.value();
  tcp->ack = spec.ack.value();
  tcp->data_offset = static_cast<uint8_t>(tcp_size / 4 << 4);
  tcp->flags = spec.flags;
  tcp->window = spec.window;
  tcp->checksum = checksum_fold(pseudo_header_sum({.source = spec.tuple.local.address,
                                                   .destination = spec.tuple.remote.address,
                                                   .protocol = wire::ip_protocol::kTcp,
                                                   .length = l4_length}));
  packet.header_size = static_cast<uint16_t>(l4 + tcp_size);
  packet.l4_offset = static_cast<uint16_t>(l4);
  packet.checksum_partial = true;
  packet.ipv6 = !v4;
  packet.port_index = spec.port_index;
}

}  // namespace fairlead::host
