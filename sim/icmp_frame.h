// ICMP errors about what a stack under test has sent, for scripts and fuzzing.
#pragma once

#include <cstdint>
#include <vector>

#include "base/bytes.h"
#include "sim/seg.h"
#include "wire/icmp.h"

namespace fairlead::sim {

/// Type, code and second word of the header: what they mean is in wire/icmp.h.
struct IcmpError {
  uint8_t type = 0;
  uint8_t code = 0;
  uint32_t rest = 0;
};

/// The path takes no packet above `mtu` (RFC 1191, 8201).
inline IcmpError too_big(bool ipv6, uint32_t mtu) {
  if (ipv6) return {.type = wire::IcmpHeader::kV6PacketTooBig, .code = 0, .rest = mtu};
  return {.type = wire::IcmpHeader::kUnreachable,
          .code = wire::IcmpHeader::kFragmentationNeeded,
          .rest = mtu};
}

/// `segment` as an IP packet from the stack to its peer, for quoting. `to_stack` is the context of
/// the other direction.
std::vector<uint8_t> quote_of(const Seg& segment, const SegContext& to_stack);

/// A frame with an ICMP error (ICMPv6 where the addresses are) that quotes `quote`, checksums
/// complete.
std::vector<uint8_t> icmp_frame(const IcmpError& error, const SegContext& to_stack, ByteSpan quote);

}  // namespace fairlead::sim
