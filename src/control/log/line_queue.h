// LineQueue: lines of one thread on their way to the thread that writes them.
//
// push() never waits: at either bound the line is dropped and counted. The bounds are what a
// stalled disk may cost: kMaxLines is 50 ms of lines of a shard at 160,000 requests a second, well
// above how often the writer looks, and kMaxBytes bounds the memory that hostile (long) lines take.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>

#include "base/spsc_ring.h"

namespace fairlead::control {

class LogFile;

struct LogLine {
  LogFile* file = nullptr;
  std::string text;
};

class LineQueue {
 public:
  static constexpr size_t kMaxLines = 8192;
  static constexpr size_t kMaxBytes = size_t{8} << 20;

  /// Producer. `file` outlives the queue.
  void push(LogFile& file, std::string text) {
    const size_t size = text.size();
    const bool room = bytes_.load(std::memory_order_relaxed) + size <= kMaxBytes;
    // Counted before the consumer can see it, or it might subtract first.
    if (room) bytes_.fetch_add(size, std::memory_order_relaxed);
    if (room && ring_.push(LogLine{&file, std::move(text)})) return;
    if (room) bytes_.fetch_sub(size, std::memory_order_relaxed);
    dropped_.fetch_add(1, std::memory_order_relaxed);
  }

  /// Consumer. Moves the oldest lines out; returns how many.
  size_t pop(std::span<LogLine> into) {
    const size_t count = ring_.pop_burst(into);
    size_t size = 0;
    for (const LogLine& line : into.first(count)) size += line.text.size();
    bytes_.fetch_sub(size, std::memory_order_relaxed);
    return count;
  }

  /// Any thread.
  uint64_t dropped() const { return dropped_.load(std::memory_order_relaxed); }

 private:
  SpscRing<LogLine> ring_{kMaxLines};
  std::atomic<size_t> bytes_ = 0;
  std::atomic<uint64_t> dropped_ = 0;
};

}  // namespace fairlead::control
