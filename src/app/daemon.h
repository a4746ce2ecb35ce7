// Daemon: interfaces, shards, services and the control socket, put together in that order and taken
// apart in the opposite one.
//
//   main thread      signals, control socket, changes of this machine's addresses
//   shard threads    one each: ports, host stack, services
//   log thread       writes lines
//
// At the end connections are reset while the kernel still can't see their packets, and only then is
// steering detached: otherwise the kernel would answer for them.
#pragma once

#include <memory>

#include "app/log.h"
#include "app/shard_group.h"
#include "app/steered_interfaces.h"
#include "app/stop_signals.h"
#include "base/result.h"
#include "base/time.h"
#include "control/config/config.h"
#include "control/socket/server.h"

namespace fairlead::app {

class Daemon {
 public:
  /// Everything up but running. An error has a message and leaves nothing attached. Both must
  /// outlive the daemon.
  static Result<std::unique_ptr<Daemon>> open(const control::Config& config, Log& log);
  ~Daemon();
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;

  /// Serves until a stop signal comes.
  void run(const StopSignals& signals);

 private:
  Daemon(const control::Config& config, Log& log) : config_(config), log_(log) {}

  Result<void> open_interfaces();
  Result<void> open_shards();
  Result<void> open_control();
  /// Last, so that no packet is taken from the kernel before somebody serves it.
  Result<void> claim_listeners();
  void follow_addresses(Time now);
  int poll_timeout(Time now) const;

  const control::Config& config_;
  Log& log_;
  Time started_ = monotonic_now();
  bool addresses_current_ = true;
  std::unique_ptr<SteeredInterfaces> interfaces_;
  std::unique_ptr<ShardGroup> shards_;
  std::unique_ptr<control::ControlServer> control_;  // may be none
};

}  // namespace fairlead::app
