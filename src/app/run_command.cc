#include "app/run_command.h"

#include <fmt/format.h>

#include <cstdio>

#include "app/daemon.h"
#include "app/exit_status.h"
#include "app/log.h"
#include "app/privileges.h"
#include "app/stop_signals.h"

namespace fairlead::app {
namespace {

int refused(const Error& error) {
  fmt::print(stderr, "fairlead: {}\n", error.to_string());
  return kRuntimeError;
}

}  // namespace

int run_daemon(const RunCommand& command) {
  const auto config = control::load_config(command.config_file);
  if (!config) {
    fmt::print(stderr, "{}\n", config.error().to_string());
    return kUsageError;
  }
  if (const auto allowed = check_privileges(); !allowed) return refused(allowed.error());
  // Before any thread is made, so that all of them leave the signals to this one.
  const auto signals = StopSignals::block();
  if (!signals) return refused(signals.error());
  Log log(command.log_level.value_or(config->log_level));
  const auto daemon = Daemon::open(*config, log);
  if (!daemon) return refused(daemon.error());
  (*daemon)->run(*signals);
  return kSuccess;
}

}  // namespace fairlead::app
