#include "wire/icmp.h"

#include <algorithm>

#include "wire/ipv4.h"
#include "wire/ipv6.h"

namespace fairlead::wire {
namespace {

TcpError::Kind kind_of(const IcmpHeader& header, bool v4) {
  using Kind = TcpError::Kind;
  if (header.type == (v4 ? IcmpHeader::kTimeExceeded : IcmpHeader::kV6TimeExceeded)) {
    return Kind::kTimeExceeded;
  }
  if (!v4 && header.type == IcmpHeader::kV6PacketTooBig) return Kind::kTooBig;
  if (header.type != (v4 ? IcmpHeader::kUnreachable : IcmpHeader::kV6Unreachable)) {
    return Kind::kOther;
  }
  return v4 && header.code == IcmpHeader::kFragmentationNeeded ? Kind::kTooBig : Kind::kUnreachable;
}

/// Fills in addresses and `tcp`. False: `quote` has no TCP segment's start.
bool find_segment(TcpError& error, bool v4) {
  if (v4) {
    const auto ip = Ipv4View::checked_quote(error.quote);
    if (!ip || ip->header().protocol != ip_protocol::kTcp) return false;
    // Only a packet's first fragment has ports where they are looked for.
    if ((ip->header().fragment.value() & Ipv4Header::kOffsetMask) != 0) return false;
    error.tuple = {{ip->source(), 0}, {ip->destination(), 0}};
    error.tcp = ip->payload();
    return true;
  }
  const auto ip = Ipv6View::checked_quote(error.quote);
  if (!ip || ip->protocol() != ip_protocol::kTcp) return false;
  error.tuple = {{ip->source(), 0}, {ip->destination(), 0}};
  error.tcp = ip->payload();
  return true;
}

}  // namespace

std::optional<TcpError> TcpError::parse(ByteSpan message, bool v4) {
  const auto icmp = IcmpView::checked(message);
  if (!icmp) return std::nullopt;
  TcpError error;
  error.kind = kind_of(icmp->header(), v4);
  error.header = icmp->header();
  error.quote = icmp->quote();
  if (!find_segment(error, v4) || error.tcp.size() < 8) return std::nullopt;
  const auto be16 = [&](size_t at) {
    return static_cast<uint16_t>(error.tcp[at] << 8 | error.tcp[at + 1]);
  };
  error.tuple.local.port = be16(0);
  error.tuple.remote.port = be16(2);
  error.seq = SeqNum(uint32_t{be16(4)} << 16 | be16(6));
  return error;
}

std::optional<uint32_t> TcpError::path_mtu() const {
  if (tuple.local.address.is_v4()) return std::max(header.next_hop_mtu(), kMinPathMtuV4);
  if (header.v6_mtu() < kMinPathMtuV6) return std::nullopt;
  return header.v6_mtu();
}

}  // namespace fairlead::wire
