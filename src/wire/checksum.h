// The Internet checksum (RFC 1071): the one's-complement sum of 16-bit big-endian words.
//
// Three shapes of number appear here, and functions say which they take:
//
//   sum        uint64_t   plain sum of 16-bit words, carries not yet folded in. Sums add.
//   folded     uint16_t   the sum modulo 0xffff: carries folded in, not complemented. This is what
//                         a packet with checksum_partial holds (the pseudo-header's).
//   checksum   uint16_t   the folded sum's complement: what a finished packet holds.
//
// All are host-order numbers: store them through Be16. A receiver sums everything, checksum field
// included, and the packet is intact when the result folds to 0xffff.
//
//   sum of header ──┐
//   sum of payload ─┼─ + ─→ checksum_fold ─→ ~ ─→ Be16 field
//   pseudo header ──┘
//
// Sums of spans add only where a span begins at an even offset of the checksummed message. Behind a
// span of odd length that no longer holds: ChecksumAccumulator keeps track of it.
//
// Wide loads: a one's-complement sum does not care in which byte order words are added, only the
// result is swapped (RFC 1071 §2(B)). So the kernel adds native 32-bit words into 64-bit lanes,
// which the compiler turns into vector code, and folds and swaps once at the end. A 64-bit lane
// takes 2^32 such words before it could overflow.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "base/bytes.h"
#include "wire/address.h"

namespace fairlead {

/// sum plus the words of `bytes`, the first byte being the high half of a word. An odd last byte
/// counts as a high half too, as if a zero followed. Any alignment. At most 2^32 bytes.
uint64_t checksum_add(uint64_t sum, ByteSpan bytes);

/// The same of kSize bytes, known when compiled: for headers.
template <size_t kSize>
uint64_t checksum_add_fixed(uint64_t sum, const uint8_t* bytes);

/// Folds the carries of a sum in. Zero only for a sum of zero: 0xffff is the other zero.
constexpr uint16_t checksum_fold(uint64_t sum) {
  sum = (sum & 0xffff'ffff) + (sum >> 32);
  sum = (sum & 0xffff'ffff) + (sum >> 32);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(sum);
}

template <size_t kSize>
uint64_t checksum_add_fixed(uint64_t sum, const uint8_t* bytes) {
  static_assert(kSize % 4 == 0);
  uint64_t native = 0;
  for (size_t i = 0; i < kSize; i += 4) {
    uint32_t word;
    std::memcpy(&word, bytes + i, sizeof word);
    native += word;
  }
  const uint16_t folded = checksum_fold(native);
  return sum + (std::endian::native == std::endian::little ? std::byteswap(folded) : folded);
}

/// The checksum for a sum taken over a message whose checksum field was zero.
constexpr uint16_t checksum_finish(uint64_t sum) {
  return static_cast<uint16_t>(~checksum_fold(sum));
}

/// True when a sum taken over a whole message, checksum field included, says it is intact.
constexpr bool checksum_ok(uint64_t sum) { return checksum_fold(sum) == 0xffff; }

/// A sum over spans of any length, each beginning where the one before it ended.
class ChecksumAccumulator {
 public:
  constexpr ChecksumAccumulator() = default;
  /// Continues a sum, such as the pseudo header's, at an even offset.
  constexpr explicit ChecksumAccumulator(uint64_t sum) : sum_(sum) {}

  void add(ByteSpan bytes);
  constexpr uint64_t sum() const { return sum_; }

 private:
  uint64_t sum_ = 0;
  bool odd_ = false;  // an odd number of bytes went before
};

/// What TCP (RFC 9293 §3.1) and ICMPv6 (RFC 4443 §2.3) sum beside their own bytes.
struct PseudoHeader {
  IpAddress source;
  IpAddress destination;  // same family as source
  uint8_t protocol = 0;   // ip_protocol::kTcp, ...
  uint32_t length = 0;    // bytes of upper-layer header and data
};

/// The pseudo header's sum, for either family (RFC 9293 §3.1, RFC 8200 §8.1).
uint64_t pseudo_header_sum(const PseudoHeader& pseudo);

/// A field changing its value, host order.
template <typename T>
struct FieldChange {
  T from;
  T to;
};

/// The checksum after a 16-bit field at an even offset changed: HC' = ~(~HC + ~m + m'), RFC 1624
/// eqn 3. Takes and returns a checksum, not a sum.
constexpr uint16_t checksum_update(uint16_t checksum, FieldChange<uint16_t> field) {
  return checksum_finish(uint64_t{0xffffu ^ checksum} + (0xffffu ^ field.from) + field.to);
}

/// The same for a 32-bit field at an even offset.
constexpr uint16_t checksum_update(uint16_t checksum, FieldChange<uint32_t> field) {
  return checksum_finish(uint64_t{0xffffu ^ checksum} + uint64_t{~field.from} + field.to);
}

}  // namespace fairlead
