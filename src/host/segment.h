// Segment: one received TCP segment in typed form, and how it is won from a frame.
//
// A super-packet is one Segment with `segments` > 1. The payload still lies in the frame.
#pragma once

#include <cstdint>
#include <expected>

#include "base/bytes.h"
#include "base/seq_num.h"
#include "host/counters.h"
#include "port/packet.h"
#include "wire/address.h"
#include "wire/tcp.h"
#include "wire/tcp_options.h"

namespace fairlead::host {

struct Segment {
  FourTuple tuple;  // local: its destination
  SeqNum seq;
  SeqNum ack;
  uint16_t window = 0;          // as in the header, unscaled
  uint8_t flags = 0;            // wire::tcp_flag
  bool ce = false;              // IP says Congestion Experienced
  bool window_changed = false;  // set by the connection: the window differs from the last one
  uint32_t segments = 1;        // how many were merged into this one
  wire::TcpOptions options;
  ByteSpan payload;
  port::RxBuffer** buffer = nullptr;  // in which the payload lies: RxPacket::buffer
  MacAddress source_mac;              // of the frame, for replies that belong to no connection
  MacAddress local_mac;
  uint8_t port_index = 0;

  bool has(uint8_t mask) const { return (flags & mask) != 0; }
  bool syn() const { return has(wire::tcp_flag::kSyn); }
  bool fin() const { return has(wire::tcp_flag::kFin); }
  bool rst() const { return has(wire::tcp_flag::kRst); }
  bool ack_flag() const { return has(wire::tcp_flag::kAck); }

  /// SEG.LEN of RFC 9293 §3.4: payload, SYN and FIN.
  uint32_t length() const {
    return static_cast<uint32_t>(payload.size()) + (syn() ? 1 : 0) + (fin() ? 1 : 0);
  }
  SeqNum end() const { return seq + length(); }
};

/// What a frame turned out to be.
enum class FrameKind : uint8_t { kTcp, kIcmp, kDropped };

/// Parses and verifies Ethernet, IP and TCP. Every refusal is counted in `counters`.
/// kTcp: `segment` is filled. kIcmp: `icmp` is the ICMP message, `segment.tuple` has the addresses.
FrameKind parse_frame(const port::RxPacket& packet, Segment& segment, ByteSpan& icmp,
                      Counters& counters);

}  // namespace fairlead::host
