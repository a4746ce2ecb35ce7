// fl_load() of the plain-C headers (packet_parser.h) for user space: a packet is a ByteSpan.
#pragma once

#include <cstring>

#include "base/bytes.h"
#include "nic/steering/packet_parser.h"

/// `packet` points to a ByteSpan. -1: not so long.
static inline int fl_load(void* packet, __u32 offset, void* to, __u32 size) {
  const auto& bytes = *static_cast<const fairlead::ByteSpan*>(packet);
  if (offset > bytes.size() || size > bytes.size() - offset) return -1;
  std::memcpy(to, bytes.data() + offset, size);
  return 0;
}
