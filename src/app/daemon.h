// Daemon: the data path, services and the control socket, put together in that order and taken
// apart in the opposite one.
//
//   main thread      signals, control socket, changes of this machine's addresses, reloads
//   shard threads    one each: ports, host stack, services
//   wire threads     one each: an aggregator's two ports
//   log threads      write lines
//   metrics threads  answer /metrics
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "app/aggregators.h"
#include "app/data_path.h"
#include "app/log.h"
#include "app/reloader.h"
#include "app/shutdown.h"
#include "app/signals.h"
#include "app/switch_logs.h"
#include "base/result.h"
#include "base/time.h"
#include "control/config/config.h"
#include "control/metrics/metrics_server.h"
#include "control/socket/server.h"

namespace fairlead::app {

class Daemon {
 public:
  /// Everything up but running. `file` is where `config` comes from, for reloads. An error has a
  /// message and leaves nothing attached. The log must outlive the daemon.
  static Result<std::unique_ptr<Daemon>> open(control::Config config, std::string file, Log& log);
  ~Daemon();
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;

  /// Serves until it is told to stop, by a signal or a command.
  void run(const Signals& signals);

 private:
  Daemon(control::Config config, std::string file, Log& log)
      : config_(std::move(config)), file_(std::move(file)), log_(log) {}

  Result<void> open_logs();
  Result<void> open_data_path();
  Result<void> open_aggregators();
  Result<void> open_services();
  Result<void> open_metrics();
  Result<void> open_control();
  /// Last, so that no packet is taken from the kernel before somebody serves it.
  Result<void> claim_listeners();
  void on_signal(int number);
  Result<control::Json> reload();
  Result<void> begin_stop(const StopRequest& request);
  bool stop_is_due(Time now);
  bool has_connections() const;
  int poll_timeout(Time now) const;

  control::Config config_;
  const std::string file_;
  Log& log_;
  Time started_ = monotonic_now();
  std::optional<Time> stop_at_;  // at the latest
  bool keep_rules_ = false;      // then
  std::unique_ptr<SwitchLogs> logs_;
  std::unique_ptr<DataPath> path_;
  std::unique_ptr<Aggregators> aggregators_;
  std::unique_ptr<Reloader> reloader_;
  std::unique_ptr<control::MetricsServer> metrics_;  // may be none
  std::unique_ptr<control::ControlServer> control_;  // may be none
};

}  // namespace fairlead::app
