#include "app/switch_options.h"

#include <algorithm>
#include <optional>

#include "base/check.h"
#include "service/switch/balance/balancer.h"
#include "service/switch/balance/maglev.h"

namespace fairlead::app {
namespace {

using control::HealthCheckConfig;
using control::MatchConfig;
using control::PoolConfig;
using control::RealServerConfig;
using control::ScheduleConfig;
using control::VirtualServerConfig;

// What the configuration lets through, the switch takes.
static_assert(PoolConfig::kMaxServers <= balance::Balancer::kMaxServers);
static_assert(PoolConfig::kMaxHashedServers <= balance::MaglevTable::kMaxServers);

balance::Schedule::Algorithm algorithm_of(ScheduleConfig::Algorithm algorithm) {
  using To = balance::Schedule::Algorithm;
  switch (algorithm) {
    case ScheduleConfig::Algorithm::kRr:
      return To::kRoundRobin;
    case ScheduleConfig::Algorithm::kWrr:
      return To::kWeightedRoundRobin;
    case ScheduleConfig::Algorithm::kLc:
      return To::kLeastConnections;
    case ScheduleConfig::Algorithm::kWlc:
      return To::kWeightedLeastConnections;
    case ScheduleConfig::Algorithm::kP2c:
      return To::kPowerOfTwoChoices;
    case ScheduleConfig::Algorithm::kHash:
      return To::kHash;
  }
  check_failed("Algorithm has a counterpart", __FILE__, __LINE__);
}

balance::Schedule::HashInput hash_input_of(ScheduleConfig::HashInput input) {
  using To = balance::Schedule::HashInput;
  switch (input) {
    case ScheduleConfig::HashInput::kSource:
      return To::kSource;
    case ScheduleConfig::HashInput::kUri:
      return To::kUri;
    case ScheduleConfig::HashInput::kHeader:
      return To::kHeader;
    case ScheduleConfig::HashInput::kCookie:
      return To::kCookie;
  }
  check_failed("HashInput has a counterpart", __FILE__, __LINE__);
}

balance::Condition::Kind kind_of(MatchConfig::Condition::Kind kind) {
  using From = MatchConfig::Condition::Kind;
  using To = balance::Condition::Kind;
  switch (kind) {
    case From::kHost:
      return To::kHost;
    case From::kPath:
      return To::kPath;
    case From::kPathPrefix:
      return To::kPathPrefix;
    case From::kHeader:
      return To::kHeader;
    case From::kSni:
      return To::kSni;
    case From::kAlpn:
      return To::kAlpn;
  }
  check_failed("Condition::Kind has a counterpart", __FILE__, __LINE__);
}

l7::HealthCheck::Kind kind_of(HealthCheckConfig::Kind kind) {
  switch (kind) {
    case HealthCheckConfig::Kind::kNone:
      return l7::HealthCheck::Kind::kNone;
    case HealthCheckConfig::Kind::kTcp:
      return l7::HealthCheck::Kind::kTcp;
    case HealthCheckConfig::Kind::kHttp:
      return l7::HealthCheck::Kind::kHttp;
  }
  check_failed("HealthCheckConfig::Kind has a counterpart", __FILE__, __LINE__);
}

l7::Protocol protocol_of(VirtualServerConfig::Protocol protocol) {
  switch (protocol) {
    case VirtualServerConfig::Protocol::kHttp:
      return l7::Protocol::kHttp;
    case VirtualServerConfig::Protocol::kTls:
      return l7::Protocol::kTls;
    case VirtualServerConfig::Protocol::kTcp:
      return l7::Protocol::kTcp;
  }
  check_failed("Protocol has a counterpart", __FILE__, __LINE__);
}

std::optional<protocol::ProxyVersion> proxy_version_of(VirtualServerConfig::SendProxy version) {
  switch (version) {
    case VirtualServerConfig::SendProxy::kNo:
      return std::nullopt;
    case VirtualServerConfig::SendProxy::kV1:
      return protocol::ProxyVersion::kV1;
    case VirtualServerConfig::SendProxy::kV2:
      return protocol::ProxyVersion::kV2;
  }
  check_failed("SendProxy has a counterpart", __FILE__, __LINE__);
}

l7::Splicing splicing_of(VirtualServerConfig::Splicing splicing) {
  switch (splicing) {
    case VirtualServerConfig::Splicing::kOff:
      return l7::Splicing::kOff;
    case VirtualServerConfig::Splicing::kAnswered:
      return l7::Splicing::kAnswered;
    case VirtualServerConfig::Splicing::kEarly:
      return l7::Splicing::kEarly;
  }
  check_failed("Splicing has a counterpart", __FILE__, __LINE__);
}

l7::HealthCheck health_check_of(const HealthCheckConfig& from) {
  return {.kind = kind_of(from.kind),
          .path = from.path,
          .expect_first = from.expect_first,
          .expect_last = from.expect_last,
          .interval = from.interval,
          .timeout = from.timeout};
}

l7::PoolOptions pool_of(const PoolConfig& from, std::string name, ShardShare share) {
  l7::PoolOptions out;
  out.pool.name = std::move(name);
  out.pool.schedule = {.algorithm = algorithm_of(from.schedule.algorithm),
                       .hash_input = hash_input_of(from.schedule.hash_input),
                       .hash_name = from.schedule.hash_name};
  for (const RealServerConfig& server : from.servers) {
    out.pool.servers.push_back(
        {.endpoint = server.endpoint,
         .weight = server.weight,
         .max_connections = share.of(server.max_connections),
         .backup = server.backup,
         .health = {.rise = server.health_check.rise, .fall = server.health_check.fall}});
    out.health_checks.push_back(health_check_of(server.health_check));
  }
  return out;
}

l7::RuleOptions rule_of(const MatchConfig& from) {
  l7::RuleOptions out{.conditions = {}, .pool = from.pool};
  for (const MatchConfig::Condition& condition : from.conditions) {
    out.conditions.push_back(
        {.kind = kind_of(condition.kind), .value = condition.value, .header = condition.header});
  }
  return out;
}

l7::Timeouts timeouts_of(const control::Config& config, const control::SwitchTimeouts& from) {
  return {.listen = from.listen,
          .synrecv = from.synrecv,
          .synsent = from.synsent,
          .synack = from.synack,
          .established = from.established,
          .closewait = from.closewait,
          .finwait = from.finwait,
          .lastack = from.lastack,
          .timewait = from.timewait.value_or(config.listen.socket.time_wait),
          .close = from.close};
}

host::ListenOptions listen_options_of(const control::Config& config,
                                      const VirtualServerConfig& from) {
  host::ListenOptions out = config.listen;
  out.backlog = from.backlog;
  apply(from.setup_offload, from.protocol == VirtualServerConfig::Protocol::kTcp, out);
  out.socket.teardown_offload =
      from.teardown_offload.value_or(config.listen.socket.teardown_offload);
  out.socket.connect_timeout = from.timeouts.synrecv;
  return out;
}

}  // namespace

uint32_t ShardShare::of(uint32_t bound) const {
  if (bound == 0) return 0;
  const auto whole = static_cast<uint32_t>(bound / shards);
  return std::max(1u, whole + (index < bound % shards ? 1 : 0));
}

std::string own_pool_name(const control::VirtualServerConfig& server) {
  return server.listeners.front().endpoint.to_string();
}

l7::SwitchOptions switch_options(const control::Config& config, ShardShare share,
                                 const SwitchLogTargets& logs) {
  l7::SwitchOptions out;
  out.server_socket = config.listen.socket;
  out.events = logs.events;
  for (const PoolConfig& pool : config.pools) {
    out.pools.push_back(pool_of(pool, pool.name, share));
  }
  for (const VirtualServerConfig& from : config.virtual_servers) {
    l7::VirtualServerOptions& server = out.virtual_servers.emplace_back();
    for (const control::ListenerConfig& listener : from.listeners) {
      server.listen.push_back(listener.endpoint);
    }
    server.tcp = listen_options_of(config, from);
    server.protocol = protocol_of(from.protocol);
    server.balance = from.balance == VirtualServerConfig::Balance::kRequest
                         ? l7::Balance::kRequest
                         : l7::Balance::kConnection;
    for (const MatchConfig& match : from.matches) server.rules.push_back(rule_of(match));
    if (!from.pool.servers.empty()) {
      server.pool = own_pool_name(from);
      out.pools.push_back(pool_of(from.pool, server.pool, share));
    }
    server.timeouts = timeouts_of(config, from.timeouts);
    server.max_connections = share.of(from.max_connections);
    server.max_request_head = from.max_request_head;
    server.send_proxy = proxy_version_of(from.send_proxy);
    server.accept_proxy = from.accept_proxy;
    server.add_forwarded_for = from.add_forwarded_for;
    server.splicing = splicing_of(from.splicing);
    server.splice_after = from.splice_after;
    if (!from.access_log.empty()) server.access_log = logs.access_log(from);
  }
  return out;
}

std::vector<Endpoint> listened_by_switch(const control::Config& config) {
  std::vector<Endpoint> out;
  for (const VirtualServerConfig& server : config.virtual_servers) {
    for (const control::ListenerConfig& listener : server.listeners) {
      out.push_back(listener.endpoint);
    }
  }
  std::ranges::sort(out);
  return out;
}

}  // namespace fairlead::app
