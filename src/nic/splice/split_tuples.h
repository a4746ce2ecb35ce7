// SplitTuples: the 4-tuples of splices whose packets come to another shard than their hash says
// (Splice::split). No shard may use them for a connection of its own until the splice has ended.
//
// Shards share it: one frees what another may be about to choose. Asked only for connections that
// we open, so that one lock will do.
#pragma once

#include <mutex>
#include <set>

#include "wire/address.h"

namespace fairlead::nic {

/// From any thread.
class SplitTuples {
 public:
  void add(const FourTuple& tuple) {
    const std::lock_guard lock(mutex_);
    tuples_.insert(tuple);
  }
  void remove(const FourTuple& tuple) {
    const std::lock_guard lock(mutex_);
    tuples_.erase(tuple);
  }
  bool contains(const FourTuple& tuple) const {
    const std::lock_guard lock(mutex_);
    return tuples_.contains(tuple);
  }

 private:
  mutable std::mutex mutex_;
  std::set<FourTuple> tuples_;  // guarded by mutex_; two for each splice that was adopted so
};

}  // namespace fairlead::nic
