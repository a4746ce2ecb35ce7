// ICMP errors and the packet they quote, read as either family's.
#include "fuzz/input.h"
#include "wire/icmp.h"
#include "wire/ipv4.h"
#include "wire/ipv6.h"

namespace fairlead::wire {
namespace {

void on_message(ByteSpan message) {
  const auto icmp = IcmpView::checked(message);
  if (!icmp) return;
  CHECK(icmp->header().next_hop_mtu() == (icmp->header().v6_mtu() & 0xffff));
  const ByteSpan quote = icmp->quote();
  fuzz::expect_within(quote, message);
  if (const auto ip = Ipv4View::checked_quote(quote)) fuzz::expect_within(ip->payload(), quote);
  if (const auto ip = Ipv6View::checked_quote(quote)) fuzz::expect_within(ip->payload(), quote);
  for (const bool v4 : {false, true}) {
    const auto error = TcpError::parse(message, v4);
    if (!error) continue;
    fuzz::expect_within(error->quote, message);
    fuzz::expect_within(error->tcp, error->quote);
    CHECK(error->tcp.size() >= 8);
    CHECK(error->tuple.local.address.is_v4() == v4);
    CHECK(error->path_mtu().value_or(kMinPathMtuV4) >= kMinPathMtuV4);
  }
}

}  // namespace
}  // namespace fairlead::wire

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fairlead::wire::on_message({data, size});
  return 0;
}
