// The other end of the control socket: one request, one reply, for command-line tools.
#pragma once

#include <string>

#include "base/result.h"
#include "base/time.h"
#include "control/socket/protocol.h"

namespace fairlead::control {

/// Asks the daemon at `path` and waits at most `timeout` for each step. Errors carry a message that
/// names the path and, when no daemon answers, what to do about it.
Result<Json> control_request(const std::string& path, const Request& request, Duration timeout);

}  // namespace fairlead::control
