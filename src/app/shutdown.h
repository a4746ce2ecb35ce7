// How a daemon is to end (`fairlead stop`).
#pragma once

#include <string_view>

#include "base/result.h"
#include "base/time.h"
#include "control/socket/protocol.h"

namespace fairlead::app {

enum class StopMode : uint8_t {
  kNow,    // connections are reset, spliced ones end
  kDrain,  // no new ones; now when those there are have ended, or when time is up
  kKeep,   // as now, but what is spliced in the kernel goes on there for the next start
};
/// "now", "drain", "keep"
std::string_view stop_mode_name(StopMode mode);

struct StopRequest {
  static constexpr Duration kDrain = seconds(30);
  static constexpr Duration kMaxDrain = hours(24);

  StopMode mode = StopMode::kNow;
  Duration drain = kDrain;
};

/// Of the control command: "mode", a name, and for drain "milliseconds". EINVAL.
Result<StopRequest> stop_request(const control::Json& arguments);

}  // namespace fairlead::app
