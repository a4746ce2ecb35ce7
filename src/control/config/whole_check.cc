// What can only be said of the file as a whole, because directives that stand apart contradict each
// other.
#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "control/config/directives.h"
#include "control/config/suggest.h"

namespace fairlead::control {
namespace {

using Protocol = VirtualServerConfig::Protocol;
using Kind = MatchConfig::Condition::Kind;

std::string_view name_of(Protocol protocol) {
  return kProtocolNames[static_cast<size_t>(protocol)];
}

// A metrics server or echo server is in the way of a virtual server, too.
void check_listeners(const Config& config, Diagnostics& diagnostics) {
  std::vector<ListenerConfig> all;
  for (const EchoServerConfig& server : config.echo_servers) {
    all.push_back({.endpoint = server.endpoint, .at = server.at});
  }
  for (const VirtualServerConfig& server : config.virtual_servers) {
    all.insert(all.end(), server.listeners.begin(), server.listeners.end());
  }
  if (config.metrics) all.push_back(*config.metrics);
  std::ranges::sort(all, {}, [](const ListenerConfig& l) { return std::pair(l.endpoint, l.at); });
  for (size_t first = 0, i = 1; i < all.size(); ++i) {
    if (all[i].endpoint != all[first].endpoint) {
      first = i;
      continue;
    }
    diagnostics.error(all[i].at, fmt::format("found a second server on {}; the first is in line {}",
                                             all[i].endpoint.to_string(), all[first].at.line));
  }
}

// An aggregator's interfaces are a wire's ends: nobody else may take or send packets there.
void check_aggregators(const Config& config, Diagnostics& diagnostics) {
  std::vector<std::pair<std::string_view, Position>> taken;
  for (const InterfaceConfig& interface : config.interfaces) {
    taken.emplace_back(interface.name, interface.at);
  }
  for (const AggregatorConfig& aggregator : config.aggregators) {
    for (const std::string& name : {aggregator.from, aggregator.to}) {
      const auto first = std::ranges::find(taken, name, &decltype(taken)::value_type::first);
      if (first != taken.end()) {
        diagnostics.error(
            aggregator.at,
            fmt::format("found interface {} in an aggregator; it is already in line {}",
                        in_quotes(name), first->second.line));
      }
    }
    taken.emplace_back(aggregator.from, aggregator.at);
    taken.emplace_back(aggregator.to, aggregator.at);
  }
}

// The protocol that has what a condition looks at.
Protocol needed_by(Kind kind) {
  switch (kind) {
    case Kind::kHost:
    case Kind::kPath:
    case Kind::kPathPrefix:
    case Kind::kHeader:
      return Protocol::kHttp;
    case Kind::kSni:
    case Kind::kAlpn:
      return Protocol::kTls;
  }
  return Protocol::kHttp;
}

void check_conditions(const VirtualServerConfig& server, const MatchConfig& match,
                      Diagnostics& diagnostics) {
  for (const MatchConfig::Condition& condition : match.conditions) {
    const Protocol needed = needed_by(condition.kind);
    if (needed == server.protocol) continue;
    diagnostics.error(condition.at,
                      fmt::format("found \"match {}\" for protocol {}; it needs protocol {}",
                                  kConditionNames[static_cast<size_t>(condition.kind)],
                                  name_of(server.protocol), name_of(needed)));
  }
}

void check_schedule(const PoolConfig& pool, Diagnostics& diagnostics) {
  if (pool.schedule.algorithm != ScheduleConfig::Algorithm::kHash ||
      pool.servers.size() <= PoolConfig::kMaxHashedServers) {
    return;
  }
  diagnostics.error(pool.schedule.at,
                    fmt::format("found schedule_hash for {} servers; expected at most {}",
                                pool.servers.size(), PoolConfig::kMaxHashedServers));
}

bool hashes_http(const ScheduleConfig& schedule) {
  return schedule.algorithm == ScheduleConfig::Algorithm::kHash &&
         schedule.hash_input != ScheduleConfig::HashInput::kSource;
}

std::string unknown_pool(const Config& config, const std::string& name) {
  std::vector<std::string_view> names;
  for (const PoolConfig& pool : config.pools) names.push_back(pool.name);
  const std::string_view near = closest(name, names);
  return near.empty() ? fmt::format(
                            "found pool {}, which is not defined; expected a block "
                            "\"pool NAME {{ ... }}\" for it",
                            in_quotes(name))
                      : fmt::format("found pool {}, which is not defined; did you mean \"{}\"?",
                                    in_quotes(name), near);
}

void check_pool(const Config& config, const VirtualServerConfig& server, const MatchConfig& match,
                Diagnostics& diagnostics) {
  if (match.pool.empty()) return;  // reported when it was read
  const auto pool = std::ranges::find(config.pools, match.pool, &PoolConfig::name);
  if (pool == config.pools.end()) {
    diagnostics.error(match.at, unknown_pool(config, match.pool));
  } else if (server.protocol != Protocol::kHttp && hashes_http(pool->schedule)) {
    diagnostics.error(
        match.at,
        fmt::format("found pool {} for protocol {}; its schedule_hash in line {} "
                    "needs protocol http",
                    in_quotes(match.pool), name_of(server.protocol), pool->schedule.at.line));
  }
}

}  // namespace

void check_whole(const Config& config, Diagnostics& diagnostics) {
  check_listeners(config, diagnostics);
  check_aggregators(config, diagnostics);
  for (const PoolConfig& pool : config.pools) check_schedule(pool, diagnostics);
  for (const VirtualServerConfig& server : config.virtual_servers) {
    check_schedule(server.pool, diagnostics);
    if (server.protocol != Protocol::kHttp && hashes_http(server.pool.schedule)) {
      diagnostics.error(
          server.pool.schedule.at,
          fmt::format("found schedule_hash of a request for protocol {}; it needs protocol http, "
                      "or source",
                      name_of(server.protocol)));
    }
    for (const MatchConfig& match : server.matches) {
      check_conditions(server, match, diagnostics);
      check_pool(config, server, match, diagnostics);
      // A file may hold thousands of mistakes; a look for near names at each would take minutes.
      if (diagnostics.count() >= Diagnostics::kMaxErrors) return;
    }
  }
}

}  // namespace fairlead::control
