// ARP: what is accepted is ARP for IPv4 over Ethernet and lies within the input.
#include "fuzz/input.h"
#include "wire/arp.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const fairlead::ByteSpan payload(data, size);
  const auto* arp = fairlead::wire::ArpPacket::checked(payload);
  if (arp == nullptr) return 0;
  fairlead::fuzz::expect_within({reinterpret_cast<const uint8_t*>(arp), sizeof(*arp)}, payload);
  CHECK(arp->hardware_size == 6 && arp->protocol_size == 4);
  return 0;
}
