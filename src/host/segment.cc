#include "host/segment.h"

#include "wire/checksum.h"
#include "wire/ethernet.h"
#include "wire/ipv4.h"
#include "wire/ipv6.h"

namespace fairlead::host {
namespace {

struct IpPacket {
  IpAddress source;
  IpAddress destination;
  uint8_t protocol;
  wire::Ecn ecn;
  ByteSpan payload;
};

bool parse_ip(const wire::EthernetView& frame, bool verify, IpPacket& out, Counters& counters) {
  if (frame.type() == wire::ether_type::kIpv4) {
    auto ip = wire::Ipv4View::checked(frame.payload());
    if (!ip) return ++counters.drop_malformed_ip, false;
    if (verify && !ip->checksum_ok()) return ++counters.drop_bad_ip_checksum, false;
    if (ip->is_fragment()) return ++counters.drop_fragment, false;
    out = {ip->source(), ip->destination(), ip->header().protocol, ip->ecn(), ip->payload()};
    return true;
  }
  if (frame.type() == wire::ether_type::kIpv6) {
    auto ip = wire::Ipv6View::checked(frame.payload());
    if (!ip) return ++counters.drop_malformed_ip, false;
    if (ip->is_fragment()) return ++counters.drop_fragment, false;
    out = {ip->source(), ip->destination(), ip->protocol(), ip->ecn(), ip->payload()};
    return true;
  }
  ++counters.drop_not_for_us;
  return false;
}

// By value: who does not call it need not have `ip` in memory.
bool l4_checksum_ok(IpPacket ip) {
  uint64_t sum = 0;
  if (ip.protocol != wire::ip_protocol::kIcmp) {
    sum = pseudo_header_sum({.source = ip.source,
                             .destination = ip.destination,
                             .protocol = ip.protocol,
                             .length = static_cast<uint32_t>(ip.payload.size())});
  }
  return checksum_ok(checksum_add(sum, ip.payload));
}

}  // namespace

FrameKind parse_frame(const port::RxPacket& packet, Segment& segment, ByteSpan& icmp,
                      Counters& counters) {
  auto frame = wire::EthernetView::checked(packet.frame);
  if (!frame) {
    ++counters.drop_malformed_ethernet;
    return FrameKind::kDropped;
  }
  bool verify = packet.checksum == port::ChecksumState::kUnknown;
  IpPacket ip;
  if (!parse_ip(*frame, verify, ip, counters)) return FrameKind::kDropped;
  if (ip.source.is_multicast_or_broadcast() || ip.source.is_unspecified() ||
      ip.destination.is_multicast_or_broadcast()) {
    ++counters.drop_bad_address;
    return FrameKind::kDropped;
  }
  segment.tuple.local.address = ip.destination;
  segment.tuple.remote.address = ip.source;
  segment.source_mac = frame->source();
  segment.local_mac = frame->destination();
  segment.port_index = packet.port_index;
  segment.buffer = packet.buffer;

  bool is_icmp =
      ip.protocol == (ip.source.is_v4() ? wire::ip_protocol::kIcmp : wire::ip_protocol::kIcmpv6);
  if (!is_icmp && ip.protocol != wire::ip_protocol::kTcp) {
    ++counters.drop_not_for_us;
    return FrameKind::kDropped;
  }
  if (is_icmp) {
    if (verify && !l4_checksum_ok(ip)) {
      ++counters.drop_bad_icmp;
      return FrameKind::kDropped;
    }
    icmp = ip.payload;
    return FrameKind::kIcmp;
  }
  auto tcp = wire::TcpView::checked(ip.payload);
  if (!tcp) {
    ++counters.drop_malformed_tcp;
    return FrameKind::kDropped;
  }
  if (verify && !l4_checksum_ok(ip)) {
    ++counters.drop_bad_tcp_checksum;
    return FrameKind::kDropped;
  }
  segment.tuple.local.port = tcp->header().destination_port.value();
  segment.tuple.remote.port = tcp->header().source_port.value();
  if (segment.tuple.local == segment.tuple.remote) {  // the LAND attack
    ++counters.drop_bad_address;
    return FrameKind::kDropped;
  }
  segment.seq = tcp->seq();
  segment.ack = tcp->ack();
  segment.flags = tcp->header().flags;
  segment.window = tcp->header().window.value();
  segment.options = wire::TcpOptions::parse(tcp->options());
  segment.payload = tcp->payload();
  segment.ce = ip.ecn == wire::Ecn::kCongestion;
  segment.window_changed = false;
  segment.segments = 1;
  if (packet.gso_size > 0 && !segment.payload.empty()) {
    segment.segments =
        static_cast<uint32_t>((segment.payload.size() + packet.gso_size - 1) / packet.gso_size);
  }
  ++counters.segments_received;
  return FrameKind::kTcp;
}

}  // namespace fairlead::host
