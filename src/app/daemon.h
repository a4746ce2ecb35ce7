// Daemon: what `fairlead run` runs. Wires interfaces, shards, services and the control socket
// together, and takes them apart in the opposite order.
//
//   main thread    signals, control socket
//   shard threads  one each: ports, host stack, services
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "app/log.h"
#include "app/stop_signals.h"
#include "base/result.h"
#include "control/config/config.h"
#include "control/socket/server.h"
#include "nic/steering/steering.h"
#include "port/netlink_router.h"
#include "service/echo/echo_server.h"
#include "socket/shard.h"

namespace fairlead::app {

class Daemon {
 public:
  /// Everything up but running. An error has a message and leaves nothing attached.
  static Result<std::unique_ptr<Daemon>> open(const control::Config& config, Log& log);
  ~Daemon();
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;

  /// Serves until a stop signal comes.
  Result<void> run(const StopSignals& signals);

 private:
  struct ShardParts {
    std::unique_ptr<port::NetlinkRouter> router;
    std::unique_ptr<Shard> shard;
    std::vector<std::unique_ptr<EchoServer>> echo_servers;
    std::thread thread;
  };

  Daemon(const control::Config& config, Log& log) : config_(config), log_(log) {}

  Result<void> open_interfaces();
  Result<void> open_shards();
  Result<void> open_services();
  Result<void> open_control();
  void close_shard(ShardParts& parts);

  control::Config config_;
  Log& log_;
  Time started_ = monotonic_now();
  std::vector<std::unique_ptr<nic::Steering>> steerings_;        // per interface
  std::vector<std::vector<std::unique_ptr<port::Port>>> ports_;  // per shard, until it is made
  std::vector<ShardParts> shards_;
  std::unique_ptr<control::ControlServer> control_;
};

/// `fairlead run`: the process's exit status.
int run_daemon(const std::string& config_file, const std::optional<control::LogLevel>& log_level);

}  // namespace fairlead::app
