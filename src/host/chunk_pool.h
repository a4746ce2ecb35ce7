// ChunkPool: the memory for stream bytes of all connections of a stack, in chunks of 4 KiB.
//
//   0          live          live + promised           ordinary              capacity
//   |##############|..................|                    |      reserve      |
//
// In-order payload of a receive burst is read where it lies in its packet, and copied into chunks
// at the end of the burst if nobody has read it by then. The reader has seen it: it can't be
// refused any more. So chunks for it are promised when it is accepted, and what gets no promise is
// not accepted.
//
// Bound: the capacity. A part of it, the reserve, is for promises only, so that those who read at
// once go on when others have filled the rest.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "base/check.h"
#include "base/object_pool.h"
#include "port/rx_buffer.h"

namespace fairlead::host {

using port::Buffer;

struct Chunk : Buffer {
  static constexpr uint32_t kCapacity = 4096 - sizeof(Buffer);

  Chunk() : Buffer(nullptr) { data = storage.data(); }

  std::array<uint8_t, kCapacity> storage;  // deliberately left as it is
};
static_assert(sizeof(Chunk) == 4096);

class ChunkPool {
 public:
  explicit ChunkPool(size_t capacity)
      : pool_(capacity), ordinary_(capacity - std::min(capacity / 4, kMaxReserve)) {}

  size_t live() const { return pool_.live(); }
  /// create() would succeed.
  bool available() const { return live() + promised_ < ordinary_; }
  /// nullptr at the bound.
  Chunk* create() { return available() ? pool_.create() : nullptr; }
  void destroy(Chunk* chunk) { pool_.destroy(chunk); }

  /// How many chunks `bytes` in one run may need.
  static size_t chunks_for(size_t bytes) {
    return (bytes + Chunk::kCapacity - 1) / Chunk::kCapacity;
  }
  /// False at the bound. `from_reserve`: the reserve may be used.
  bool promise(size_t chunks, bool from_reserve) {
    if (live() + promised_ + chunks > (from_reserve ? pool_.capacity() : ordinary_)) return false;
    promised_ += chunks;
    return true;
  }
  /// So many fewer are promised. That many can be had by create_promised() before anything else is
  /// asked of the pool.
  void redeem(size_t chunks) { promised_ -= chunks; }
  Chunk* create_promised() {
    Chunk* chunk = pool_.create();
    CHECK(chunk != nullptr);
    return chunk;
  }

 private:
  static constexpr size_t kMaxReserve = 256;  // 1 MiB, as much as a receive burst brings

  ObjectPool<Chunk> pool_;
  size_t ordinary_;  // how many may live but for promises
  size_t promised_ = 0;
};

}  // namespace fairlead::host
