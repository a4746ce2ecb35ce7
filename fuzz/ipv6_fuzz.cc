// IPv6 and its extension headers, as a packet and as the quote in an ICMP error: the walk ends,
// stays within the packet, and never gives an address that is really an IPv4 one.
#include "fuzz/input.h"
#include "wire/ipv6.h"

namespace fairlead::wire {
namespace {

void on_packet(ByteSpan packet) {
  const auto quote = Ipv6View::checked_quote(packet);
  if (quote) fuzz::expect_within(quote->payload(), packet);
  const auto view = Ipv6View::checked(packet);
  if (!view) return;
  CHECK(view->source().is_v6() && view->destination().is_v6());
  const size_t length = view->header().payload_length.value();
  fuzz::expect_within(view->payload(), packet.subspan(sizeof(Ipv6Header), length));
  // A whole packet is also a good quote, and means the same there.
  CHECK(quote);
  CHECK(quote->protocol() == view->protocol() && quote->is_fragment() == view->is_fragment());
}

}  // namespace
}  // namespace fairlead::wire

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fairlead::wire::on_packet({data, size});
  return 0;
}
