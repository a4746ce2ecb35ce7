#include "sim/icmp_frame.h"

#include <utility>

#include "wire/checksum.h"
#include "wire/ethernet.h"
#include "wire/icmp.h"
#include "wire/ipv4.h"
#include "wire/ipv6.h"

namespace fairlead::sim {
namespace {

template <typename T>
ByteSpan bytes_of(const T& header) {
  return {reinterpret_cast<const uint8_t*>(&header), sizeof header};
}

void append(std::vector<uint8_t>& out, ByteSpan bytes) {
  out.insert(out.end(), bytes.begin(), bytes.end());
}

}  // namespace

std::vector<uint8_t> quote_of(const Seg& segment, const SegContext& to_stack) {
  SegContext from_stack = to_stack;
  std::swap(from_stack.source, from_stack.destination);
  std::swap(from_stack.source_isn, from_stack.destination_isn);
  std::vector<uint8_t> frame = segment.encode(from_stack);
  return {frame.begin() + wire::kEthernetSize, frame.end()};
}

std::vector<uint8_t> icmp_frame(const IcmpError& error, const SegContext& to_stack,
                                ByteSpan quote) {
  const IpAddress& source = to_stack.source.address;
  const IpAddress& destination = to_stack.destination.address;
  bool v4 = source.is_v4();
  wire::IcmpHeader icmp;
  icmp.type = error.type;
  icmp.code = error.code;
  icmp.rest = error.rest;
  auto length = static_cast<uint16_t>(sizeof icmp + quote.size());
  uint64_t sum = 0;
  if (!v4) {
    sum = pseudo_header_sum({.source = source,
                             .destination = destination,
                             .protocol = wire::ip_protocol::kIcmpv6,
                             .length = length});
  }
  icmp.checksum = checksum_finish(checksum_add(checksum_add(sum, bytes_of(icmp)), quote));

  std::vector<uint8_t> frame;
  uint16_t type = v4 ? wire::ether_type::kIpv4 : wire::ether_type::kIpv6;
  append(frame,
         bytes_of(wire::EthernetHeader{to_stack.destination_mac, to_stack.source_mac, Be16(type)}));
  if (v4) {
    wire::Ipv4Header ip;
    ip.total_length = static_cast<uint16_t>(sizeof ip + length);
    ip.protocol = wire::ip_protocol::kIcmp;
    ip.source = source.v4_value();
    ip.destination = destination.v4_value();
    ip.checksum = checksum_finish(checksum_add(0, bytes_of(ip)));
    append(frame, bytes_of(ip));
  } else {
    wire::Ipv6Header ip;
    ip.version_class_flow = 0x60000000u;
    ip.payload_length = length;
    ip.next_header = wire::ip_protocol::kIcmpv6;
    ip.source = source.bytes();
    ip.destination = destination.bytes();
    append(frame, bytes_of(ip));
  }
  append(frame, bytes_of(icmp));
  append(frame, quote);
  return frame;
}

}  // namespace fairlead::sim
