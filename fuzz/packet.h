// What the fuzz targets of the rules for TCP packets have in common.
#pragma once

#include "base/bytes.h"
#include "tests/splice_packets.h"

namespace fairlead::fuzz {

/// An IPv4 packet without options or an IPv6 packet, with a whole TCP header and a length that
/// fits: for test::complete_checksums().
inline bool has_tcp_headers(ByteSpan packet) {
  if (packet.size() < 40) return false;
  const size_t header = packet[0] == 0x45 ? 20 : 40;
  if (header == 40 && packet[0] >> 4 != 6) return false;
  if (packet.size() < header + 20) return false;
  const size_t length = header == 20 ? test::read16(packet, 2) : 40u + test::read16(packet, 4);
  return length >= header + 20 && length <= packet.size();
}

}  // namespace fairlead::fuzz
