// FramePipe: frames from one core to another, as between a host and its NIC: buffers that go round.
//
//   producer  take() ─▶ write ─▶ put(), flush() ══[filled]══▶ receive() ─▶ read ─▶ give_back()
//                ▲                                                                     │
//                └──────────────────────────────[free]◀════════════════════════════════┘
//
// One producer, one consumer. Bound: the number of frames; take() fails while all are under way.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <new>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/check.h"
#include "base/spsc_ring.h"
#include "port/packet.h"

namespace fairlead::bench {

/// The head of a buffer with a frame in it, which lies right behind.
struct Frame {
  uint32_t size = 0;
  uint16_t gso_size = 0;
  port::ChecksumState checksum = port::ChecksumState::kUnknown;

  uint8_t* room() { return reinterpret_cast<uint8_t*>(this + 1); }
  ByteSpan bytes() const { return {reinterpret_cast<const uint8_t*>(this + 1), size}; }
};

class FramePipe {
 public:
  static constexpr size_t kBurst = 64;

  /// `frames`: a power of two. A frame has room for `frame_bytes`.
  FramePipe(size_t frames, size_t frame_bytes)
      : filled_(frames), free_(frames), frame_bytes_(frame_bytes) {
    // An odd number of cache lines apart: at a power of two all headers would share a few cache
    // sets.
    const size_t stride = (sizeof(Frame) + frame_bytes) / sizeof(CacheLine) + 1 | 1;
    memory_.resize(frames * stride);
    for (size_t i = 0; i < frames; ++i) {
      const bool pushed = free_.push(new (&memory_[i * stride]) Frame);
      CHECK(pushed);
    }
  }

  size_t frame_bytes() const { return frame_bytes_; }

  /// Producer: a frame to write into; nullptr when there is none.
  Frame* take() {
    if (spare_.empty()) spare_.count = free_.pop_burst(spare_.frames);
    if (spare_.empty()) return nullptr;
    if (spare_.count > kAhead) fetch(spare_.frames[spare_.count - 1 - kAhead]);
    return spare_.frames[--spare_.count];
  }
  /// Producer: it was not needed after all.
  void untake(Frame* frame) { spare_.frames[spare_.count++] = frame; }
  /// Producer: it is full. The consumer sees it after flush().
  void put(Frame* frame) {
    filling_.frames[filling_.count++] = frame;
    if (filling_.count == kBurst) flush();
  }
  void flush() {
    // As many slots as frames: there is room for all.
    CHECK(filled_.push_burst(std::span(filling_.frames).first(filling_.count)) == filling_.count);
    filling_.count = 0;
    const size_t ready = free_.size() + spare_.count;
    fill_ = 1 - static_cast<double>(ready) / static_cast<double>(free_.capacity());
  }
  /// Producer: the share of the frames that were under way when flush() was called last.
  double fill() const { return fill_; }

  /// Consumer: there is something to receive().
  bool waiting() const { return !filled_.empty(); }
  /// Consumer: at most into.size() frames, to be given back.
  size_t receive(std::span<Frame*> into) { return filled_.pop_burst(into); }
  void give_back(std::span<Frame*> frames) { CHECK(free_.push_burst(frames) == frames.size()); }

 private:
  /// The other core has them: what is taken next but so many is brought here, to be written.
  static constexpr size_t kAhead = 8;
  static constexpr size_t kFetched = 4;  // cache lines

  struct alignas(64) CacheLine {
    std::array<uint8_t, 64> bytes;
  };
  struct Stash {
    std::array<Frame*, kBurst> frames{};
    size_t count = 0;
    bool empty() const { return count == 0; }
  };

  static void fetch(Frame* frame) {
    auto* const lines = reinterpret_cast<CacheLine*>(frame);
    for (size_t i = 0; i < kFetched; ++i) __builtin_prefetch(&lines[i], 1);
  }

  SpscRing<Frame*> filled_;
  SpscRing<Frame*> free_;
  size_t frame_bytes_;
  std::vector<CacheLine> memory_;
  alignas(CacheLine) Stash spare_;  // the producer's
  Stash filling_;                   // likewise
  double fill_ = 0;                 // likewise
};

}  // namespace fairlead::bench
