#include "wire/checksum.h"

#include <bit>
#include <cstring>

namespace fairlead {
namespace {

template <typename T>
T load(const uint8_t* p) {
  T value;
  std::memcpy(&value, p, sizeof(T));
  return value;
}

/// Bytes a vector kernel takes per step: eight AVX2 registers of widened words, enough to hide
/// their latency. Below one step its set-up costs more than it saves (bench/checksum_bench.cc).
constexpr size_t kStep = 128;

/// Sum of the native 32-bit words of the whole steps in [p, p + size).
[[gnu::always_inline]] inline uint64_t sum_steps(const uint8_t* p, size_t size) {
  uint64_t sum = 0;
  for (size_t i = 0; i < size / kStep * kStep; i += 4) sum += load<uint32_t>(p + i);
  return sum;
}

using Kernel = uint64_t (*)(const uint8_t*, size_t);

uint64_t sum_steps_baseline(const uint8_t* p, size_t size) { return sum_steps(p, size); }

#if defined(__x86_64__)
[[gnu::target("avx2")]] uint64_t sum_steps_avx2(const uint8_t* p, size_t size) {
  return sum_steps(p, size);
}
#endif

Kernel pick_kernel() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2")) return sum_steps_avx2;
#endif
  return sum_steps_baseline;
}

uint64_t sum_vector(const uint8_t* p, size_t size) {
  static const Kernel kernel = pick_kernel();
  return kernel(p, size);
}

}  // namespace

uint64_t checksum_add(uint64_t sum, ByteSpan bytes) {
  const uint8_t* p = bytes.data();
  size_t size = bytes.size();
  uint64_t native = 0;
  if (size >= kStep) {
    native = sum_vector(p, size);
    p += size / kStep * kStep;
    size %= kStep;
  }
  for (; size >= 8; p += 8, size -= 8) {
    const auto word = load<uint64_t>(p);
    native += (word & 0xffff'ffff) + (word >> 32);
  }
  if (size >= 4) {
    native += load<uint32_t>(p);
    p += 4;
    size -= 4;
  }
  if (size >= 2) {
    native += load<uint16_t>(p);
    p += 2;
    size -= 2;
  }
  uint16_t folded = checksum_fold(native);
  if constexpr (std::endian::native == std::endian::little) folded = std::byteswap(folded);
  if (size == 1) sum += uint64_t{*p} << 8;
  return sum + folded;
}

void ChecksumAccumulator::add(ByteSpan bytes) {
  const uint64_t words = checksum_add(0, bytes);
  // At an odd offset every byte stands in the other half of its word: the folded sum is swapped.
  sum_ += odd_ ? std::byteswap(checksum_fold(words)) : words;
  odd_ ^= bytes.size() % 2 != 0;
}

uint64_t pseudo_header_sum(const PseudoHeader& pseudo) {
  const uint64_t sum = uint64_t{pseudo.protocol} + pseudo.length;
  if (pseudo.source.is_v4()) {
    const uint64_t addresses = uint64_t{pseudo.source.v4_value()} + pseudo.destination.v4_value();
    return sum + (addresses >> 16) + (addresses & 0xffff);
  }
  return checksum_add_fixed<16>(checksum_add_fixed<16>(sum, pseudo.source.bytes().data()),
                                pseudo.destination.bytes().data());
}

}  // namespace fairlead
