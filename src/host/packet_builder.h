// Writes Ethernet, IP and TCP headers into a TxPacket: the one place that does.
#pragma once

#include <cstdint>

#include "base/seq_num.h"
#include "port/packet.h"
#include "wire/address.h"
#include "wire/ipv4.h"
#include "wire/tcp_options.h"

namespace fairlead::host {

struct TcpPacketSpec {
  FourTuple tuple;  // local is the source
  MacAddress local_mac;
  MacAddress next_hop;
  uint8_t port_index = 0;
  SeqNum seq;
  SeqNum ack;
  uint8_t flags = 0;
  uint16_t window = 0;
  wire::Ecn ecn = wire::Ecn::kNotCapable;
  wire::TcpOptions options;
};

/// Fills headers for the payload already in `packet` (payload_size, gso_size). The IP checksum is
/// complete, the TCP checksum partial (pseudo-header sum), DF is set on IPv4.
void build_tcp_packet(port::TxPacket& packet, const TcpPacketSpec& spec);

}  // namespace fairlead::host
