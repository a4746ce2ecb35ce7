// ARP for IPv4 over Ethernet (RFC 826).
#pragma once

#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "base/endian.h"
#include "wire/address.h"

namespace fairlead::wire {

struct ArpPacket {
  static constexpr uint16_t kRequest = 1;
  static constexpr uint16_t kReply = 2;

  Be16 hardware_type{1};
  Be16 protocol_type{0x0800};
  uint8_t hardware_size = 6;
  uint8_t protocol_size = 4;
  Be16 operation;
  MacAddress sender_mac;
  Be32 sender_ip;
  MacAddress target_mac;
  Be32 target_ip;

  /// nullptr when the payload is too short or not ARP for IPv4 over Ethernet.
  static const ArpPacket* checked(ByteSpan payload) {
    if (payload.size() < sizeof(ArpPacket)) return nullptr;
    const auto* arp = reinterpret_cast<const ArpPacket*>(payload.data());
    bool ours = arp->hardware_type.value() == 1 && arp->protocol_type.value() == 0x0800 &&
                arp->hardware_size == 6 && arp->protocol_size == 4;
    return ours ? arp : nullptr;
  }
};
static_assert(sizeof(ArpPacket) == 28 && alignof(ArpPacket) == 1);

}  // namespace fairlead::wire
