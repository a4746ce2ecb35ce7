#include "wire/ipv6.h"

namespace fairlead::wire {
namespace {

constexpr uint8_t kHopByHop = 0;
constexpr uint8_t kRouting = 43;
constexpr uint8_t kFragment = 44;
constexpr uint8_t kDestinationOptions = 60;
constexpr uint8_t kNoNextHeader = 59;
constexpr size_t kFragmentHeaderSize = 8;
constexpr size_t kSegmentsLeftOffset = 3;  // in a routing header

}  // namespace

std::optional<Ipv6View> Ipv6View::walk(ByteSpan packet) {
  const auto& header = *reinterpret_cast<const Ipv6Header*>(packet.data());
  if (IpAddress::v6(header.source).is_v4() || IpAddress::v6(header.destination).is_v4()) {
    return std::nullopt;
  }
  uint8_t next = header.next_header;
  size_t at = sizeof(Ipv6Header);
  for (int count = 0; count <= kMaxExtensionHeaders; ++count) {
    bool options = next == kHopByHop || next == kRouting || next == kDestinationOptions;
    if (!options && next != kFragment) return Ipv6View(packet, at, next, false);
    if (packet.size() - at < kFragmentHeaderSize) return std::nullopt;
    if (next == kHopByHop && count > 0) return std::nullopt;  // RFC 8200 §4.1
    // Not the last stop: the destination we would sum and answer from is another's (RFC 8200 §4.4).
    if (next == kRouting && packet[at + kSegmentsLeftOffset] != 0) return std::nullopt;
    if (next == kFragment) {
      auto field = static_cast<unsigned>(packet[at + 2] << 8 | packet[at + 3]);
      bool later = (field & 0xfff8) != 0;
      bool more = (field & 1) != 0;
      uint8_t upper = later ? kNoNextHeader : packet[at];
      if (later || more) return Ipv6View(packet, at + kFragmentHeaderSize, upper, true);
      next = packet[at];
      at += kFragmentHeaderSize;
      continue;
    }
    size_t size = (size_t{packet[at + 1]} + 1) * 8;
    if (packet.size() - at < size) return std::nullopt;
    next = packet[at];
    at += size;
  }
  return std::nullopt;
}

std::optional<Ipv6View> Ipv6View::checked_quote(ByteSpan packet) {
  if (packet.size() < sizeof(Ipv6Header) || packet[0] >> 4 != 6) return std::nullopt;
  return walk(packet);
}

std::optional<Ipv6View> Ipv6View::checked(ByteSpan packet) {
  if (packet.size() < sizeof(Ipv6Header) || packet[0] >> 4 != 6) return std::nullopt;
  const auto& header = *reinterpret_cast<const Ipv6Header*>(packet.data());
  size_t total = sizeof(Ipv6Header) + header.payload_length.value();
  if (total > packet.size()) return std::nullopt;
  return walk(packet.first(total));
}

}  // namespace fairlead::wire
