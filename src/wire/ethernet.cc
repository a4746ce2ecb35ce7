#include "wire/ethernet.h"

namespace fairlead::wire {
namespace {

uint16_t be16_at(ByteSpan bytes, size_t at) {
  return static_cast<uint16_t>(bytes[at] << 8 | bytes[at + 1]);
}

}  // namespace

std::optional<uint16_t> EthernetView::vlan() const {
  if (header_size_ == kEthernetSize) return std::nullopt;
  return static_cast<uint16_t>(be16_at(frame_, kEthernetSize) & 0x0fff);
}

}  // namespace fairlead::wire
