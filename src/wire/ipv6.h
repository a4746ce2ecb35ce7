// IPv6 headers and the walk over extension headers (RFC 8200 §4).
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "base/endian.h"
#include "wire/address.h"
#include "wire/ipv4.h"

namespace fairlead::wire {

struct Ipv6Header {
  Be32 version_class_flow{0x60000000u};
  Be16 payload_length;
  uint8_t next_header = ip_protocol::kTcp;
  uint8_t hop_limit = 64;
  std::array<uint8_t, 16> source{};
  std::array<uint8_t, 16> destination{};
};
static_assert(sizeof(Ipv6Header) == 40 && alignof(Ipv6Header) == 1);

class Ipv6View {
 public:
  /// More extension headers than this make a packet malformed.
  static constexpr int kMaxExtensionHeaders = 8;

  /// nullopt: not version 6, payload length beyond the buffer, or an extension header that is
  /// malformed, misplaced, one too many, or a routing header with segments left. Also for an
  /// IPv4-mapped address: it has no place on the wire, and as an IpAddress it would be the IPv4
  /// address itself, so that anyone with IPv6 could speak for an IPv4 peer.
  static std::optional<Ipv6View> checked(ByteSpan packet);
  /// For the start of a packet quoted in an ICMP error.
  static std::optional<Ipv6View> checked_quote(ByteSpan packet);

  const Ipv6Header& header() const { return *reinterpret_cast<const Ipv6Header*>(packet_.data()); }
  IpAddress source() const { return IpAddress::v6(header().source); }
  IpAddress destination() const { return IpAddress::v6(header().destination); }
  Ecn ecn() const { return static_cast<Ecn>(header().version_class_flow.value() >> 20 & 3); }
  /// Protocol behind the extension headers; 59 (none) behind a later fragment's header.
  uint8_t protocol() const { return protocol_; }
  /// Has a fragment header that is not atomic (RFC 6946).
  bool is_fragment() const { return fragment_; }
  ByteSpan payload() const { return packet_.subspan(payload_offset_); }

 private:
  Ipv6View(ByteSpan packet, size_t payload_offset, uint8_t protocol, bool fragment)
      : packet_(packet),
        payload_offset_(static_cast<uint16_t>(payload_offset)),
        protocol_(protocol),
        fragment_(fragment) {}
  static std::optional<Ipv6View> walk(ByteSpan packet);

  ByteSpan packet_;
  uint16_t payload_offset_;
  uint8_t protocol_;
  bool fragment_;
};

}  // namespace fairlead::wire
