// RateLimit: so many per second, counted in windows of one second (RFC 5961 §7).
#pragma once

#include <cstdint>

#include "base/time.h"

namespace fairlead {

class RateLimit {
 public:
  /// May there be one more? Counts it when it may.
  bool allow(Time now, uint32_t per_second) {
    if (now - window_start_ >= seconds(1)) {
      window_start_ = now;
      used_ = 0;
    }
    if (used_ >= per_second) return false;
    ++used_;
    return true;
  }

 private:
  Time window_start_{};
  uint32_t used_ = 0;
};

}  // namespace fairlead
