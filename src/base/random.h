// Rng: a small seeded generator (SplitMix64, Steele et al. 2014) for simulation and for choices
// that need no secrecy. Secrets come from fill_secure_random().
#pragma once

#include <cstdint>

#include "base/bytes.h"

namespace fairlead {

class Rng {
 public:
  explicit Rng(uint64_t seed) : state_(seed) {}

  uint64_t next() {
    uint64_t z = state_ += 0x9e3779b97f4a7c15ull;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
  }
  /// In [0, n); n > 0. The bias is below n / 2^64.
  uint64_t below(uint64_t n) {
    return static_cast<uint64_t>(static_cast<unsigned __int128>(next()) * n >> 64);
  }
  /// In [0, 1).
  double unit() { return static_cast<double>(next() >> 11) * 0x1.0p-53; }
  bool chance(double probability) { return unit() < probability; }
  /// A generator whose sequence is independent of what this one goes on to give.
  Rng fork() { return Rng(next()); }

 private:
  uint64_t state_;
};

/// From the kernel (getrandom). Aborts if the kernel has none to give.
void fill_secure_random(MutableByteSpan out);

}  // namespace fairlead
