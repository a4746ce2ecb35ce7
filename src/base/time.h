// Time on Fairlead's own clock: nanoseconds since an arbitrary start, never going back.
//
// Code below the shard's loop never reads a clock: time is an argument. The loop takes it from
// CLOCK_MONOTONIC, a simulation from its virtual clock.
#pragma once

#include <chrono>
#include <cstdint>

namespace fairlead {

struct Clock {
  using rep = int64_t;
  using period = std::nano;
  using duration = std::chrono::duration<rep, period>;
  using time_point = std::chrono::time_point<Clock, duration>;
  static constexpr bool is_steady = true;
};

using Duration = Clock::duration;
using Time = Clock::time_point;

using std::chrono::hours;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::nanoseconds;
using std::chrono::seconds;

/// CLOCK_MONOTONIC as Time. One system call (vDSO); read once per burst.
inline Time monotonic_now() {
  return Time(
      std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now().time_since_epoch()));
}

}  // namespace fairlead
