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

constexpr size_t kTagSize = 4;
// RFC 7323 appendix A: NOP, NOP, kind 8, length 10.
constexpr std::array<uint8_t, 4> kTimestampsStart{1, 1, 8, 10};

/// What an IP packet carries, or why it carries nothing of interest.
struct IpContent {
  explicit IpContent(SimpleReason why) : refused(why) {}
  explicit IpContent(ByteSpan content) : payload(content) {}

  std::optional<SimpleReason> refused;
  ByteSpan payload;
};

uint16_t vlan_id(ByteSpan frame, size_t tag) {
  return static_cast<uint16_t>((frame[tag] << 8 | frame[tag + 1]) & 0x0fff);
}

IpContent read_ipv4(ByteSpan packet, Segment& out) {
  const auto ip = wire::Ipv4View::checked(packet);
  if (!ip) return IpContent(SimpleReason::kMalformed);
  if (ip->header().protocol != wire::ip_protocol::kTcp) return IpContent(SimpleReason::kNotTcp);
  if (ip->is_fragment()) return IpContent(SimpleReason::kFragment);
  constexpr size_t kSize = sizeof(wire::Ipv4Header);
  if (ip->header_size() != kSize) return IpContent(SimpleReason::kIpOptions);
  if (!checksum_ok(checksum_add_fixed<kSize>(0, packet.data()))) {
    return IpContent(SimpleReason::kBadChecksum);
  }
  out.key.tuple.local.address = ip->source();
  out.key.tuple.remote.address = ip->destination();
  out.fields.ip_id = ip->header().id.value();
  out.dont_fragment = (ip->header().fragment.value() & wire::Ipv4Header::kDontFragment) != 0;
  return IpContent(ip->payload());
}

IpContent read_ipv6(ByteSpan packet, Segment& out) {
  const auto ip = wire::Ipv6View::checked(packet);
  if (!ip) return IpContent(SimpleReason::kMalformed);
  if (ip->is_fragment()) return IpContent(SimpleReason::kFragment);
  if (ip->protocol() != wire::ip_protocol::kTcp) return IpContent(SimpleReason::kNotTcp);
  if (ip->header().next_header != wire::ip_protocol::kTcp) {
    return IpContent(SimpleReason::kIpOptions);
  }
  out.key.tuple.local.address = ip->source();
  out.key.tuple.remote.address = ip->destination();
  out.layout.ipv6 = true;
  return IpContent(ip->payload());
}

IpContent read_ip(ByteSpan frame, Segment& out) {
  const auto ethernet = wire::EthernetView::checked(frame);
  if (!ethernet) return IpContent(SimpleReason::kNotIp);
  out.layout.l3 = static_cast<uint8_t>(ethernet->header_size());
  const size_t tags = wire::kEthernetSize;
  if (out.layout.l3 > tags) out.key.outer_vlan = vlan_id(frame, tags);
  if (out.layout.l3 > tags + kTagSize) out.key.inner_vlan = vlan_id(frame, tags + kTagSize);
  switch (ethernet->type()) {
    case wire::ether_type::kIpv4:
      return read_ipv4(ethernet->payload(), out);
    case wire::ether_type::kIpv6:
      return read_ipv6(ethernet->payload(), out);
    default:
      return IpContent(SimpleReason::kNotIp);
  }
}

bool only_timestamps(ByteSpan options) {
  return options.size() == wire::TcpOptions::kTimestampsSize &&
         std::ranges::equal(options.first(kTimestampsStart.size()), kTimestampsStart);
}

/// Of the pseudo header, whose addresses lie in the frame, and the TCP header.
uint64_t sum_of_headers(ByteSpan frame, const HeaderLayout& layout) {
  constexpr size_t kTcpHeader = sizeof(wire::TcpHeader);
  const uint8_t* ip = frame.data() + layout.l3;
  const uint8_t* tcp = frame.data() + layout.l4;
  const uint64_t sum =
      wire::ip_protocol::kTcp + (frame.size() - layout.l4) +
      checksum_add_fixed<kTcpHeader>(0, tcp) +
      (layout.ipv6 ? checksum_add_fixed<2 * 16>(0, ip + 8) : checksum_add_fixed<2 * 4>(0, ip + 12));
  const size_t options = layout.payload - layout.l4 - kTcpHeader;
  if (options != wire::TcpOptions::kTimestampsSize)
    return checksum_add(sum, {tcp + kTcpHeader, options});
  return checksum_add_fixed<wire::TcpOptions::kTimestampsSize>(sum, tcp + kTcpHeader);
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
  fields.payload = tcp.payload().data();
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

std::optional<SimpleReason> read_segment(const port::RxPacket& packet, PayloadSum wanted,
                                         Segment& out) {
  out.key.outer_vlan = out.key.inner_vlan = ConnectionKey::kNoTag;
  out.layout.ipv6 = false;
  out.fields.timestamps = {};
  out.fields.ip_id = 0;
  out.dont_fragment = false;
  const IpContent ip = read_ip(packet.frame, out);
  if (ip.refused) return ip.refused;
  const auto tcp = wire::TcpView::checked(ip.payload);
  if (!tcp) return SimpleReason::kMalformed;
  out.layout.l4 = static_cast<uint8_t>(ip.payload.data() - packet.frame.data());
  out.layout.payload = static_cast<uint8_t>(out.layout.l4 + tcp->header_size());
  out.frame = packet.frame.first(out.layout.l4 + ip.payload.size());
  out.fields.partial = packet.checksum == port::ChecksumState::kPartial;
  if (!read_checksum(out.frame, out.layout, packet.checksum, wanted, out.fields.sum)) {
    return SimpleReason::kBadChecksum;
  }
  out.key.tuple.local.port = tcp->header().source_port.value();
  out.key.tuple.remote.port = tcp->header().destination_port.value();
  read_tcp(*tcp, out);
  if (packet.gso_size != 0) out.obstacle = FlushReason::kSuperPacket;
  return std::nullopt;
}

bool detail::read_whole_checksum(ByteSpan frame, const HeaderLayout& layout,
                                 port::ChecksumState state, uint16_t& sum) {
  using enum port::ChecksumState;
  if (state == kVerified) {
    sum = checksum_finish(sum_of_headers(frame, layout));  // all add up to ~0
    return true;
  }
  sum = checksum_fold(checksum_add(0, frame.subspan(layout.payload)));
  return state == kPartial || checksum_ok(sum_of_headers(frame, layout) + sum);
}

std::optional<FlushReason> header_mismatch(const Segment& segment, const HeaderLayout& layout,
                                           ByteSpan headers) {
  const ByteSpan frame = segment.frame;
  constexpr size_t kUntagged = wire::kEthernetSize;
  const bool same_link = segment.layout.l3 == layout.l3 &&
                         std::memcmp(frame.data(), headers.data(), kUntagged) == 0 &&
                         std::ranges::equal(frame.subspan(kUntagged, layout.l3 - kUntagged),
                                            headers.subspan(kUntagged, layout.l3 - kUntagged));
  if (!same_link) return FlushReason::kLinkHeader;
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
