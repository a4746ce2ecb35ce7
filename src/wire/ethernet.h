// Ethernet II frames, with up to two VLAN tags (IEEE 802.1Q, 802.1ad).
#pragma once

#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "base/endian.h"
#include "wire/address.h"

namespace fairlead::wire {

namespace ether_type {
inline constexpr uint16_t kIpv4 = 0x0800;
inline constexpr uint16_t kArp = 0x0806;
inline constexpr uint16_t kVlan = 0x8100;         // 802.1Q
inline constexpr uint16_t kServiceVlan = 0x88a8;  // 802.1ad
inline constexpr uint16_t kIpv6 = 0x86dd;
}  // namespace ether_type

struct EthernetHeader {
  MacAddress destination;
  MacAddress source;
  Be16 type;
};
static_assert(sizeof(EthernetHeader) == 14 && alignof(EthernetHeader) == 1);
/// Without tags.
inline constexpr size_t kEthernetSize = sizeof(EthernetHeader);

class EthernetView {
 public:
  /// nullopt when the frame is too short for its header and tags, or has more than two tags.
  static std::optional<EthernetView> checked(ByteSpan frame) {
    size_t size = sizeof(EthernetHeader);
    if (frame.size() < size) return std::nullopt;
    uint16_t type = type_before(frame, size);
    for (int tags = 0; is_tag(type); ++tags) {
      size += kTagSize;
      if (tags == 2 || frame.size() < size) return std::nullopt;
      type = type_before(frame, size);
    }
    return EthernetView(frame, size, type);
  }

  const MacAddress& destination() const { return header().destination; }
  const MacAddress& source() const { return header().source; }
  /// Of the payload, behind any tags.
  uint16_t type() const { return type_; }
  /// VLAN id (12 bits) of the outer tag.
  std::optional<uint16_t> vlan() const;
  size_t header_size() const { return header_size_; }
  ByteSpan payload() const { return frame_.subspan(header_size_); }

 private:
  static constexpr size_t kTagSize = 4;  // TPID and TCI

  static bool is_tag(uint16_t type) {
    return type == ether_type::kVlan || type == ether_type::kServiceVlan;
  }
  static uint16_t type_before(ByteSpan frame, size_t end) {
    return static_cast<uint16_t>(frame[end - 2] << 8 | frame[end - 1]);
  }

  EthernetView(ByteSpan frame, size_t header_size, uint16_t type)
      : frame_(frame), header_size_(static_cast<uint8_t>(header_size)), type_(type) {}
  const EthernetHeader& header() const {
    return *reinterpret_cast<const EthernetHeader*>(frame_.data());
  }

  ByteSpan frame_;
  uint8_t header_size_;
  uint16_t type_;
};

}  // namespace fairlead::wire
