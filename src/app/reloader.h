// Reloader: replaces the running configuration by what its file says now, or leaves all as it is.
//
//   read and check the file ─▶ open new logs ─▶ claim new addresses ─▶ all shards ─▶ retire
//   addresses
//            │                      │                  │                   │          that are gone
//            └──────────────────────┴──── an error ────┴───────────────────┘
//                                 shards go back to what they had
//
// Nothing that serves is touched before the last step that can fail, on a shard, and there
// Switch::reconfigure() changes everything or nothing. Connections go on with the configuration
// they began with.
#pragma once

#include <string>
#include <vector>

#include "app/listener_claims.h"
#include "app/log.h"
#include "app/reload_plan.h"
#include "app/shard_group.h"
#include "app/steered_interfaces.h"
#include "app/switch_logs.h"
#include "base/result.h"
#include "base/time.h"
#include "control/config/config.h"
#include "control/socket/protocol.h"

namespace fairlead::app {

class Reloader {
 public:
  /// What it works on; all outlive it. `config` is the running one, and is replaced.
  struct Parts {
    std::string file;
    control::Config& config;
    SteeredInterfaces& interfaces;
    ShardGroup& shards;
    SwitchLogs& logs;
    Log& log;
  };
  explicit Reloader(Parts parts);

  /// At the start: claims the addresses of the configuration's virtual servers.
  Result<void> claim_listeners();

  /// What the control command answers. An error says what is wrong, every mistake in the file on a
  /// line of its own; then nothing has changed.
  Result<control::Json> reload();

  /// The switch takes no new connections; those there are go on.
  Result<void> stop_listening();

  /// Gives addresses that were dropped back to the kernel when no connection uses them any more.
  /// Call now and then.
  void release_unused(Time now);

 private:
  Result<ReloadPlan> read_plan() const;
  Result<void> apply(const ReloadPlan& plan);
  /// Hands `config` to the switch of every shard. After an error some may have it.
  Result<void> configure_shards(const control::Config& config);
  Result<control::Json> refuse(const Error& error);

  Parts parts_;
  ListenerClaims claims_;
  Time next_release_{};
};

/// The options of every shard's switch.
std::vector<l7::SwitchOptions> switch_options_by_shard(const control::Config& config,
                                                       SwitchLogs& logs);

}  // namespace fairlead::app
