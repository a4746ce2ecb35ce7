// TCP headers (RFC 9293 §3.1). Options are in tcp_options.h.
#pragma once

#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "base/endian.h"
#include "base/seq_num.h"

namespace fairlead::wire {

namespace tcp_flag {
inline constexpr uint8_t kFin = 0x01;
inline constexpr uint8_t kSyn = 0x02;
inline constexpr uint8_t kRst = 0x04;
inline constexpr uint8_t kPsh = 0x08;
inline constexpr uint8_t kAck = 0x10;
inline constexpr uint8_t kUrg = 0x20;
inline constexpr uint8_t kEce = 0x40;  // RFC 3168
inline constexpr uint8_t kCwr = 0x80;
}  // namespace tcp_flag

struct TcpHeader {
  Be16 source_port;
  Be16 destination_port;
  Be32 seq;
  Be32 ack;
  uint8_t data_offset = 0x50;  // header length in 32-bit words, in the upper four bits
  uint8_t flags = 0;
  Be16 window;
  Be16 checksum;
  Be16 urgent;
};
static_assert(sizeof(TcpHeader) == 20 && alignof(TcpHeader) == 1);

class TcpView {
 public:
  /// nullopt: shorter than its header, or a header length below 20.
  static std::optional<TcpView> checked(ByteSpan segment) {
    if (segment.size() < sizeof(TcpHeader)) return std::nullopt;
    size_t header_size = static_cast<size_t>(segment[12] >> 4) * 4;
    if (header_size < sizeof(TcpHeader) || header_size > segment.size()) return std::nullopt;
    return TcpView(segment);
  }
  const TcpHeader& header() const { return *reinterpret_cast<const TcpHeader*>(segment_.data()); }
  size_t header_size() const { return static_cast<size_t>(header().data_offset >> 4) * 4; }
  SeqNum seq() const { return SeqNum(header().seq.value()); }
  SeqNum ack() const { return SeqNum(header().ack.value()); }
  ByteSpan options() const {
    return segment_.subspan(sizeof(TcpHeader), header_size() - sizeof(TcpHeader));
  }
  ByteSpan payload() const { return segment_.subspan(header_size()); }
  ByteSpan bytes() const { return segment_; }

 private:
  explicit TcpView(ByteSpan segment) : segment_(segment) {}
  ByteSpan segment_;
};

}  // namespace fairlead::wire
