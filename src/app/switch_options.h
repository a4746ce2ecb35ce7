// What the configuration says about the layer-7 switch, as the options of one shard's Switch.
//
// Bounds that the configuration gives for the machine are divided: shard i of n gets bound / n, and
// the first bound % n shards one more, but each at least 1, because 0 would be no bound at all. So
// with a bound below n the machine takes n.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "control/config/config.h"
#include "service/switch/core/options.h"

namespace fairlead::app {

/// Where the switch of one shard writes. What the functions return outlives it.
struct SwitchLogTargets {
  /// For a virtual server that has an access_log.
  std::function<l7::AccessLog*(const control::VirtualServerConfig&)> access_log;
  l7::EventLog* events = nullptr;
};

/// Which of how many shards.
struct ShardShare {
  size_t index = 0;
  size_t shards = 1;

  /// Its part of a bound for all shards; 0, for "none", stays 0.
  uint32_t of(uint32_t bound) const;
};

l7::SwitchOptions switch_options(const control::Config& config, ShardShare share,
                                 const SwitchLogTargets& logs);

/// What the pool of a virtual server's own is called: its first address, which is no `pool NAME`.
std::string own_pool_name(const control::VirtualServerConfig& server);

/// Every address that virtual servers listen on, sorted.
std::vector<Endpoint> listened_by_switch(const control::Config& config);

}  // namespace fairlead::app
