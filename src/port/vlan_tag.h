// VlanTag: the outer tag that the kernel takes off what it receives, and tells beside the frame.
#pragma once

#include <linux/if_packet.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <optional>

#include "base/bytes.h"
#include "base/endian.h"
#include "port/vnet_header.h"
#include "wire/address.h"
#include "wire/ethernet.h"

namespace fairlead::port {

enum class VlanTags : uint8_t {
  kStripped,
  kInFrame,  // put back
};

struct VlanTag {
  static constexpr size_t kSize = 4;  // bytes

  uint16_t type = 0;  // host order
  uint16_t control = 0;

  /// `told`: a tpacket2_hdr or tpacket_auxdata. nullopt: nothing was taken off.
  template <typename Told>
  static std::optional<VlanTag> of(const Told& told) {
    if ((told.tp_status & TP_STATUS_VLAN_VALID) == 0) return std::nullopt;
    const bool has_type = (told.tp_status & TP_STATUS_VLAN_TPID_VALID) != 0;
    return VlanTag{.type = has_type ? told.tp_vlan_tpid : wire::ether_type::kVlan,
                   .control = told.tp_vlan_tci};
  }

  /// Puts it back into `frame`, which has addresses and `kSize` free bytes before it. Returns the
  /// frame; `offload` counts from where that begins.
  ByteSpan put_into(MutableByteSpan frame, VnetHeader& offload) const {
    constexpr size_t kAddresses = 2 * sizeof(MacAddress);
    if (frame.size() < kAddresses) return frame;
    uint8_t* const begin = frame.data() - kSize;
    std::memmove(begin, frame.data(), kAddresses);
    const std::array tag{Be16(type), Be16(control)};
    static_assert(sizeof tag == kSize);
    std::memcpy(begin + kAddresses, tag.data(), kSize);
    if (offload.header_size != 0) offload.header_size += kSize;
    if ((offload.flags & VnetHeader::kNeedsChecksum) != 0) offload.checksum_start += kSize;
    return {begin, frame.size() + kSize};
  }
};

}  // namespace fairlead::port
