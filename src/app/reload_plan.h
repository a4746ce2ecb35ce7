// What a new configuration changes in a running daemon: the switch, as a whole, and nothing else.
//
// Interfaces, shards, tables and sockets are made once. Where the new file says something else
// about them the daemon goes on with what it has, and says so.
#pragma once

#include <string>
#include <vector>

#include "control/config/config.h"

namespace fairlead::app {

struct ReloadPlan {
  /// What is in force afterwards: the new one, except for what needs a restart.
  control::Config config;
  std::vector<std::string> warnings;  // a line for each thing that needs one
  // Addresses of virtual servers, sorted.
  std::vector<Endpoint> added;
  std::vector<Endpoint> removed;
};

ReloadPlan plan_reload(const control::Config& running, control::Config wanted);

}  // namespace fairlead::app
