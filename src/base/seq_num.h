// SeqNum: a TCP sequence number, arithmetic modulo 2^32 (RFC 9293 §3.4).
//
// There is no operator<: order exists only between numbers less than 2^31 apart, and before() says
// so by name.
#pragma once

#include <cstdint>

namespace fairlead {

class SeqNum {
 public:
  constexpr SeqNum() = default;
  constexpr explicit SeqNum(uint32_t value) : value_(value) {}

  constexpr uint32_t value() const { return value_; }

  friend constexpr bool operator==(SeqNum, SeqNum) = default;

  constexpr SeqNum& operator+=(uint32_t n) {
    value_ += n;
    return *this;
  }
  friend constexpr SeqNum operator+(SeqNum s, uint32_t n) { return SeqNum(s.value_ + n); }
  friend constexpr SeqNum operator-(SeqNum s, uint32_t n) { return SeqNum(s.value_ - n); }

  /// Signed distance from b to a: positive when a is after b.
  friend constexpr int32_t operator-(SeqNum a, SeqNum b) {
    return static_cast<int32_t>(a.value_ - b.value_);
  }

  constexpr bool before(SeqNum other) const { return *this - other < 0; }
  constexpr bool after(SeqNum other) const { return *this - other > 0; }
  constexpr bool at_or_before(SeqNum other) const { return *this - other <= 0; }
  constexpr bool at_or_after(SeqNum other) const { return *this - other >= 0; }

  /// True when start <= *this < start + size.
  constexpr bool in_window(SeqNum start, uint32_t size) const {
    return value_ - start.value_ < size;
  }

 private:
  uint32_t value_ = 0;
};

constexpr SeqNum max(SeqNum a, SeqNum b) { return a.before(b) ? b : a; }
constexpr SeqNum min(SeqNum a, SeqNum b) { return a.before(b) ? a : b; }

}  // namespace fairlead
