#include "app/run_command.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <string>
#include <utility>

#include "app/daemon.h"
#include "app/exit_status.h"
#include "app/log.h"
#include "app/privileges.h"
#include "app/signals.h"
#include "control/config/config.h"
#include "port/interface_info.h"

namespace fairlead::app {
namespace {

int refused(const Error& error) {
  fmt::print(stderr, "fairlead: {}\n", error.to_string());
  return kRuntimeError;
}

// A configuration without an interface line is an original switchd.conf's: the switch is wherever
// the machine is.
Result<void> fill_in_interfaces(control::Config& config) {
  if (!config.interfaces.empty() || config.virtual_servers.empty()) return {};
  auto names = port::addressed_interfaces();
  if (!names) return std::unexpected(names.error());
  std::erase_if(*names, [&](const std::string& name) {
    return std::ranges::any_of(config.aggregators, [&](const auto& aggregator) {
      return aggregator.from == name || aggregator.to == name;
    });
  });
  if (names->empty()) {
    return fail(Errc::kNoDevice,
                "found no Ethernet interface that is up and has an address; expected one, or an "
                "\"interface NAME\" in the configuration");
  }
  for (std::string& name : *names) {
    config.interfaces.emplace_back().name = std::move(name);
  }
  return {};
}

}  // namespace

int run_daemon(const RunCommand& command) {
  auto config = control::load_config(command.config_file);
  if (!config) {
    fmt::print(stderr, "{}\n", config.error().to_string());
    return kUsageError;
  }
  if (const auto allowed = check_privileges(); !allowed) return refused(allowed.error());
  if (const auto filled = fill_in_interfaces(*config); !filled) return refused(filled.error());
  // Before any thread is made, so that all of them leave the signals to this one.
  const auto signals = Signals::block();
  if (!signals) return refused(signals.error());
  Log log(command.log_level.value_or(config->log_level));
  const auto daemon = Daemon::open(std::move(*config), command.config_file, log);
  if (!daemon) return refused(daemon.error());
  (*daemon)->run(*signals);
  return kSuccess;
}

}  // namespace fairlead::app
