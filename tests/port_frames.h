// Frames of a test between two AF_PACKET ports: TCP from port 61000 to port 9, to an address nobody
// has, and what of it came in.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "port/af_packet.h"

namespace fairlead::test {

/// Aborts, saying why, when it can't be opened.
std::unique_ptr<port::Port> open_port(const port::AfPacketOptions& options);

void put16(port::TxPacket& packet, size_t offset, size_t value);

/// A data segment, checksum partial.
port::TxPacket tcp_packet(const port::Port& from, const port::Port& to, bool ipv6,
                          ByteSpan payload);

/// What came in for TCP port 9, copied out of the port's buffers.
struct Received {
  std::vector<uint8_t> payload;
  size_t frames = 0;
  size_t super_packets = 0;
  size_t bad_checksums = 0;
};

/// Receives until `bytes` of payload came or nothing came for half a second.
Received receive_payload(port::Port& port, size_t bytes);

}  // namespace fairlead::test
