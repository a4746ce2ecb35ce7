// IPv4 headers (RFC 791).
#pragma once

#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "base/endian.h"
#include "wire/address.h"

namespace fairlead::wire {

namespace ip_protocol {
inline constexpr uint8_t kIcmp = 1;
inline constexpr uint8_t kTcp = 6;
inline constexpr uint8_t kIcmpv6 = 58;
}  // namespace ip_protocol

/// The two ECN bits of the TOS/traffic class octet (RFC 3168 §5).
enum class Ecn : uint8_t { kNotCapable = 0, kCapable1 = 1, kCapable0 = 2, kCongestion = 3 };

struct Ipv4Header {
  static constexpr uint16_t kDontFragment = 0x4000;
  static constexpr uint16_t kMoreFragments = 0x2000;
  static constexpr uint16_t kOffsetMask = 0x1fff;

  uint8_t version_ihl = 0x45;
  uint8_t tos = 0;
  Be16 total_length;
  Be16 id;
  Be16 fragment;
  uint8_t ttl = 64;
  uint8_t protocol = ip_protocol::kTcp;
  Be16 checksum;
  Be32 source;
  Be32 destination;
};
static_assert(sizeof(Ipv4Header) == 20 && alignof(Ipv4Header) == 1);

class Ipv4View {
 public:
  /// nullopt: not version 4, header length out of range, or total length below it or beyond the
  /// buffer. Bytes after the total length (Ethernet padding) are not part of the view.
  static std::optional<Ipv4View> checked(ByteSpan packet) {
    std::optional<Ipv4View> view = checked_quote(packet);
    if (!view) return std::nullopt;
    const size_t total = view->header().total_length.value();
    if (total < view->header_size() || total > packet.size()) return std::nullopt;
    return Ipv4View(packet.first(total));
  }
  /// For the start of a packet quoted in an ICMP error: the total length may exceed the buffer.
  static std::optional<Ipv4View> checked_quote(ByteSpan packet) {
    if (packet.size() < sizeof(Ipv4Header) || packet[0] >> 4 != 4) return std::nullopt;
    const size_t header_size = static_cast<size_t>(packet[0] & 0x0f) * 4;
    if (header_size < sizeof(Ipv4Header) || header_size > packet.size()) return std::nullopt;
    return Ipv4View(packet);
  }

  const Ipv4Header& header() const { return *reinterpret_cast<const Ipv4Header*>(packet_.data()); }
  size_t header_size() const { return static_cast<size_t>(header().version_ihl & 0x0f) * 4; }
  ByteSpan payload() const { return packet_.subspan(header_size()); }
  IpAddress source() const { return IpAddress::v4(header().source.value()); }
  IpAddress destination() const { return IpAddress::v4(header().destination.value()); }
  Ecn ecn() const { return static_cast<Ecn>(header().tos & 3); }
  /// A first, middle or last fragment.
  bool is_fragment() const {
    return (header().fragment.value() & (Ipv4Header::kMoreFragments | Ipv4Header::kOffsetMask)) !=
           0;
  }
  bool checksum_ok() const;

 private:
  explicit Ipv4View(ByteSpan packet) : packet_(packet) {}
  ByteSpan packet_;
};

}  // namespace fairlead::wire
