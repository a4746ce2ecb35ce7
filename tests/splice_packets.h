// TCP segments as values, and the IP packets they make: what the tests of splicing send in and
// expect out.
#pragma once

#include <cstdint>
#include <vector>

#include "base/bytes.h"
#include "wire/address.h"

namespace fairlead::test {

using PacketBytes = std::vector<uint8_t>;

struct Segment {
  Endpoint from;
  Endpoint to;  // same family
  uint32_t seq = 0;
  uint32_t ack = 0;
  uint8_t flags = 0x10;  // ACK
  uint16_t window = 1000;
  uint16_t urgent = 0;
  PacketBytes options{};  // a multiple of 4 bytes, at most 40
  PacketBytes payload{};
  uint8_t ttl = 64;               // or hop limit
  uint8_t traffic_class = 0;      // DSCP and ECN
  uint32_t flow_label = 0;        // IPv6
  bool partial_checksum = false;  // TCP's holds the pseudo header's sum
};

/// The packet, from its IP header on, with the checksums it should have.
PacketBytes packet_of(const Segment& segment);

/// Writes the checksums a packet should have. It has no IPv4 options and no extension headers;
/// bytes behind its length are padding.
void complete_checksums(MutableByteSpan packet, bool partial);

PacketBytes operator+(PacketBytes a, const PacketBytes& b);
PacketBytes nops(size_t count);
PacketBytes timestamps(uint32_t value, uint32_t echo);
/// Each two numbers are a block's edges.
PacketBytes sack(const std::vector<uint32_t>& edges);
PacketBytes some_bytes(size_t count);

/// Big-endian fields.
void append16(PacketBytes& to, uint16_t value);
void append32(PacketBytes& to, uint32_t value);
uint16_t read16(ByteSpan bytes, size_t at);
uint32_t read32(ByteSpan bytes, size_t at);
void write16(MutableByteSpan bytes, size_t at, uint16_t value);
void write32(MutableByteSpan bytes, size_t at, uint32_t value);

}  // namespace fairlead::test
