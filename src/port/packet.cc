#include "port/packet.h"

#include <cstring>

#include "base/check.h"
#include "base/endian.h"
#include "wire/checksum.h"

namespace fairlead::port {
namespace {

constexpr uint16_t kTcpChecksumOffset = 16;  // RFC 9293 §3.1
constexpr uint16_t kIcmpChecksumOffset = 2;  // RFC 792, RFC 4443 §2.1
constexpr size_t kIpv4ProtocolOffset = 9;    // RFC 791 §3.1
constexpr size_t kIpv6NextHeaderOffset = 6;  // RFC 8200 §3; our own packets carry no extensions
constexpr uint8_t kProtocolTcp = 6;

}  // namespace

uint16_t checksum_field_offset(const TxPacket& packet) {
  const size_t protocol =
      packet.l3_offset + (packet.ipv6 ? kIpv6NextHeaderOffset : kIpv4ProtocolOffset);
  return packet.header[protocol] == kProtocolTcp ? kTcpChecksumOffset : kIcmpChecksumOffset;
}

void complete_checksum(TxPacket& packet) {
  CHECK(packet.checksum_partial);
  // The field holds the pseudo header's folded sum, so summing it along with the rest adds that in.
  ChecksumAccumulator sum;
  sum.add(packet.header_bytes().subspan(packet.l4_offset));
  for (size_t i = 0; i < packet.payload_count; ++i) sum.add(packet.payload[i]);
  const Be16 checksum(checksum_finish(sum.sum()));
  std::memcpy(&packet.header[size_t{packet.l4_offset} + checksum_field_offset(packet)], &checksum,
              sizeof checksum);
  packet.checksum_partial = false;
}

}  // namespace fairlead::port
