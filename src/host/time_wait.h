// TimeWaitTable: connections that are over but whose last packets may still be under way
// (RFC 9293 §3.6.1). 80 bytes each instead of a full TCB; all wait equally long, so a queue in
// order of entry is in order of expiry.
//
// Bound: max_time_wait; at the bound the oldest is ended early and counted.
#pragma once

#include <cstdint>
#include <optional>

#include "base/intrusive_list.h"
#include "base/object_pool.h"
#include "base/seq_num.h"
#include "base/time.h"
#include "host/hash_index.h"
#include "wire/address.h"

namespace fairlead::host {

struct TimeWaitTag {};

struct TimeWait : ListHook<TimeWaitTag> {
  FourTuple tuple;
  SeqNum snd_nxt;
  SeqNum rcv_nxt;
  uint32_t ts_recent = 0;
  uint32_t ts_offset = 0;
  bool timestamps = false;
  Time expires{};
};

class TimeWaitTable {
 public:
  TimeWaitTable(size_t capacity, SipKey secret) : pool_(capacity), index_(secret) {}
  ~TimeWaitTable() {
    while (!queue_.empty()) erase(queue_.front());
  }

  size_t size() const { return pool_.live(); }
  TimeWait* find(const FourTuple& tuple) { return index_.find(tuple); }

  /// A new entry for `tuple`, which must have none; true when the oldest had to go for it.
  TimeWait& insert(const FourTuple& tuple, Time expires, bool& recycled) {
    recycled = pool_.live() == pool_.capacity();
    if (recycled) erase(queue_.front());
    TimeWait* entry = pool_.create();
    entry->tuple = tuple;
    entry->expires = expires;
    index_.insert(*entry);
    queue_.push_back(*entry);
    return *entry;
  }
  void restart(TimeWait& entry, Time expires) {
    entry.expires = expires;
    queue_.erase(entry);
    queue_.push_back(entry);
  }
  void erase(TimeWait& entry) {
    index_.erase(entry);
    queue_.erase(entry);
    pool_.destroy(&entry);
  }
  void expire(Time now) {
    while (!queue_.empty() && queue_.front().expires <= now) erase(queue_.front());
  }
  std::optional<Time> next_deadline() const {
    return queue_.empty() ? std::nullopt : std::optional(queue_.front().expires);
  }

 private:
  static const FourTuple& key_of(const TimeWait& entry) { return entry.tuple; }

  ObjectPool<TimeWait> pool_;
  HashIndex<TimeWait, FourTuple, key_of> index_;
  IntrusiveList<TimeWait, TimeWaitTag> queue_;
};

}  // namespace fairlead::host
