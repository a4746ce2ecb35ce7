// TimerBitmapWheel: timers as single bits, so that setting one costs one atomic instruction on one
// word (AccelTCP, NSDI '20, §4.2).
//
//              word 0    word 1                    word W-1        bit n of a bitmap = flow id n
//   slot 0   [ 64 bits | 64 bits | ............. | 64 bits ]
//   slot 1   [   ..    |   ..    |               |   ..    ]       one bitmap per interval
//     ...       region 0: its cursor   |   region 1: its cursor
//   slot N-1 [   ..    |   ..    |               |   ..    ]
//
// A region is a range of words, whole cache lines, with a cursor: the last interval scanned. Time
// goes on by moving the cursor, nothing else moves. A timer is a bit in the slot (cursor + k) mod N
// for the k-th interval from now; what lies N or more intervals ahead needs whole turns more, and
// how many is counted in the flow's own state (Alarm::turns), not here.
//
// Cost. Memory: N * flows / 8 bytes whatever is set, taken from the kernel as it is first touched
// (1,024 slots, 65,536 flows: 8 MiB). Setting and clearing: one atomic instruction on the flow's
// word in one slot. Scanning: flows / 64 words per interval in which a timer of the region comes
// up (64 Ki flows: 8 KiB, read in order), one test for an interval in which none does; plus one
// visit per timer and turn.
//
// Why no heap, list or hierarchical wheel (base/timer_wheel.h): their links are shared by timers of
// different flows, so two cores that set timers meet in a lock, and each change touches the cache
// lines of two or three neighbours. Here two flows meet only when they share a word. The price is
// the scan of whole bitmaps and the turns, so it pays for many short timers of about equal length,
// and not for long ones.
//
// Threads: set(), clear() and again() may run for different flows at once on any threads, and
// expire() beside them, one thread per region. Calls for one flow are the owner's to put in order,
// with `fire` for that flow among them: clear() says whether it came first. A timer set while its
// slot is being scanned is neither lost nor fired twice, nor early: set() looks at the cursor again
// after it has set the bit, and keeps out of the slot being scanned when it means the next turn.
#pragma once

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/time.h"

namespace fairlead::nic {

class TimerBitmapWheel {
 public:
  struct Options {
    uint32_t flows = 1 << 16;  // flow ids are below this
    uint32_t slots = 1024;     // a power of two, 64..65536
    uint32_t regions = 1;      // scanned independently; at most one per 512 flows
    Duration interval = microseconds(100);
  };

  /// Where a timer is: kept in the flow's state for clear(), and for counting down the turns.
  struct Alarm {
    uint16_t slot = 0;
    uint16_t turns = 0;  // how often fire() must answer with again() before the time has come
  };

  TimerBitmapWheel(const Options& options, Time start);
  TimerBitmapWheel(const TimerBitmapWheel&) = delete;
  TimerBitmapWheel& operator=(const TimerBitmapWheel&) = delete;

  /// Sets the timer of `flow`, which must not be set. It comes up at the first interval's end at or
  /// after `deadline`, the next one if that is past: never early, and less than an interval late;
  /// two when it is set during a scan and lies whole turns ahead of that. A deadline longest() or
  /// more ahead of the last scan is a bug.
  Alarm set(uint32_t flow, Time deadline);
  /// For fire(): the timer that has just come up does so again in a turn.
  void again(uint32_t flow, uint16_t slot);
  /// False: it has come up already (or was never set).
  bool clear(uint32_t flow, uint16_t slot);

  /// Calls fire(uint32_t flow) for every timer of `region` that has come up by `now`, which is
  /// unset when fire() is called. fire() may set and clear any timer.
  template <typename Fire>
  void expire(uint32_t region, Time now, Fire&& fire) {
    std::atomic<uint64_t>& cursor = regions_[region].cursor;
    const uint64_t target = floor_tick(now);
    // One step per interval, also where no timer is: a cursor that jumped could pass one being set.
    for (uint64_t tick = tick_of(cursor.load()) + 1; tick <= target; ++tick) {
      cursor.store(tick << 1 | kScanning);
      scan(region, slot_of(tick), fire);
      if (tick == target) cursor.store(tick << 1);
    }
  }
  /// The same, at once, for an owner who knows that no timer is set nor being set by another.
  void skip(uint32_t region, Time now) {
    std::atomic<uint64_t>& cursor = regions_[region].cursor;
    cursor.store(std::max(cursor.load(), floor_tick(now) << 1));
  }
  /// When expire() has something to do in `region`: the end of an interval in which a timer comes
  /// up, perhaps with turns left, or one was cleared. nullopt: no timer is set.
  std::optional<Time> next_deadline(uint32_t region) const;

  uint32_t regions() const { return static_cast<uint32_t>(regions_.size()); }
  uint32_t region_of(uint32_t flow) const { return flow / 64 / words_per_region_; }
  uint32_t flows() const { return flows_; }
  Duration interval() const { return interval_; }
  /// What Alarm::turns can count.
  Duration longest() const { return interval_ * slots_ * int64_t{UINT16_MAX}; }
  size_t memory_bytes() const { return size_t{slots_} * words_ * sizeof(uint64_t); }

 private:
  static constexpr uint32_t kLineWords = 8;  // words of 64 bits in a cache line
  struct Unmap {
    size_t bytes;
    void operator()(uint64_t* words) const;
  };
  struct alignas(64) Region {
    // Intervals since the epoch, times two: this and all before are scanned. Odd (kScanning): this
    // one perhaps not yet to its end.
    std::atomic<uint64_t> cursor;
    // Bit per slot: a timer was set there since it was last scanned. A scan takes it away before it
    // looks at the words, set() gives it after it has set one.
    std::unique_ptr<std::atomic<uint64_t>[]> occupied;
  };

  static constexpr uint64_t kScanning = 1;
  static uint64_t tick_of(uint64_t cursor) { return cursor >> 1; }
  uint64_t floor_tick(Time t) const {
    return static_cast<uint64_t>(t.time_since_epoch() / interval_);
  }
  uint64_t ceil_tick(Time t) const { return floor_tick(t + interval_ - Duration(1)); }
  uint32_t slot_of(uint64_t tick) const { return static_cast<uint32_t>(tick) & (slots_ - 1); }
  std::atomic_ref<uint64_t> word(uint32_t slot, uint32_t index) const {
    return std::atomic_ref<uint64_t>(bits_.get()[size_t{slot} * words_ + index]);
  }
  std::atomic_ref<uint64_t> word_of(uint32_t slot, uint32_t flow) const {
    return word(slot, flow / 64);
  }
  static uint64_t bit_of(uint32_t flow) { return uint64_t{1} << flow % 64; }

  void mark(uint32_t flow, uint32_t slot);
  /// The first interval after the cursor whose slot is occupied.
  std::optional<uint64_t> next_tick(uint32_t region) const;

  template <typename Fire>
  void scan(uint32_t region, uint32_t slot, Fire& fire) {
    std::atomic<uint64_t>& hint = regions_[region].occupied[slot / 64];
    const uint64_t bit = uint64_t{1} << slot % 64;
    if ((hint.load() & bit) == 0) return;
    hint.fetch_and(~bit);
    const uint32_t first = region * words_per_region_;
    const uint32_t last = std::min(first + words_per_region_, words_);
    for (uint32_t index = first; index < last; ++index) {
      if (word(slot, index).load() == 0) continue;
      for (uint64_t up = word(slot, index).exchange(0); up != 0; up &= up - 1) {
        fire(index * 64 + static_cast<uint32_t>(std::countr_zero(up)));
      }
    }
  }

  uint32_t flows_;
  uint32_t slots_;
  uint32_t slot_bits_;
  uint32_t words_;  // of a bitmap, whole cache lines
  uint32_t words_per_region_;
  Duration interval_;
  std::unique_ptr<uint64_t[], Unmap> bits_;  // [slot][word]; touched through atomic_ref only
  std::vector<Region> regions_;
};

}  // namespace fairlead::nic
