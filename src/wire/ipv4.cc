#include "wire/ipv4.h"

#include "wire/checksum.h"

namespace fairlead::wire {

std::optional<Ipv4View> Ipv4View::checked_quote(ByteSpan packet) {
  if (packet.size() < sizeof(Ipv4Header) || packet[0] >> 4 != 4) return std::nullopt;
  size_t header_size = static_cast<size_t>(packet[0] & 0x0f) * 4;
  if (header_size < sizeof(Ipv4Header) || header_size > packet.size()) return std::nullopt;
  return Ipv4View(packet);
}

std::optional<Ipv4View> Ipv4View::checked(ByteSpan packet) {
  std::optional<Ipv4View> view = checked_quote(packet);
  if (!view) return std::nullopt;
  size_t total = view->header().total_length.value();
  if (total < view->header_size() || total > packet.size()) return std::nullopt;
  return Ipv4View(packet.first(total));
}

bool Ipv4View::checksum_ok() const {
  return fairlead::checksum_ok(checksum_add(0, packet_.first(header_size())));
}

}  // namespace fairlead::wire
