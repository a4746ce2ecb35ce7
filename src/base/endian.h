// Be16, Be32, Be64: big-endian integers as they stand in a packet. Alignment 1, explicit conversion
// both ways, so that a network-order value can't be mistaken for a number.
#pragma once

#include <bit>
#include <concepts>
#include <cstdint>
#include <cstring>

namespace fairlead {

template <std::unsigned_integral T>
class BigEndian {
 public:
  constexpr BigEndian() = default;
  constexpr explicit BigEndian(T host) { store(host); }

  constexpr T value() const {
    T raw = std::bit_cast<T>(bytes_);
    return std::endian::native == std::endian::little ? std::byteswap(raw) : raw;
  }
  constexpr BigEndian& operator=(T host) {
    store(host);
    return *this;
  }
  friend constexpr bool operator==(const BigEndian& a, const BigEndian& b) {
    return a.value() == b.value();
  }

 private:
  struct Bytes {
    uint8_t b[sizeof(T)];
  };
  constexpr void store(T host) {
    bytes_ = std::bit_cast<Bytes>(std::endian::native == std::endian::little ? std::byteswap(host)
                                                                             : host);
  }
  Bytes bytes_{};
};

using Be16 = BigEndian<uint16_t>;
using Be32 = BigEndian<uint32_t>;
using Be64 = BigEndian<uint64_t>;

static_assert(sizeof(Be16) == 2 && alignof(Be16) == 1);
static_assert(sizeof(Be32) == 4 && alignof(Be32) == 1);
static_assert(sizeof(Be64) == 8 && alignof(Be64) == 1);

}  // namespace fairlead
