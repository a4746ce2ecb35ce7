// SipHash (Aumasson & Bernstein, 2012): a keyed hash that an attacker without the key cannot aim.
// SipHash-2-4 for what must not be forged (initial sequence numbers, cookies), SipHash-1-3 for what
// must only not be aimed at (hash tables).
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "base/bytes.h"

namespace fairlead {

struct SipKey {
  uint64_t k0 = 0;
  uint64_t k1 = 0;

  friend bool operator==(const SipKey&, const SipKey&) = default;
};

namespace detail {

// Inlined, so that the loop over an object of known size is unrolled.
template <int kCompress, int kFinal>
[[gnu::always_inline]] constexpr uint64_t siphash(const SipKey& key, const uint8_t* data,
                                                  size_t size) {
  uint64_t v0 = key.k0 ^ 0x736f6d6570736575ull, v1 = key.k1 ^ 0x646f72616e646f6dull;
  uint64_t v2 = key.k0 ^ 0x6c7967656e657261ull, v3 = key.k1 ^ 0x7465646279746573ull;
  auto round = [&] {
    v0 += v1, v1 = std::rotl(v1, 13), v1 ^= v0, v0 = std::rotl(v0, 32);
    v2 += v3, v3 = std::rotl(v3, 16), v3 ^= v2;
    v0 += v3, v3 = std::rotl(v3, 21), v3 ^= v0;
    v2 += v1, v1 = std::rotl(v1, 17), v1 ^= v2, v2 = std::rotl(v2, 32);
  };
  auto mix = [&](uint64_t word) {
    v3 ^= word;
    for (int i = 0; i < kCompress; ++i) round();
    v0 ^= word;
  };
  size_t at = 0;
  for (; at + 8 <= size; at += 8) {
    uint64_t word;
    std::memcpy(&word, data + at, 8);
    mix(std::endian::native == std::endian::little ? word : std::byteswap(word));
  }
  uint64_t last = uint64_t{size} << 56;
  // NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult): all of them are there
  for (unsigned i = 0; at + i < size; ++i) last |= uint64_t{data[at + i]} << (8 * i);
  mix(last);
  v2 ^= 0xff;
  for (int i = 0; i < kFinal; ++i) round();
  return v0 ^ v1 ^ v2 ^ v3;
}

}  // namespace detail

inline uint64_t siphash24(const SipKey& key, ByteSpan bytes) {
  return detail::siphash<2, 4>(key, bytes.data(), bytes.size());
}
inline uint64_t siphash13(const SipKey& key, ByteSpan bytes) {
  return detail::siphash<1, 3>(key, bytes.data(), bytes.size());
}

/// Of an object without padding; its size is known here, so the loop unrolls.
template <typename T>
  requires std::has_unique_object_representations_v<T>
uint64_t siphash24(const SipKey& key, const T& object) {
  return detail::siphash<2, 4>(key, reinterpret_cast<const uint8_t*>(&object), sizeof(T));
}
template <typename T>
  requires std::has_unique_object_representations_v<T>
[[gnu::always_inline]] inline uint64_t siphash13(const SipKey& key, const T& object) {
  return detail::siphash<1, 3>(key, reinterpret_cast<const uint8_t*>(&object), sizeof(T));
}

}  // namespace fairlead
