// A frame from the wire, through every layer: Ethernet, then ARP, IPv4 or IPv6, then TCP with its
// options, or ICMP.
#include "fuzz/input.h"
#include "wire/arp.h"
#include "wire/checksum.h"
#include "wire/ethernet.h"
#include "wire/icmp.h"
#include "wire/ipv4.h"
#include "wire/ipv6.h"
#include "wire/tcp.h"
#include "wire/tcp_options.h"

namespace fairlead::wire {
namespace {

void on_transport(uint8_t protocol, ByteSpan payload) {
  if (protocol == ip_protocol::kTcp) {
    if (const auto tcp = TcpView::checked(payload)) {
      fuzz::expect_within(tcp->options(), payload);
      fuzz::expect_within(tcp->payload(), payload);
      CHECK(tcp->header_size() + tcp->payload().size() == payload.size());
      const TcpOptions options = TcpOptions::parse(tcp->options());
      CHECK(options.sack_count <= TcpOptions::kMaxSackBlocks);
    }
  } else if (protocol == ip_protocol::kIcmp || protocol == ip_protocol::kIcmpv6) {
    if (const auto icmp = IcmpView::checked(payload)) fuzz::expect_within(icmp->quote(), payload);
  }
}

void on_ipv4(ByteSpan packet) {
  const auto ip = Ipv4View::checked(packet);
  if (!ip) return;
  static_cast<void>(ip->checksum_ok());
  CHECK(ip->source().is_v4() && ip->destination().is_v4());
  fuzz::expect_within(ip->payload(), packet);
  if (!ip->is_fragment()) on_transport(ip->header().protocol, ip->payload());
}

void on_ipv6(ByteSpan packet) {
  const auto ip = Ipv6View::checked(packet);
  if (!ip) return;
  CHECK(ip->source().is_v6() && ip->destination().is_v6());
  fuzz::expect_within(ip->payload(), packet);
  if (!ip->is_fragment()) on_transport(ip->protocol(), ip->payload());
}

void on_frame(ByteSpan bytes) {
  const auto frame = EthernetView::checked(bytes);
  if (!frame) return;
  if (frame->vlan()) CHECK(*frame->vlan() < 4096);
  fuzz::expect_within(frame->payload(), bytes);
  switch (frame->type()) {
    case ether_type::kArp:
      if (const ArpPacket* arp = ArpPacket::checked(frame->payload())) {
        static_cast<void>(arp->operation.value());
      }
      break;
    case ether_type::kIpv4:
      on_ipv4(frame->payload());
      break;
    case ether_type::kIpv6:
      on_ipv6(frame->payload());
      break;
    default:
      break;
  }
}

}  // namespace
}  // namespace fairlead::wire

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fairlead::wire::on_frame({data, size});
  return 0;
}
