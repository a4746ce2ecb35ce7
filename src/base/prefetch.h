// Fetching memory into the processor's cache before it is needed, so that several misses are waited
// for at once.
#pragma once

#include <cstddef>
#include <cstdint>

namespace fairlead {

/// Of every x86-64 and common AArch64; std::hardware_destructive_interference_size depends on
/// compiler flags and may not be used in a header.
inline constexpr size_t kCacheLine = 64;

inline void prefetch(const void* begin, size_t bytes) {
  for (size_t at = 0; at < bytes; at += kCacheLine) {
    __builtin_prefetch(static_cast<const uint8_t*>(begin) + at);
  }
}

}  // namespace fairlead
