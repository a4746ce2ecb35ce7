// The commands of a running daemon's control socket (doc/control.md).
#pragma once

#include "app/shard_group.h"
#include "app/steered_interfaces.h"
#include "base/time.h"
#include "control/socket/commands.h"

namespace fairlead::app {

/// What the commands speak about; all outlive the table.
struct DaemonView {
  const ShardGroup& shards;
  const SteeredInterfaces& interfaces;
  Time started;
};

control::CommandTable daemon_commands(const DaemonView& view);

}  // namespace fairlead::app
