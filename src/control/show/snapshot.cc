#include "control/show/snapshot.h"

#include <algorithm>
#include <map>
#include <utility>

#include "nic/aggregate/aggregating_port.h"

namespace fairlead::control {
namespace {

Json to_json(size_t shard, const ConnectionSnapshot& connection) {
  const host::ConnectionInfo& info = connection.info;
  return {
      {"shard", shard},
      {"local", connection.tuple.local.to_string()},
      {"remote", connection.tuple.remote.to_string()},
      {"state", host::state_name(connection.state)},
      {"srtt_us", info.srtt / microseconds(1)},
      {"rto_us", info.rto / microseconds(1)},
      {"mss", info.mss},
      {"congestion", info.congestion == host::CongestionAlgorithm::kCubic ? "cubic" : "newreno"},
      {"cwnd", info.cwnd},
      {"ssthresh", info.ssthresh},
      {"in_flight", info.in_flight},
      {"send_queue", info.send_queue},
      {"receive_queue", info.receive_queue},
      {"send_window", info.send_window},
      {"receive_window", info.receive_window},
      {"sack", info.sack},
      {"timestamps", info.timestamps},
      {"ecn", info.ecn}};
}

Json to_json(size_t shard, const PortSnapshot& port) {
  const port::PortCounters& counters = port.counters;
  Json row{{"shard", shard},
           {"name", port.name},
           {"rx_packets", counters.rx_packets},
           {"rx_bytes", counters.rx_bytes},
           {"rx_dropped", counters.rx_dropped},
           {"rx_truncated", counters.rx_truncated},
           {"tx_packets", counters.tx_packets},
           {"tx_bytes", counters.tx_bytes},
           {"tx_bursts", counters.tx_bursts},
           {"tx_busy", counters.tx_busy},
           {"tx_dropped", counters.tx_dropped}};
  if (port.aggregate) {
    Json aggregate = Json::object();
    port.aggregate->for_each(
        [&](std::string_view name, uint64_t value) { aggregate[std::string(name)] = value; });
    row["aggregate"] = std::move(aggregate);
  }
  return row;
}

Json splices_json(std::span<const StatsSnapshot> shards) {
  size_t open = 0;
  size_t splicing = 0;
  std::map<std::string, uint64_t> counters;
  std::map<std::string, uint64_t> refused;
  for (const StatsSnapshot& stats : shards) {
    open += stats.splices;
    splicing += stats.splicing;
    stats.splice_counters.for_each(
        [&](std::string_view name, uint64_t value) { counters[std::string(name)] += value; });
    for (size_t i = 1; i < stats.splice_refusals.size(); ++i) {
      const auto why = static_cast<host::SpliceRefusal>(i);
      refused[std::string(splice_refusal_name(why))] += stats.splice_refusals[i];
    }
  }
  const uint64_t opened = counters["opened"];
  return {{"open", open},
          {"on_their_way", splicing},
          {"handover_mean_us", opened == 0 ? 0 : counters["handover_us"] / opened},
          {"counters", std::move(counters)},
          {"refused", std::move(refused)}};
}

// Without "not_ours": what a stack asks about is nearly always ours.
Json setup_json(std::span<const StatsSnapshot> shards) {
  std::map<std::string, uint64_t> out;
  for (const StatsSnapshot& stats : shards) {
    for (size_t i = FL_SETUP_ANSWERED; i < stats.setup.size(); ++i) {
      const auto name = nic::setup_verdict_name(static_cast<fl_setup_verdict>(i));
      out[std::string(name)] += stats.setup[i];
    }
    out["replays_forgotten"] += stats.setup_replays_forgotten;
  }
  return out;
}

Json teardown_json(std::span<const StatsSnapshot> shards) {
  size_t active = 0;
  size_t resting = 0;
  size_t bytes = 0;
  double share = 1;
  std::map<std::string, uint64_t> counters;
  for (const StatsSnapshot& stats : shards) {
    active += stats.teardowns;
    resting += stats.teardowns_time_wait;
    bytes += stats.teardown_bytes;
    share = std::min(share, stats.teardown_share);
    stats.teardown_counters.for_each(
        [&](std::string_view name, uint64_t value) { counters[std::string(name)] += value; });
  }
  return {{"active", active},
          {"time_wait", resting},
          {"held_bytes", bytes},
          {"handed_over_percent", static_cast<int>(100 * share)},
          {"counters", std::move(counters)}};
}

}  // namespace

ConnectionsSnapshot snapshot_connections(const host::Stack& stack, size_t limit) {
  ConnectionsSnapshot out;
  out.total = stack.connection_count();
  out.connections.reserve(std::min(out.total, limit));
  stack.for_each_connection([&](const host::Connection& connection) {
    if (out.connections.size() == limit) return;
    out.connections.push_back({connection.tuple(), connection.state(), connection.info()});
  });
  return out;
}

std::vector<ListenerSnapshot> snapshot_listeners(const host::Stack& stack) {
  std::vector<ListenerSnapshot> out;
  stack.for_each_listener([&](const host::Listener& listener) {
    out.push_back({listener.endpoint(), listener.pending(), listener.handshakes()});
  });
  return out;
}

StatsSnapshot snapshot_stats(const Shard& shard) {
  const host::Stack& stack = shard.stack();
  StatsSnapshot out{.connections = stack.connection_count(),
                    .time_wait = stack.time_wait_count(),
                    .buffer_bytes = stack.buffer_bytes(),
                    .sleeps = shard.counters().sleeps,
                    .pauses = shard.counters().pauses,
                    .counters = stack.counters(),
                    .ports = {},
                    .splices = stack.splices().size(),
                    .splicing = stack.splicing_count(),
                    .splice_counters = stack.splices().counters(),
                    .splice_refusals = stack.splice_refusals(),
                    .teardown_counters = {}};
  for (size_t i = 0; i < out.setup.size(); ++i) {
    out.setup[i] = stack.setup().count(static_cast<fl_setup_verdict>(i));
  }
  out.setup_replays_forgotten = stack.setup().replays_forgotten();
  const nic::Teardown& teardown = stack.teardown();
  out.teardowns = teardown.active();
  out.teardowns_time_wait = teardown.size() - teardown.active();
  out.teardown_bytes = teardown.held_bytes();
  out.teardown_share = stack.teardown_share();
  out.teardown_counters = teardown.counters();
  for (port::Port* port : shard.ports()) {
    PortSnapshot& row = out.ports.emplace_back(
        PortSnapshot{.name = port->info().name, .counters = port->counters(), .aggregate = {}});
    if (const auto* aggregating = dynamic_cast<const nic::AggregatingPort*>(port)) {
      row.aggregate = aggregating->aggregator().counters();
    }
  }
  return out;
}

Json connections_json(std::span<const ConnectionsSnapshot> shards, size_t limit) {
  size_t total = 0;
  Json rows = Json::array();
  for (size_t shard = 0; shard < shards.size(); ++shard) {
    total += shards[shard].total;
    for (const ConnectionSnapshot& connection : shards[shard].connections) {
      if (rows.size() < limit) rows.push_back(to_json(shard, connection));
    }
  }
  return {{"total", total}, {"connections", std::move(rows)}};
}

Json listeners_json(std::span<const std::vector<ListenerSnapshot>> shards) {
  Json rows = Json::array();
  for (size_t shard = 0; shard < shards.size(); ++shard) {
    for (const ListenerSnapshot& listener : shards[shard]) {
      rows.push_back({{"shard", shard},
                      {"local", listener.endpoint.to_string()},
                      {"handshakes", listener.handshakes},
                      {"waiting", listener.pending}});
    }
  }
  return {{"listeners", std::move(rows)}};
}

Json stats_json(std::span<const StatsSnapshot> shards) {
  Json rows = Json::array();
  Json ports = Json::array();
  std::map<std::string, uint64_t> sums;
  for (size_t shard = 0; shard < shards.size(); ++shard) {
    const StatsSnapshot& stats = shards[shard];
    rows.push_back({{"shard", shard},
                    {"connections", stats.connections},
                    {"time_wait", stats.time_wait},
                    {"buffer_bytes", stats.buffer_bytes},
                    {"sleeps", stats.sleeps},
                    {"pauses", stats.pauses}});
    for (const PortSnapshot& port : stats.ports) ports.push_back(to_json(shard, port));
    stats.counters.for_each(
        [&](std::string_view name, uint64_t value) { sums[std::string(name)] += value; });
  }
  return {{"shards", std::move(rows)},         {"ports", std::move(ports)},
          {"counters", std::move(sums)},       {"setup", setup_json(shards)},
          {"teardown", teardown_json(shards)}, {"splices", splices_json(shards)}};
}

}  // namespace fairlead::control
