// `fairlead run`: a daemon in the foreground, from configuration file to exit status.
#pragma once

#include "app/command_line.h"

namespace fairlead::app {

/// Returns the exit status. Whatever is wrong before the daemon runs is one line on stderr (one per
/// mistake for the configuration).
int run_daemon(const RunCommand& command);

}  // namespace fairlead::app
