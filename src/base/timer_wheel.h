// TimerWheel: a hierarchical timing wheel (Varghese & Lauck, "Hashed and Hierarchical Timing
// Wheels", 1987, scheme 7), intrusive and allocation-free.
//
//   level 0   64 slots of 1 tick        a timer sits in the level of the highest 6-bit group in
//   level 1   64 slots of 64 ticks      which its tick differs from the wheel's current tick, so
//   ...                                 arm and disarm are O(1); a timer moves down one level each
//   level 4   64 slots of 64^4 ticks    time its slot comes up, at most four times in its life
//
// A tick is 2^18 ns = 262 µs. Deadlines are rounded up to a tick, so a timer is never early; what
// lies beyond the wheel (78 hours) waits in its last slot and is placed anew when that comes up.
// An owner with several deadlines needs one timer only: it arms for the earliest and looks at all
// of them when the timer fires.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <optional>
#include <utility>

#include "base/check.h"
#include "base/time.h"

namespace fairlead {

class TimerWheel;

/// Base class of whatever waits for a time. Must be disarmed when destroyed.
class TimerNode {
 public:
  TimerNode() = default;
  TimerNode(const TimerNode&) = delete;
  TimerNode& operator=(const TimerNode&) = delete;
  ~TimerNode() { CHECK(!is_armed()); }

  bool is_armed() const { return next_ != nullptr; }
  /// The deadline last armed for; meaningful while armed.
  Time armed_for() const { return deadline_; }

 private:
  friend class TimerWheel;
  TimerNode* next_ = nullptr;
  TimerNode* prev_ = nullptr;
  Time deadline_{};
};

class TimerWheel {
 public:
  static constexpr unsigned kTickShift = 18;
  static constexpr Duration kTick{int64_t{1} << kTickShift};

  explicit TimerWheel(Time start) : now_(floor_tick(start)) {
    for (auto& level : slots_) {
      for (TimerNode& slot : level) slot.next_ = slot.prev_ = &slot;
    }
  }
  ~TimerWheel() {
    for (auto& level : slots_) {
      for (TimerNode& slot : level) {
        CHECK(slot.next_ == &slot);
        slot.next_ = slot.prev_ = nullptr;
      }
    }
  }
  TimerWheel(const TimerWheel&) = delete;
  TimerWheel& operator=(const TimerWheel&) = delete;

  /// Arms `node` for `deadline`, or moves it there. A deadline in the past fires at the next
  /// expire() whose time has advanced by a tick.
  void arm(TimerNode& node, Time deadline) {
    if (node.is_armed()) disarm(node);
    node.deadline_ = deadline;
    link(node);
    ++size_;
  }

  void disarm(TimerNode& node) {
    if (!node.is_armed()) return;
    unlink(node);
    --size_;
  }

  size_t size() const { return size_; }

  /// When expire() has something to do next; nullopt when nothing is armed. May be earlier than the
  /// earliest deadline (a slot of a higher level comes up), never later than a tick after it.
  std::optional<Time> next_deadline() const {
    std::optional<Slot> slot = next_slot();
    if (!slot) return std::nullopt;
    return Time(Duration(static_cast<int64_t>(slot->tick) << kTickShift));
  }

  /// Of the timers in the slot that comes up next, the one that came there first; nullptr when
  /// nothing is armed. Of timers armed for equally long that is the one that fires first.
  TimerNode* soonest() const {
    std::optional<Slot> slot = next_slot();
    return slot ? slots_[slot->level][slot->index].next_ : nullptr;
  }

  /// Disarms every timer whose deadline is at or before `now` and calls fire(TimerNode&) for it.
  /// fire may arm and disarm any timer, also destroy its own node.
  template <typename Fire>
  void expire(Time now, Fire&& fire) {
    uint64_t target = floor_tick(now);
    while (std::optional<Slot> slot = next_slot()) {
      if (slot->tick > target) break;
      now_ = slot->tick;
      drain(*slot, fire);
    }
    if (target > now_) now_ = target;
  }

 private:
  static constexpr unsigned kLevels = 5;
  static constexpr unsigned kSlotBits = 6;
  static constexpr unsigned kSlots = 1u << kSlotBits;
  static constexpr uint64_t kMaxTicks = (uint64_t{1} << (kLevels * kSlotBits)) - 1;

  struct Slot {
    unsigned level;
    unsigned index;
    uint64_t tick;  // when it comes up
  };

  static uint64_t floor_tick(Time t) {
    return static_cast<uint64_t>(t.time_since_epoch().count()) >> kTickShift;
  }
  static uint64_t ceil_tick(Time t) {
    int64_t ns = t.time_since_epoch().count();
    return ns <= 0 ? 0 : (static_cast<uint64_t>(ns) + (1u << kTickShift) - 1) >> kTickShift;
  }

  void link(TimerNode& node) {
    uint64_t tick = ceil_tick(node.deadline_);
    if (tick <= now_) tick = now_ + 1;
    if (tick - now_ > kMaxTicks) tick = now_ + kMaxTicks;
    unsigned level = static_cast<unsigned>(63 - std::countl_zero(tick ^ now_)) / kSlotBits;
    if (level >= kLevels) level = kLevels - 1;
    unsigned index = static_cast<unsigned>(tick >> (level * kSlotBits)) % kSlots;
    TimerNode& head = slots_[level][index];
    node.next_ = &head;
    node.prev_ = head.prev_;
    head.prev_->next_ = &node;
    head.prev_ = &node;
    occupied_[level] |= uint64_t{1} << index;
  }

  void unlink(TimerNode& node) {
    TimerNode* next = node.next_;
    node.prev_->next_ = next;
    next->prev_ = node.prev_;
    node.next_ = node.prev_ = nullptr;
    if (next->next_ == next) clear_occupied(next);  // next is the slot's head and now alone
  }

  void clear_occupied(const TimerNode* node) {
    const TimerNode* first = &slots_[0][0];
    if (node < first || node >= first + kLevels * kSlots) return;  // a private list of drain()
    auto at = static_cast<unsigned>(node - first);
    occupied_[at / kSlots] &= ~(uint64_t{1} << at % kSlots);
  }

  std::optional<Slot> next_slot() const {
    for (unsigned level = 0; level < kLevels; ++level) {
      if (occupied_[level] == 0) continue;
      unsigned shift = level * kSlotBits;
      unsigned now_index = static_cast<unsigned>(now_ >> shift) % kSlots;
      int rotated = std::countr_zero(std::rotr(occupied_[level], static_cast<int>(now_index)));
      unsigned index = (now_index + static_cast<unsigned>(rotated)) % kSlots;
      uint64_t level_start = now_ >> (shift + kSlotBits) << (shift + kSlotBits);
      uint64_t tick = level_start + (uint64_t{index} << shift);
      // Only the top level wraps: there a slot behind the current one belongs to the next turn.
      if (index < now_index || (level == kLevels - 1 && tick < now_)) {
        tick += uint64_t{1} << (shift + kSlotBits);
      }
      return Slot{level, index, tick};
    }
    return std::nullopt;
  }

  template <typename Fire>
  void drain(const Slot& slot, Fire&& fire) {
    // Moved to a list of its own first: what fire() arms must not be visited in this turn.
    TimerNode list;
    TimerNode& head = slots_[slot.level][slot.index];
    list.next_ = head.next_;
    list.prev_ = head.prev_;
    list.next_->prev_ = list.prev_->next_ = &list;
    head.next_ = head.prev_ = &head;
    occupied_[slot.level] &= ~(uint64_t{1} << slot.index);
    while (list.next_ != &list) {
      TimerNode& node = *list.next_;
      unlink(node);
      if (ceil_tick(node.deadline_) <= now_ || slot.level == 0) {
        --size_;
        fire(node);
      } else {
        link(node);
      }
    }
    list.next_ = list.prev_ = nullptr;
  }

  uint64_t now_;  // ticks; everything due at or before it has fired
  size_t size_ = 0;
  std::array<uint64_t, kLevels> occupied_{};
  std::array<std::array<TimerNode, kSlots>, kLevels> slots_{};
};

}  // namespace fairlead
