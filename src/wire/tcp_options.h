// TCP options in use today: MSS (RFC 9293 §3.2), window scale and timestamps (RFC 7323), SACK
// (RFC 2018), and the presence of Fast Open (RFC 7413), MD5 (RFC 2385) and AO (RFC 5925).
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "base/seq_num.h"

namespace fairlead::wire {

struct SackBlock {
  SeqNum left;
  SeqNum right;  // first sequence number behind the block
  friend bool operator==(const SackBlock&, const SackBlock&) = default;
};

struct Timestamps {
  uint32_t value = 0;  // TSval
  uint32_t echo = 0;   // TSecr
  friend bool operator==(const Timestamps&, const Timestamps&) = default;
};

struct TcpOptions {
  static constexpr size_t kMaxSize = 40;
  static constexpr size_t kMaxSackBlocks = 4;
  static constexpr uint8_t kTimestampsSize = 12;  // with padding
  static constexpr uint8_t kMaxWindowScale = 14;  // RFC 7323 §2.3

  std::optional<uint16_t> mss;
  std::optional<uint8_t> window_scale;  // a larger one than kMaxWindowScale is read as that
  std::optional<Timestamps> timestamps;
  bool sack_permitted = false;
  uint8_t sack_count = 0;
  std::array<SackBlock, kMaxSackBlocks> sack{};
  bool fast_open = false;      // present; the cookie is not kept
  bool authenticated = false;  // MD5 or AO present
  bool malformed = false;      // a length ran past the end or below 2: the rest was not read
  uint8_t unknown = 0;         // options of other kinds, all skipped

  /// Never fails: what is malformed is told by the flag.
  static TcpOptions parse(ByteSpan options);

  /// Writes MSS, SACK-permitted, timestamps, window scale and SACK blocks, each padded with NOPs as
  /// is customary, as far as they fit 40 bytes (SACK blocks give way). Returns the size, a multiple
  /// of 4. `out` must hold 40 bytes. parse(emit(x)) == x for what is emitted.
  size_t emit(MutableByteSpan out) const;

  friend bool operator==(const TcpOptions&, const TcpOptions&) = default;
};

}  // namespace fairlead::wire
