// What `show stats` and `show servers` say, in Prometheus' text format (version 0.0.4).
//
// Names: fairlead_ + part + what + unit, _total for what only grows. What differs in kind only is a
// label (the status class of answers, the fault of a request), so that it can be summed.
#pragma once

#include <string>

#include "control/socket/protocol.h"

namespace fairlead::control {

/// `stats` and `servers` are the results of the control commands of these names.
std::string metrics_text(const Json& stats, const Json& servers);

}  // namespace fairlead::control
