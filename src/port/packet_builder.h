// Writes Ethernet, IP, TCP and ICMP headers: the one place that does.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "base/seq_num.h"
#include "port/packet.h"
#include "wire/address.h"
#include "wire/icmp.h"
#include "wire/ipv4.h"
#include "wire/tcp_options.h"

namespace fairlead::port {

/// Bytes of IP and TCP header, without options, of a packet to `remote`.
inline uint32_t headers_to(const IpAddress& remote) { return remote.is_v4() ? 20 + 20 : 40 + 20; }
/// The MSS of a path that takes IP packets of `mtu` bytes: payload and options (RFC 6691 §2).
inline uint16_t mss_for(uint16_t mtu, const IpAddress& remote) {
  return static_cast<uint16_t>(mtu - headers_to(remote));
}

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

/// An ICMP or ICMPv6 error, whichever the addresses' family has.
struct IcmpErrorSpec {
  IpAddress source;
  IpAddress destination;  // same family
  MacAddress local_mac;
  MacAddress next_hop;
  uint8_t port_index = 0;
  uint8_t hop_limit = 64;
  wire::IcmpHeader header;  // the checksum is computed
  // The packet that the error is about: what is copied, at most kMaxQuotedHeaders bytes, and what
  // follows it, referred to.
  ByteSpan quoted_headers;
  ByteSpan quoted_rest;
};
/// An IPv6 header and the longest TCP header.
inline constexpr size_t kMaxQuotedHeaders = 40 + 60;

/// What to change in a finished packet.
struct PacketPatch {
  uint32_t skip_payload = 0;  // bytes to leave out at the front
  std::optional<SeqNum> ack;  // instead of what it acknowledges; SACK blocks are blanked
};

/// Bytes of Ethernet, IPv6 and the longest TCP header.
inline constexpr size_t kMaxTcpHeaders = 14 + 40 + 60;

/// Writes the headers of a packet with so much payload and returns their size. The IP checksum is
/// complete, the TCP checksum partial (pseudo-header sum), DF is set on IPv4.
size_t write_tcp_headers(const TcpPacketSpec& spec, size_t payload_size,
                         std::span<uint8_t, kMaxTcpHeaders> out);

/// Fills headers for the payload already in `packet` (payload_size, gso_size).
void build_tcp_packet(TxPacket& packet, const TcpPacketSpec& spec);

/// Writes the whole packet, all checksums complete. The quote's end is left out where the packet
/// would be longer than 576 bytes (RFC 1812 §4.3.2.3) or, IPv6, 1280 (RFC 4443 §2.4).
void build_icmp_error(TxPacket& packet, const IcmpErrorSpec& spec);

/// Changes a packet with one payload span and headers without IP options or extensions. The TCP
/// checksum is partial afterwards, as if the packet had been built anew: only for packets whose
/// checksum was verified.
void patch_tcp_packet(TxPacket& packet, const PacketPatch& patch);

}  // namespace fairlead::port
