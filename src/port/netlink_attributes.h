// Reading rtnetlink attributes: libmnl's mnl_attr_for_each() is C only. Lengths were checked by the
// iteration; a payload shorter than what is read from it gives "absent".
#pragma once

#include <libmnl/libmnl.h>

#include <cstdint>
#include <cstring>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "wire/address.h"

namespace fairlead::port {

inline ByteSpan attribute_bytes(const nlattr& attribute) {
  return {static_cast<const uint8_t*>(mnl_attr_get_payload(&attribute)),
          mnl_attr_get_payload_len(&attribute)};
}

inline std::optional<uint32_t> attribute_u32(const nlattr& attribute) {
  uint32_t value;
  if (attribute_bytes(attribute).size() < sizeof value) return std::nullopt;
  std::memcpy(&value, attribute_bytes(attribute).data(), sizeof value);
  return value;
}

inline std::optional<MacAddress> attribute_mac(const nlattr& attribute) {
  MacAddress mac;
  if (attribute_bytes(attribute).size() != mac.bytes.size()) return std::nullopt;
  std::memcpy(mac.bytes.data(), attribute_bytes(attribute).data(), mac.bytes.size());
  return mac;
}

/// A string attribute, without its terminating zero.
inline std::string attribute_text(const nlattr& attribute) {
  const ByteSpan bytes = attribute_bytes(attribute);
  const auto* text = reinterpret_cast<const char*>(bytes.data());
  return {text, ::strnlen(text, bytes.size())};
}

/// Calls handle(type, attribute) for each attribute in `bytes`.
template <typename Handle>
void for_each_attribute(ByteSpan bytes, const Handle& handle) {
  const auto* attribute = reinterpret_cast<const nlattr*>(bytes.data());
  auto left = static_cast<int>(bytes.size());
  while (mnl_attr_ok(attribute, left)) {
    handle(mnl_attr_get_type(attribute), *attribute);
    left -= MNL_ALIGN(attribute->nla_len);
    attribute = mnl_attr_next(attribute);
  }
}

/// The attributes behind the family header (of `header_size` bytes) of a message.
inline ByteSpan message_attributes(const nlmsghdr& message, size_t header_size) {
  const ByteSpan payload(static_cast<const uint8_t*>(mnl_nlmsg_get_payload(&message)),
                         mnl_nlmsg_get_payload_len(&message));
  const size_t aligned = MNL_ALIGN(header_size);
  return payload.size() < aligned ? ByteSpan() : payload.subspan(aligned);
}

}  // namespace fairlead::port
