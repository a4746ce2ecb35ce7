#include "wire/tcp_options.h"

#include <algorithm>

#include "base/check.h"
#include "base/endian.h"

namespace fairlead::wire {
namespace {

enum Kind : uint8_t {
  kEnd = 0,
  kNop = 1,
  kMss = 2,
  kWindowScale = 3,
  kSackPermitted = 4,
  kSack = 5,
  kTimestamps = 8,
  kMd5 = 19,
  kAo = 29,
  kFastOpen = 34,
};

/// NOP NOP timestamps, whose values follow: all that almost every segment of a modern connection
/// has.
constexpr uint32_t kPlainTimestamps = 0x0101080a;

uint32_t be32(const uint8_t* p) { return reinterpret_cast<const Be32*>(p)->value(); }
uint16_t be16(const uint8_t* p) { return reinterpret_cast<const Be16*>(p)->value(); }
void put32(uint8_t* p, uint32_t v) { *reinterpret_cast<Be32*>(p) = v; }
void put16(uint8_t* p, uint16_t v) { *reinterpret_cast<Be16*>(p) = v; }

}  // namespace

TcpOptions TcpOptions::parse(ByteSpan options) {
  TcpOptions result;
  const uint8_t* p = options.data();
  if (options.size() == 12 && be32(p) == kPlainTimestamps) {
    result.timestamps = Timestamps{be32(p + 4), be32(p + 8)};
    return result;
  }
  size_t at = 0;
  while (at < options.size()) {
    uint8_t kind = p[at];
    if (kind == kEnd) break;
    if (kind == kNop) {
      ++at;
      continue;
    }
    size_t size = at + 1 < options.size() ? p[at + 1] : 0;
    if (size < 2 || size > options.size() - at) {
      result.malformed = true;
      break;
    }
    const uint8_t* value = p + at + 2;
    if (kind == kMss && size == 4) {
      result.mss = be16(value);
    } else if (kind == kWindowScale && size == 3) {
      result.window_scale = std::min(*value, kMaxWindowScale);
    } else if (kind == kSackPermitted && size == 2) {
      result.sack_permitted = true;
    } else if (kind == kTimestamps && size == 10) {
      result.timestamps = Timestamps{be32(value), be32(value + 4)};
    } else if (kind == kSack && size > 2 && (size - 2) % 8 == 0) {
      result.sack_count = static_cast<uint8_t>(std::min<size_t>((size - 2) / 8, kMaxSackBlocks));
      for (size_t i = 0; i < result.sack_count; ++i) {
        result.sack[i] = {SeqNum(be32(value + 8 * i)), SeqNum(be32(value + 8 * i + 4))};
      }
    } else if (kind == kFastOpen) {
      result.fast_open = true;
    } else if (kind == kMd5 || kind == kAo) {
      result.authenticated = true;
    } else {
      ++result.unknown;
    }
    at += size;
  }
  return result;
}

size_t TcpOptions::emit(MutableByteSpan out) const {
  CHECK(out.size() >= kMaxSize);
  uint8_t* const start = out.data();
  uint8_t* p = start;
  if (timestamps && !mss && !sack_permitted && !window_scale && sack_count == 0) {
    put32(p, kPlainTimestamps);
    put32(p + 4, timestamps->value);
    put32(p + 8, timestamps->echo);
    return 12;
  }
  if (mss) {
    *p++ = kMss, *p++ = 4;
    put16(p, *mss);
    p += 2;
  }
  if (timestamps) {
    // The two bytes of padding are SACK-permitted's when there is one.
    *p++ = sack_permitted ? kSackPermitted : kNop;
    *p++ = sack_permitted ? 2 : kNop;
    *p++ = kTimestamps, *p++ = 10;
    put32(p, timestamps->value);
    put32(p + 4, timestamps->echo);
    p += 8;
  } else if (sack_permitted) {
    *p++ = kNop, *p++ = kNop, *p++ = kSackPermitted, *p++ = 2;
  }
  if (window_scale) {
    *p++ = kNop, *p++ = kWindowScale, *p++ = 3, *p++ = *window_scale;
  }
  size_t room = kMaxSize - static_cast<size_t>(p - start);
  size_t blocks = std::min<size_t>(sack_count, room < 4 ? 0 : (room - 4) / 8);
  if (blocks > 0) {
    *p++ = kNop, *p++ = kNop, *p++ = kSack, *p++ = static_cast<uint8_t>(2 + 8 * blocks);
    for (size_t i = 0; i < blocks; ++i, p += 8) {
      put32(p, sack[i].left.value());
      put32(p + 4, sack[i].right.value());
    }
  }
  return static_cast<size_t>(p - start);
}

}  // namespace fairlead::wire
