// What the layer-7 switch tells about itself: likewise taken by the shard's thread (snapshot.h),
// put together and turned into JSON by the control thread.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include "control/socket/protocol.h"
#include "service/switch/core/records.h"
#include "service/switch/core/switch_counters.h"

namespace fairlead::control {

struct SessionsSnapshot {
  size_t total = 0;
  std::vector<l7::SessionSnapshot> sessions;  // at most as many as asked for
};

struct SwitchSnapshot {
  size_t sessions = 0;
  l7::SwitchCounters counters;
};

/// "enabled", "draining", "disabled"
std::string_view admin_name(balance::AdminState state);

// One element per shard in, the result of a control command out (doc/control.md).
Json sessions_json(std::span<const SessionsSnapshot> shards, size_t limit);
/// A server is one row, with sums over all shards; up when it is up for all of them.
Json servers_json(std::span<const std::vector<l7::ServerSnapshot>> shards);
Json switch_stats_json(std::span<const SwitchSnapshot> shards);

}  // namespace fairlead::control
