// Seg: one TCP segment as a script writes it: only the fields it cares about.
//
//   deliver(seg().seq(1).ack(1).data(1000));      what is not named gets a sensible value
//   expect(seg().ack(1001));                      what is not named may be anything
//
// Sequence and acknowledgement numbers are relative, as in packetdrill: each side's SYN is 0, its
// first byte 1. encode() and decode() take the two initial sequence numbers that make them
// absolute. Building and reading packets here shares nothing with the host stack but the header
// structs, so that a mistake there does not cancel itself out.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "wire/address.h"
#include "wire/ipv4.h"
#include "wire/tcp.h"
#include "wire/tcp_options.h"

namespace fairlead::sim {

/// What turns a Seg into a frame: who sends it to whom, and what "relative" is relative to.
struct SegContext {
  Endpoint source;
  Endpoint destination;
  MacAddress source_mac;
  MacAddress destination_mac;
  uint32_t source_isn = 0;       // added to seq
  uint32_t destination_isn = 0;  // added to ack and SACK edges
};

class Seg {
 public:
  // Flags. ack() sets the ACK flag.
  Seg& syn() { return flag(wire::tcp_flag::kSyn); }
  Seg& fin() { return flag(wire::tcp_flag::kFin); }
  Seg& rst() { return flag(wire::tcp_flag::kRst); }
  Seg& psh() { return flag(wire::tcp_flag::kPsh); }
  Seg& urg(uint16_t pointer) { return urgent_ = pointer, flag(wire::tcp_flag::kUrg); }
  Seg& ece() { return flag(wire::tcp_flag::kEce); }
  Seg& cwr() { return flag(wire::tcp_flag::kCwr); }
  Seg& flags(uint8_t all) { return flags_ = all, *this; }

  // Numbers. win() is the header's field, unscaled.
  Seg& seq(uint32_t relative) { return seq_ = relative, *this; }
  Seg& ack(uint32_t relative) { return ack_ = relative, flag(wire::tcp_flag::kAck); }
  Seg& win(uint16_t field) { return window_ = field, *this; }

  /// `size` bytes whose content is a function of their place in the stream (script_byte()).
  Seg& data(size_t size) { return size_ = size, *this; }
  /// These bytes.
  Seg& payload(std::string bytes) { return payload_ = std::move(bytes), *this; }
  /// Without payload.
  Seg& empty() { return data(0); }

  // Options.
  Seg& mss(uint16_t value) { return options_.mss = value, *this; }
  Seg& wscale(uint8_t shift) { return options_.window_scale = shift, *this; }
  Seg& sack_ok() { return options_.sack_permitted = true, *this; }
  Seg& ts(uint32_t value, uint32_t echo) {
    return options_.timestamps = wire::Timestamps{value, echo}, *this;
  }
  /// In expect(): the echo alone. In deliver(): this TSval, echoing what was heard last.
  Seg& ts_echo(uint32_t echo) { return ts_echo_ = echo, *this; }
  Seg& ts_value(uint32_t value) { return ts_value_ = value, *this; }
  Seg& no_ts() { return no_ts_ = true, *this; }
  /// Edges relative to the stream they acknowledge.
  Seg& sack(std::initializer_list<std::pair<uint32_t, uint32_t>> blocks);
  /// In expect(): no SACK option.
  Seg& no_sack() { return no_sack_ = true, *this; }
  /// These bytes instead of the options above; padded with zeros to a multiple of 4.
  Seg& raw_options(std::vector<uint8_t> bytes) { return raw_options_ = std::move(bytes), *this; }

  // IP, and damage.
  Seg& ecn(wire::Ecn bits) { return ecn_ = bits, *this; }
  Seg& ce() { return ecn(wire::Ecn::kCongestion); }
  Seg& from_port(uint16_t port) { return source_port_ = port, *this; }
  Seg& to_port(uint16_t port) { return destination_port_ = port, *this; }
  /// The header length field, in 32-bit words, whatever the options are.
  Seg& data_offset(uint8_t words) { return data_offset_ = words, *this; }
  Seg& bad_checksum() { return bad_checksum_ = true, *this; }

  /// An Ethernet frame, checksums complete. What was not set: window 65535, no payload.
  std::vector<uint8_t> encode(const SegContext& context) const;
  /// Every field set. nullopt when it is not a well-formed, checksummed TCP segment; `why` says
  /// what was wrong.
  static std::optional<Seg> decode(ByteSpan frame, const SegContext& context, std::string& why);
  /// An empty string when `actual` (decoded) has all that this one names, else what differs. Flags
  /// are always compared, PSH only when named.
  std::string mismatch(const Seg& actual) const;
  /// "S.  0:0(0) ack 1 win 65535 <mss 1460,sackOK,TS 7:0,wscale 8>", as tcpdump of old.
  std::string to_string() const;

  uint8_t get_flags() const { return flags_; }
  bool has(uint8_t mask) const { return (flags_ & mask) != 0; }
  std::optional<uint32_t> get_seq() const { return seq_; }
  std::optional<uint32_t> get_ack() const { return ack_; }
  std::optional<uint16_t> get_window() const { return window_; }
  std::optional<uint16_t> get_source_port() const { return source_port_; }
  std::optional<uint16_t> get_destination_port() const { return destination_port_; }
  const std::optional<std::string>& get_payload() const { return payload_; }
  wire::Ecn get_ecn() const { return ecn_.value_or(wire::Ecn::kNotCapable); }
  const wire::TcpOptions& get_options() const { return options_; }
  bool names_timestamps() const { return options_.timestamps || no_ts_ || !raw_options_.empty(); }
  std::optional<uint32_t> get_ts_value() const { return ts_value_; }
  /// Payload bytes.
  size_t size() const { return payload_ ? payload_->size() : size_.value_or(0); }
  /// Sequence space it takes.
  uint32_t length() const;

 private:
  Seg& flag(uint8_t f) { return flags_ |= f, *this; }

  uint8_t flags_ = 0;
  std::optional<uint32_t> seq_, ack_;
  std::optional<uint16_t> window_, urgent_, source_port_, destination_port_;
  std::optional<size_t> size_;
  std::optional<std::string> payload_;
  wire::TcpOptions options_;  // SACK edges relative
  std::optional<uint32_t> ts_echo_, ts_value_;
  std::vector<uint8_t> raw_options_;
  std::optional<wire::Ecn> ecn_;
  std::optional<uint8_t> data_offset_;
  bool no_ts_ = false;
  bool no_sack_ = false;
  bool bad_checksum_ = false;
};

inline Seg seg() { return {}; }

/// The byte at relative sequence number `at` of a scripted stream.
inline uint8_t script_byte(uint32_t at) { return static_cast<uint8_t>('a' + at % 26); }
/// `size` such bytes from `at` on.
std::string script_bytes(uint32_t at, size_t size);

}  // namespace fairlead::sim
