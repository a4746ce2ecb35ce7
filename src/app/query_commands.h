// The commands that need no packet: check, version, and what is asked of a running daemon. Each
// returns the exit status.
#pragma once

#include "app/command_line.h"

namespace fairlead::app {

int run_check(const CheckCommand& command);
int run_ask(const AskCommand& command);
int run_version(const VersionCommand& command);

}  // namespace fairlead::app
