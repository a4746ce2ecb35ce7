// The commands of a running daemon's control socket (doc/control.md).
#pragma once

#include <functional>

#include "app/shutdown.h"
#include "app/statistics.h"
#include "control/config/config.h"
#include "control/socket/commands.h"

namespace fairlead::app {

/// What the commands speak about, and change; all outlive the table.
struct DaemonView {
  StatisticsView statistics;
  const control::Config& config;  // the running one
  SwitchLogs& logs;
  std::function<Result<control::Json>()> reload;
  std::function<Result<void>(const StopRequest&)> stop;
};

control::CommandTable daemon_commands(const DaemonView& view);

}  // namespace fairlead::app
