// `fairlead aggregate`: what receive aggregation would have made of a capture.
#pragma once

#include "app/command_line.h"

namespace fairlead::app {

/// Reads one capture, writes the other, prints the counts; time is the capture's. Returns the exit
/// status.
int run_aggregate(const AggregateCommand& command);

}  // namespace fairlead::app
