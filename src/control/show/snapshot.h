// What a shard tells about itself: plain copies, taken by the shard's own thread between two
// bursts, and turned into JSON by the control thread.
//
// Taking one is the only part that costs a shard time, so it copies figures and formats nothing,
// and the number of connections copied is bounded.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "control/socket/protocol.h"
#include "host/stack.h"
#include "nic/aggregate/aggregate_counters.h"
#include "port/port.h"
#include "socket/shard.h"

namespace fairlead::control {

struct ConnectionSnapshot {
  FourTuple tuple;
  host::State state;
  host::ConnectionInfo info;
};

struct ConnectionsSnapshot {
  size_t total = 0;
  std::vector<ConnectionSnapshot> connections;  // at most as many as asked for
};

struct ListenerSnapshot {
  Endpoint endpoint;
  size_t pending = 0;     // established, not yet accepted
  size_t handshakes = 0;  // in SYN-RECEIVED
};

struct PortSnapshot {
  std::string name;
  port::PortCounters counters;
  std::optional<nic::AggregateCounters> aggregate;  // where what is received is aggregated
};

struct StatsSnapshot {
  size_t connections = 0;
  size_t time_wait = 0;
  size_t buffer_bytes = 0;
  uint64_t sleeps = 0;
  uint64_t pauses = 0;
  host::Counters counters;
  std::vector<PortSnapshot> ports;
  size_t splices = 0;   // those that are over and wait for late packets included
  size_t splicing = 0;  // connections on their way to a splice, pairs
  nic::SpliceCounters splice_counters;
  std::array<uint64_t, host::kSpliceRefusals> splice_refusals{};
  std::array<uint64_t, FL_SETUP_VERDICTS> setup{};
  uint64_t setup_replays_forgotten = 0;
  size_t teardowns = 0;            // closed by the NIC stack
  size_t teardowns_time_wait = 0;  // likewise, resting
  size_t teardown_bytes = 0;
  double teardown_share = 1;  // host::Stack::teardown_share()
  nic::TeardownCounters teardown_counters;
};

// To be called by the shard's thread.
ConnectionsSnapshot snapshot_connections(const host::Stack& stack, size_t limit);
std::vector<ListenerSnapshot> snapshot_listeners(const host::Stack& stack);
StatsSnapshot snapshot_stats(const Shard& shard);

// One element per shard in, the result of a control command out (doc/control.md). At most `limit`
// connections; the uptime is the caller's to add.
Json connections_json(std::span<const ConnectionsSnapshot> shards, size_t limit);
Json listeners_json(std::span<const std::vector<ListenerSnapshot>> shards);
Json stats_json(std::span<const StatsSnapshot> shards);

}  // namespace fairlead::control
