#include "control/show/switch_snapshot.h"

#include <algorithm>
#include <map>
#include <string>
#include <tuple>
#include <utility>

#include "base/check.h"

namespace fairlead::control {
namespace {

// One server as all shards together see it.
struct ServerTotals {
  l7::ServerSnapshot sum;
  size_t shards_up = 0;
  size_t shards = 0;
};

void add(ServerTotals& totals, const l7::ServerSnapshot& one) {
  if (totals.shards++ == 0) {
    totals.sum = one;
  } else {
    l7::ServerSnapshot& sum = totals.sum;
    sum.max_connections += one.max_connections;
    sum.active += one.active;
    sum.counters.connections += one.counters.connections;
    sum.counters.requests += one.counters.requests;
    sum.counters.failures += one.counters.failures;
    sum.counters.bytes_to_server += one.counters.bytes_to_server;
    sum.counters.bytes_to_client += one.counters.bytes_to_client;
    sum.counters.total_latency += one.counters.total_latency;
  }
  if (one.up) ++totals.shards_up;
}

uint64_t in_units(Duration duration, Duration unit) {
  return static_cast<uint64_t>(std::max<int64_t>(0, duration / unit));
}

Json to_json(const ServerTotals& totals) {
  const l7::ServerSnapshot& server = totals.sum;
  return {{"virtual_servers", server.virtual_servers},
          {"pool", server.pool},
          {"server", server.server},
          {"admin", admin_name(server.admin)},
          {"up", totals.shards_up == totals.shards},
          {"shards_up", totals.shards_up},
          {"backup", server.backup},
          {"weight", server.weight},
          {"max_connections", server.max_connections},
          {"active", server.active},
          {"connections", server.counters.connections},
          {"requests", server.counters.requests},
          {"failures", server.counters.failures},
          {"bytes_to_server", server.counters.bytes_to_server},
          {"bytes_to_client", server.counters.bytes_to_client},
          {"total_wait_us", in_units(server.counters.total_latency, microseconds(1))}};
}

// Empty while there is no connection to a server.
std::string name_of(const Endpoint& endpoint) {
  return endpoint.port == 0 ? std::string() : endpoint.to_string();
}

Json to_json(size_t shard, const l7::SessionSnapshot& session) {
  return {{"shard", shard},
          {"client", session.client.to_string()},
          {"virtual", session.virtual_server.to_string()},
          {"local", name_of(session.local)},
          {"server", name_of(session.server)},
          {"state", session.state},
          {"seat", session.seat},
          {"expires_ms", in_units(session.expires, milliseconds(1))},
          {"bytes_from_client", session.bytes_from_client},
          {"bytes_to_client", session.bytes_to_client}};
}

}  // namespace

std::string_view admin_name(balance::AdminState state) {
  switch (state) {
    case balance::AdminState::kEnabled:
      return "enabled";
    case balance::AdminState::kDraining:
      return "draining";
    case balance::AdminState::kDisabled:
      return "disabled";
  }
  check_failed("AdminState has a name", __FILE__, __LINE__);
}

Json sessions_json(std::span<const SessionsSnapshot> shards, size_t limit) {
  size_t total = 0;
  Json rows = Json::array();
  for (size_t shard = 0; shard < shards.size(); ++shard) {
    total += shards[shard].total;
    for (const l7::SessionSnapshot& session : shards[shard].sessions) {
      if (rows.size() < limit) rows.push_back(to_json(shard, session));
    }
  }
  return {{"total", total}, {"sessions", std::move(rows)}};
}

Json servers_json(std::span<const std::vector<l7::ServerSnapshot>> shards) {
  // In the order of the first shard; another may have a reload more or less at this moment.
  std::map<std::pair<std::string, std::string>, size_t> places;  // by pool and server
  std::vector<ServerTotals> totals;
  for (const auto& servers : shards) {
    for (const l7::ServerSnapshot& server : servers) {
      const auto [place, is_new] = places.try_emplace({server.pool, server.server}, totals.size());
      if (is_new) totals.emplace_back();
      add(totals[place->second], server);
    }
  }
  Json rows = Json::array();
  for (const ServerTotals& server : totals) rows.push_back(to_json(server));
  return {{"servers", std::move(rows)}};
}

Json switch_stats_json(std::span<const SwitchSnapshot> shards) {
  size_t sessions = 0;
  std::map<std::string, uint64_t> sums;
  for (const SwitchSnapshot& shard : shards) {
    sessions += shard.sessions;
    shard.counters.for_each(
        [&](std::string_view name, uint64_t value) { sums[std::string(name)] += value; });
  }
  return {{"sessions", sessions}, {"counters", std::move(sums)}};
}

}  // namespace fairlead::control
