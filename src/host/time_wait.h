// TimeWaitTable: connections that are over but whose last packets may still be under way
// (RFC 9293 §3.6.1). 80 bytes each instead of a full TCB. Each rests for as long as its
// connection's options say, on a timing wheel. So may the addresses of one that was reset, for our
// own sake only: to its peer it is CLOSED.
//
// Bound: max_time_wait; at the bound the one that would end first is ended early and counted: the
// oldest when all rest equally long, otherwise first to the width of the wheel's slot.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <optional>
#include <utility>

#include "base/hash_index.h"
#include "base/object_pool.h"
#include "base/seq_num.h"
#include "base/time.h"
#include "base/timer_wheel.h"
#include "wire/address.h"
#include "wire/flow_hasher.h"

namespace fairlead::host {

struct TimeWait : TimerNode {
  FourTuple tuple;
  SeqNum snd_nxt;
  SeqNum rcv_nxt;
  uint32_t ts_recent = 0;
  bool timestamps = false;
  bool after_reset = false;

  /// When it was made, or last restarted.
  Time since() const { return armed_for() - milliseconds(rest_ms); }

 private:
  friend class TimeWaitTable;
  uint32_t rest_ms = 0;
};
static_assert(sizeof(TimeWait) == 80);

class TimeWaitTable {
 public:
  TimeWaitTable(size_t capacity, FlowHasher hasher, Time start)
      : pool_(capacity), index_(std::move(hasher)), timers_(start) {}
  ~TimeWaitTable() {
    while (TimerNode* first = timers_.soonest()) erase(entry(*first));
  }

  size_t size() const { return pool_.live(); }
  TimeWait* find(const FourTuple& tuple) { return index_.find(tuple); }

  struct Rest {
    Time from;
    Duration lasts;  // whole milliseconds count, 49 days at most
  };
  /// As HashIndex::prefetch(), for the hasher this was made with.
  void prefetch(uint64_t hash) const { index_.prefetch(hash); }
  /// A new entry for `tuple`, which must have none. `recycled`: another had to go for it.
  TimeWait& insert(const FourTuple& tuple, Rest rest, bool& recycled) {
    recycled = pool_.live() == pool_.capacity();
    if (recycled) erase(entry(*timers_.soonest()));
    TimeWait* made = pool_.create();
    made->tuple = tuple;
    made->rest_ms = static_cast<uint32_t>(
        std::clamp<int64_t>(rest.lasts / milliseconds(1), 0, std::numeric_limits<uint32_t>::max()));
    index_.insert(*made);
    restart(*made, rest.from);
    return *made;
  }
  /// It rests as long again.
  void restart(TimeWait& entry, Time from) {
    timers_.arm(entry, from + milliseconds(entry.rest_ms));
  }
  void erase(TimeWait& entry) {
    index_.erase(entry);
    timers_.disarm(entry);
    pool_.destroy(&entry);
  }
  void expire(Time now) {
    timers_.expire(now, [this](TimerNode& node) { erase(entry(node)); });
  }
  std::optional<Time> next_deadline() const { return timers_.next_deadline(); }

 private:
  static const FourTuple& key_of(const TimeWait& entry) { return entry.tuple; }
  static TimeWait& entry(TimerNode& node) { return static_cast<TimeWait&>(node); }

  ObjectPool<TimeWait> pool_;
  HashIndex<TimeWait, FourTuple, key_of, FlowHasher> index_;
  TimerWheel timers_;
};

}  // namespace fairlead::host
