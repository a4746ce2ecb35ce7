// Simulator: a virtual clock and an event queue. Events at the same time run in the order in which
// they were scheduled, so a run is a pure function of its seed; trace() folds what happened into
// one number by which two runs compare.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <vector>

#include "base/bytes.h"
#include "base/check.h"
#include "base/random.h"
#include "base/siphash.h"
#include "base/time.h"

namespace fairlead::sim {

class Simulator {
 public:
  using Action = std::move_only_function<void()>;

  explicit Simulator(uint64_t seed) : rng_(seed) {}

  Time now() const { return now_; }
  /// A generator of its own for a component, so that one component's draws do not move another's.
  Rng fork_rng() { return rng_.fork(); }

  void at(Time when, Action action) {
    events_.push_back({std::max(when, now_), next_order_++, std::move(action)});
    std::push_heap(events_.begin(), events_.end(), later);
  }

  /// Runs the next event if it is due by `until`; false when none is.
  bool step(Time until) {
    if (events_.empty() || events_.front().when > until) return false;
    std::pop_heap(events_.begin(), events_.end(), later);
    Event event = std::move(events_.back());
    events_.pop_back();
    now_ = std::max(now_, event.when);
    event.action();
    return true;
  }
  /// Runs the events up to `until`, which is the time afterwards. Returns how many.
  uint64_t run(Time until) {
    uint64_t count = 0;
    while (step(until)) ++count;
    now_ = std::max(now_, until);
    return count;
  }
  bool idle() const { return events_.empty(); }
  /// Time passes and nothing runs, as when a machine is too busy; what was due runs late, by the
  /// next run().
  void stall(Duration duration) { now_ += duration; }

  void trace(ByteSpan bytes) {
    hash_ = siphash13({hash_, static_cast<uint64_t>(now_.time_since_epoch().count())}, bytes);
  }
  uint64_t hash() const { return hash_; }

 private:
  struct Event {
    Time when;
    uint64_t order;
    Action action;
  };
  static bool later(const Event& a, const Event& b) {
    return a.when != b.when ? a.when > b.when : a.order > b.order;
  }

  Time now_{seconds(1)};
  Rng rng_;
  uint64_t next_order_ = 0;
  uint64_t hash_ = 0;
  std::vector<Event> events_;
};

}  // namespace fairlead::sim
