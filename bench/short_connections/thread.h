// What the threads of the measurement need of the machine.
#pragma once

#include <pthread.h>
#include <sched.h>

#include <ctime>
#include <thread>

#include "base/check.h"

namespace fairlead::bench {

/// The time stamp counter, which goes on at the same rate whatever the processor's clock does.
inline uint64_t cycles() { return __builtin_readcyclecounter(); }

inline void pause() { __builtin_ia32_pause(); }

/// This thread runs on `processor` only; tools show it as `name`.
inline void settle_thread(int processor, const char* name) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<size_t>(processor), &set);
  CHECK(::sched_setaffinity(0, sizeof set, &set) == 0);
  ::pthread_setname_np(::pthread_self(), name);
}

/// How long a thread that has not ended has run on a processor.
inline double cpu_seconds(std::thread& thread) {
  clockid_t clock;
  timespec time;
  CHECK(::pthread_getcpuclockid(thread.native_handle(), &clock) == 0);
  CHECK(::clock_gettime(clock, &time) == 0);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

}  // namespace fairlead::bench
