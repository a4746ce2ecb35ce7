#include "nic/aggregate/segment.h"

#include <algorithm>
#include <cstring>

#include "wire/checksum.h"
#include "wire/ethernet.h"
#include "wire/ipv4.h"
#include "wire/ipv6.h"
#include "wire/tcp.h"

namespace fairlead::nic {
namespace {

using Refused = std::unexpected<SimpleReason>;

constexpr size_t kTagSize = 4;
constexpr size_t kTimestampsSize = 12;
// RFC 7323 appendix A: NOP, NOP, kind 8, length 10.
constexpr std::array<uint8_t, 4> kTimestampsStart{1, 1, 8, 10};

/// The IP packet's payload and its addresses.
struct IpContent {
  IpAddress source;
  IpAddress destination;
  ByteSpan payload;
};

uint16_t vlan_id(ByteSpan frame, size_t tag) {
  return static_cast<uint16_t>((frame[tag] << 8 | frame[tag + 1]) & 0x0fff);
}

std::expected<IpContent, SimpleReason> read_ipv4(ByteSpan packet, Segment& out) {
  const auto ip = wire::Ipv4View::checked(packet);
  if (!ip) return Refused(SimpleReason::kMalformed);
  if (ip->header().protocol != wire::ip_protocol::kTcp) return Refused(SimpleReason::kNotTcp);
  if (ip->is_fragment()) return Refused(SimpleReason::kFragment);
  if (ip->header_size() != sizeof(wire::Ipv4Header)) return Refused(SimpleReason::kIpOptions);
  if (!ip->checksum_ok()) return Refused(SimpleReason::kBadChecksum);
  out.fields.ip_id = ip->header().id.value();
  out.dont_fragment = (ip->header().fragment.value() & wire::Ipv4Header::kDontFragment) != 0;
  return IpContent{ip->source(), ip->destination(), ip->payload()};
}

std::expected<IpContent, SimpleReason> read_ipv6(ByteSpan packet, Segment& out) {
  const auto ip = wire::Ipv6View::checked(packet);
  if (!ip) return Refused(SimpleReason::kMalformed);
  if (ip->is_fragment()) return Refused(SimpleReason::kFragment);
  if (ip->protocol() != wire::ip_protocol::kTcp) return Refused(SimpleReason::kNotTcp);
  if (ip->header().next_header != wire::ip_protocol::kTcp) {
    return Refused(SimpleReason::kIpOptions);
  }
  out.layout.ipv6 = true;
  return IpContent{ip->source(), ip->destination(), ip->payload()};
}

std::expected<IpContent, SimpleReason> read_ip(ByteSpan frame, Segment& out) {
  const auto ethernet = wire::EthernetView::checked(frame);
  if (!ethernet) return Refused(SimpleReason::kNotIp);
  out.layout.l3 = static_cast<uint8_t>(ethernet->header_size());
  const size_t tags = sizeof(wire::EthernetHeader);
  if (out.layout.l3 > tags) out.key.outer_vlan = vlan_id(frame, tags);
  if (out.layout.l3 > tags + kTagSize) out.key.inner_vlan = vlan_id(frame, tags + kTagSize);
  switch (ethernet->type()) {
    case wire::ether_type::kIpv4:
      return read_ipv4(ethernet->payload(), out);
    case wire::ether_type::kIpv6:
      return read_ipv6(ethernet->payload(), out);
    default:
      return Refused(SimpleReason::kNotIp);
  }
}

bool only_timestamps(ByteSpan options) {
  return options.size() == kTimestampsSize &&
         std::ranges::equal(options.first(kTimestampsStart.size()), kTimestampsStart);
}

/// The payload's folded sum; nothing when the TCP checksum is wrong.
std::optional<uint16_t> payload_sum(const IpContent& ip, const wire::TcpView& tcp,
                                    port::ChecksumState state) {
  const uint64_t headers = pseudo_header_sum({.source = ip.source,
                                              .destination = ip.destination,
                                              .protocol = wire::ip_protocol::kTcp,
                                              .length = static_cast<uint32_t>(ip.payload.size())}) +
                           checksum_add(0, ip.payload.first(tcp.header_size()));
  if (state == port::ChecksumState::kVerified) return checksum_finish(headers);  // all add up to ~0
  const uint16_t sum = checksum_fold(checksum_add(0, tcp.payload()));
  if (state == port::ChecksumState::kUnknown && !checksum_ok(headers + sum)) return std::nullopt;
  return sum;
}

std::optional<FlushReason> obstacle_of(const wire::TcpView& tcp, bool only_known_options) {
  using namespace wire;
  constexpr uint8_t kMergeable = tcp_flag::kAck | tcp_flag::kPsh | tcp_flag::kFin;
  const TcpHeader& header = tcp.header();
  const bool reserved = (header.data_offset & 0x0f) != 0;  // also AE of RFC 9768
  if ((header.flags & ~kMergeable) != 0 || (header.flags & tcp_flag::kAck) == 0 || reserved ||
      header.urgent.value() != 0) {
    return FlushReason::kFlags;
  }
  if (tcp.payload().empty()) {
    return (header.flags & tcp_flag::kFin) != 0 ? FlushReason::kFin : FlushReason::kNoPayload;
  }
  if (!only_known_options) return FlushReason::kOptions;
  return std::nullopt;
}

void read_tcp(const wire::TcpView& tcp, Segment& out) {
  SegmentFields& fields = out.fields;
  fields.seq = tcp.seq();
  fields.ack = tcp.ack();
  fields.window = tcp.header().window.value();
  fields.flags = tcp.header().flags;
  fields.size = static_cast<uint16_t>(tcp.payload().size());
  out.layout.timestamps = only_timestamps(tcp.options());
  if (out.layout.timestamps) {
    Be32 value, echo;
    std::memcpy(&value, tcp.options().data() + 4, sizeof value);
    std::memcpy(&echo, tcp.options().data() + 8, sizeof echo);
    fields.timestamps = {.value = value.value(), .echo = echo.value()};
  }
  out.obstacle = obstacle_of(tcp, tcp.options().empty() || out.layout.timestamps);
}

}  // namespace

std::expected<Segment, SimpleReason> read_segment(const port::RxPacket& packet, Time now) {
  Segment out;
  out.fields.arrived = now;
  const auto ip = read_ip(packet.frame, out);
  if (!ip) return Refused(ip.error());
  const auto tcp = wire::TcpView::checked(ip->payload);
  if (!tcp) return Refused(SimpleReason::kMalformed);
  const auto sum = payload_sum(*ip, *tcp, packet.checksum);
  if (!sum) return Refused(SimpleReason::kBadChecksum);
  out.fields.sum = *sum;
  out.layout.l4 = static_cast<uint8_t>(ip->payload.data() - packet.frame.data());
  out.layout.payload = static_cast<uint8_t>(out.layout.l4 + tcp->header_size());
  out.frame = packet.frame.first(out.layout.l4 + ip->payload.size());
  out.key.tuple = {.local = {ip->source, tcp->header().source_port.value()},
                   .remote = {ip->destination, tcp->header().destination_port.value()}};
  read_tcp(*tcp, out);
  if (packet.gso_size != 0) out.obstacle = FlushReason::kSuperPacket;
  return out;
}

std::optional<FlushReason> header_mismatch(const Segment& segment, const HeaderLayout& layout,
                                           ByteSpan headers) {
  const ByteSpan frame = segment.frame;
  if (segment.layout.l3 != layout.l3 ||
      !std::ranges::equal(frame.first(layout.l3), headers.first(layout.l3))) {
    return FlushReason::kLinkHeader;
  }
  const auto differs = [&](size_t offset, uint8_t bits = 0xff) {
    return ((frame[layout.l3 + offset] ^ headers[layout.l3 + offset]) & bits) != 0;
  };
  if (layout.ipv6) {
    // Version, traffic class, flow label: 4, 8 and 20 bits; the hop limit is byte 7.
    if (differs(0) || differs(1, 0xf0)) return FlushReason::kTos;
    if (differs(1, 0x0f) || differs(2) || differs(3)) return FlushReason::kFlowLabel;
    if (differs(7)) return FlushReason::kTtl;
  } else {
    if (differs(1)) return FlushReason::kTos;
    if (differs(6)) return FlushReason::kDontFragment;
    if (differs(8)) return FlushReason::kTtl;
  }
  if (segment.layout != layout) return FlushReason::kOptions;
  return std::nullopt;
}

}  // namespace fairlead::nic
