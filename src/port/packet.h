// What crosses the line between a port and the host stack: RxPacket (borrowed from the port) and
// TxPacket (headers built in place, payload by reference into a send buffer).
//
// Neither owns memory. A port lends received frames until release(), unless the reader takes the
// buffer (rx_buffer.h); a TxPacket's payload stays valid until the port's transmit() has returned,
// and no longer.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/bytes.h"
#include "port/rx_buffer.h"

namespace fairlead::port {

struct VnetHeader;  // vnet_header.h

/// What is known of a received frame's TCP checksum.
enum class ChecksumState : uint8_t {
  kUnknown,   // nobody looked: the host stack must verify it
  kVerified,  // the interface verified it
  kPartial,   // sent by this machine and never completed: there is nothing to verify
};

/// A received frame, from its Ethernet header on. With gso_size != 0 it is a super-packet: one
/// header and up to 64 KiB of payload, which stands for ceil(payload / gso_size) segments.
struct RxPacket {
  ByteSpan frame;
  uint16_t gso_size = 0;  // bytes of payload per segment; 0 when it is one segment
  ChecksumState checksum = ChecksumState::kUnknown;
  uint8_t port_index = 0;       // which of the shard's ports it came in by
  RxBuffer** buffer = nullptr;  // whose bytes `frame` are, for take_buffer(); nullptr: not to take
  /// What is still to be done to it, in the kernel's words: for sending it on as it is.
  const VnetHeader* offload = nullptr;
};

/// A frame to send. header holds Ethernet, IP and TCP (or ICMP) headers. The TCP (or ICMP) checksum
/// field holds the folded pseudo-header sum when checksum_partial is set: the port hands that on to
/// the interface (vnet_hdr NEEDS_CSUM) or completes it (complete_checksum()).
struct TxPacket {
  /// Ethernet 14 + 802.1Q 4 + IPv6 40 + ICMPv6 8 + a quoted packet's IPv6 40 + TCP 60, rounded up.
  static constexpr size_t kMaxHeader = 176;
  /// 64 KiB in chunks of 4 KiB, which need not begin at a chunk's start.
  static constexpr size_t kMaxPayloadSpans = 18;

  std::array<uint8_t, kMaxHeader> header;
  uint16_t header_size = 0;
  uint16_t l3_offset = 14;  // where the IP header begins
  uint16_t l4_offset = 0;   // where the TCP header begins
  uint16_t gso_size = 0;    // 0, or the segment size at which the port must cut the payload
  bool checksum_partial = false;
  bool ipv6 = false;
  bool ecn = false;  // the flow negotiated ECN: CWR belongs on the first segment only (TSO_ECN)
  uint8_t port_index = 0;  // which of the shard's ports it leaves by
  uint8_t payload_count = 0;
  uint32_t payload_size = 0;            // bytes in all spans
  const VnetHeader* offload = nullptr;  // in place of what the fields say, for a received frame
  std::array<ByteSpan, kMaxPayloadSpans> payload;

  void clear() {
    header_size = l4_offset = gso_size = 0;
    l3_offset = 14;
    checksum_partial = ipv6 = ecn = false;
    port_index = payload_count = 0;
    payload_size = 0;
    offload = nullptr;
  }
  ByteSpan header_bytes() const { return ByteSpan(header).first(header_size); }
  size_t size() const { return header_size + payload_size; }
};

/// A bounded batch of TxPackets, reused burst after burst. About 30 KiB.
class PacketBurst {
 public:
  static constexpr size_t kCapacity = 64;

  bool full() const { return size_ == kCapacity; }
  bool empty() const { return size_ == 0; }
  size_t size() const { return size_; }
  void clear() { size_ = 0; }
  /// The next slot, cleared; the burst must not be full.
  TxPacket& append() {
    TxPacket& packet = packets_[size_++];
    packet.clear();
    return packet;
  }
  /// Takes back the last append().
  void drop_last() { --size_; }
  std::span<const TxPacket> packets() const { return {packets_.data(), size_}; }
  TxPacket& operator[](size_t i) { return packets_[i]; }

 private:
  size_t size_ = 0;
  std::array<TxPacket, kCapacity> packets_;
};

/// Where the L4 checksum field lies in its header, bytes: 16 for TCP, 2 for ICMP and ICMPv6.
uint16_t checksum_field_offset(const TxPacket& packet);

/// Completes the L4 checksum in packet.header over header and payload; clears checksum_partial.
/// For ports whose interface leaves checksums to software. Defined in packet.cc.
void complete_checksum(TxPacket& packet);

}  // namespace fairlead::port
