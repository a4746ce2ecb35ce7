#include "wire/ethernet.h"

namespace fairlead::wire {
namespace {

constexpr size_t kTagSize = 4;  // TPID and TCI

uint16_t be16_at(ByteSpan bytes, size_t at) {
  return static_cast<uint16_t>(bytes[at] << 8 | bytes[at + 1]);
}

bool is_tag(uint16_t type) { return type == ether_type::kVlan || type == ether_type::kServiceVlan; }

}  // namespace

std::optional<EthernetView> EthernetView::checked(ByteSpan frame) {
  size_t size = sizeof(EthernetHeader);
  if (frame.size() < size) return std::nullopt;
  uint16_t type = be16_at(frame, size - 2);
  for (int tags = 0; is_tag(type); ++tags) {
    size += kTagSize;
    if (tags == 2 || frame.size() < size) return std::nullopt;
    type = be16_at(frame, size - 2);
  }
  return EthernetView(frame, size, type);
}

std::optional<uint16_t> EthernetView::vlan() const {
  if (header_size_ == sizeof(EthernetHeader)) return std::nullopt;
  return static_cast<uint16_t>(be16_at(frame_, sizeof(EthernetHeader)) & 0x0fff);
}

}  // namespace fairlead::wire
