// What a daemon tells about itself: asked of its shards, put together as the control commands and
// /metrics give it.
#pragma once

#include <cstdint>
#include <string>

#include "app/aggregators.h"
#include "app/shard_group.h"
#include "app/steered_interfaces.h"
#include "app/switch_logs.h"
#include "base/result.h"
#include "base/time.h"
#include "control/socket/protocol.h"

namespace fairlead::app {

/// What is told about; all outlive whoever asks. Any thread may, as long as the shards run.
struct StatisticsView {
  const ShardGroup& shards;
  const SteeredInterfaces& interfaces;
  const Aggregators& aggregators;
  const SwitchLogs& logs;
  Time started;

  uint64_t uptime_seconds() const;
};

// Results of the commands of these names (doc/control.md). Errors name a shard that does not
// answer.
Result<control::Json> show_tcp(const StatisticsView& view, uint64_t limit);
Result<control::Json> show_sessions(const StatisticsView& view, uint64_t limit);
Result<control::Json> show_listeners(const StatisticsView& view);
Result<control::Json> show_servers(const StatisticsView& view);
Result<control::Json> show_stats(const StatisticsView& view);

/// For Prometheus.
Result<std::string> collect_metrics(const StatisticsView& view);

}  // namespace fairlead::app
