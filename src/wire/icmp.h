// ICMPv4 (RFC 792) and ICMPv6 (RFC 4443) messages, as far as TCP needs them: errors about our own
// packets, which quote the packet's start.
#pragma once

#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "base/endian.h"
#include "base/seq_num.h"
#include "wire/address.h"

namespace fairlead::wire {

struct IcmpHeader {
  static constexpr uint8_t kUnreachable = 3;          // ICMPv4
  static constexpr uint8_t kFragmentationNeeded = 4;  // code of kUnreachable, RFC 1191
  static constexpr uint8_t kTimeExceeded = 11;
  static constexpr uint8_t kV6Unreachable = 1;  // ICMPv6
  static constexpr uint8_t kV6PacketTooBig = 2;
  static constexpr uint8_t kV6TimeExceeded = 3;

  uint8_t type = 0;
  uint8_t code = 0;
  Be16 checksum;
  Be32 rest;  // meaning depends on the type

  /// ICMPv4 fragmentation needed: the next hop's MTU, 0 from routers older than RFC 1191.
  uint16_t next_hop_mtu() const { return static_cast<uint16_t>(rest.value() & 0xffff); }
  /// ICMPv6 packet too big.
  uint32_t v6_mtu() const { return rest.value(); }
};
static_assert(sizeof(IcmpHeader) == 8 && alignof(IcmpHeader) == 1);

class IcmpView {
 public:
  static std::optional<IcmpView> checked(ByteSpan message) {
    if (message.size() < sizeof(IcmpHeader)) return std::nullopt;
    return IcmpView(message);
  }
  const IcmpHeader& header() const { return *reinterpret_cast<const IcmpHeader*>(message_.data()); }
  /// The quoted packet of an error.
  ByteSpan quote() const { return message_.subspan(sizeof(IcmpHeader)); }

 private:
  explicit IcmpView(ByteSpan message) : message_(message) {}
  ByteSpan message_;
};

/// The least path MTUs that are believed, bytes. RFC 1191 §3 lets 68 be, an attack: Linux's floor.
inline constexpr uint16_t kMinPathMtuV4 = 552;
inline constexpr uint16_t kMinPathMtuV6 = 1280;  // RFC 8200 §5

/// An ICMP error about a TCP segment, as the segment's sender reads it.
struct TcpError {
  enum class Kind : uint8_t { kUnreachable, kTooBig, kTimeExceeded, kOther };

  Kind kind = Kind::kOther;
  IcmpHeader header;
  FourTuple tuple;  // of the connection: local is where the segment came from
  SeqNum seq;       // of the segment
  ByteSpan quote;   // of its packet, from the IP header on
  ByteSpan tcp;     // of the segment, within `quote`: 8 bytes at least

  /// From a whole message of either family. nullopt: the quote is no TCP segment's, is a later
  /// fragment's, or ends before its sequence number (RFC 792: 64 bits are there).
  static std::optional<TcpError> parse(ByteSpan message, bool v4);

  /// Of kTooBig: the largest packet to send from now on, never below the floor. nullopt: below what
  /// any IPv6 link takes, to be ignored (RFC 8201 §4).
  std::optional<uint32_t> path_mtu() const;
};

}  // namespace fairlead::wire
