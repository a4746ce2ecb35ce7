// The commands that need no packet: check, show, version. Each returns the exit status.
#pragma once

#include "app/command_line.h"

namespace fairlead::app {

int run_check(const CheckCommand& command);
int run_show(const ShowCommand& command);
int run_version(const VersionCommand& command);

}  // namespace fairlead::app
