#include "control/config/pool_directives.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "control/config/directives.h"
#include "control/config/http_names.h"

namespace fairlead::control {
namespace {

PoolConfig& itself(PoolConfig& pool) { return pool; }
constexpr auto kPoolDirectives = pool_rows<PoolConfig, itself>();

constexpr Directive<RealServerConfig> kRealServer[] = {
    {.keyword = "backup",
     .usage = "backup",
     .read = [](DirectiveInput&, RealServerConfig& out) { out.backup = true; }},
    {.keyword = "health_check",
     .usage = "health_check http PATH|tcp { ... }",
     .block = HasBlock::kMayHave,
     .read = [](DirectiveInput& in,
                RealServerConfig& out) { read_health_check(in, out.health_check); }},
    {.keyword = "max_connections",
     .usage = "max_connections CONNECTIONS",
     .read =
         [](DirectiveInput& in, RealServerConfig& out) {
           in.arguments.number("CONNECTIONS", {.min = 1, .max = 1u << 24}, out.max_connections);
         }},
    {.keyword = "weight",
     .usage = "weight SHARE",
     .read =
         [](DirectiveInput& in, RealServerConfig& out) {
           // As HAProxy; 256 steps are finer than anyone knows his servers.
           in.arguments.number("SHARE", {.min = 1, .max = 256}, out.weight);
         }},
};

}  // namespace

std::span<const Directive<PoolConfig>> pool_directives() { return kPoolDirectives; }

void read_real_server(DirectiveInput& in, PoolConfig& out) {
  RealServerConfig server;
  const IpAddress& address = server.endpoint.address;
  in.arguments.address("ADDRESS", server.endpoint.address);
  if (in.arguments.ok() && (address.is_unspecified() || address.is_multicast_or_broadcast())) {
    in.arguments.reject(
        fmt::format("found {}; expected the address of one server", address.to_string()));
  }
  in.arguments.number("PORT", {.min = 1, .max = 65535}, server.endpoint.port);
  server.at = in.arguments.last_at();
  const auto same = std::ranges::find(out.servers, server.endpoint, &RealServerConfig::endpoint);
  if (in.arguments.ok() && same != out.servers.end()) {
    in.arguments.reject(fmt::format("found real_server {} a second time; it is already in line {}",
                                    server.endpoint.to_string(), same->at.line));
  }
  if (in.arguments.ok() && out.servers.size() == PoolConfig::kMaxServers) {
    in.arguments.reject(fmt::format("found more than {} real servers", PoolConfig::kMaxServers));
  }
  read_block<RealServerConfig>("real_server", in.statement.children, kRealServer, in.diagnostics,
                               server);
  if (in.arguments.ok()) out.servers.push_back(std::move(server));
}

void read_schedule(DirectiveInput& in, ScheduleConfig::Algorithm algorithm, ScheduleConfig& out) {
  if (out.at.line != 0) {
    in.arguments.reject(
        fmt::format("found a second schedule; the first is in line {}", out.at.line));
    return;
  }
  out.at = in.statement.keyword.at;
  out.algorithm = algorithm;
  if (algorithm != ScheduleConfig::Algorithm::kHash) return;
  static constexpr std::string_view kInputs[] = {"source", "uri", "header", "cookie"};
  auto index = static_cast<size_t>(out.hash_input);
  in.arguments.choice("INPUT", kInputs, index);
  out.hash_input = static_cast<ScheduleConfig::HashInput>(index);
  if (out.hash_input == ScheduleConfig::HashInput::kSource ||
      out.hash_input == ScheduleConfig::HashInput::kUri) {
    return;
  }
  in.arguments.text("NAME", out.hash_name);
  if (in.arguments.ok() && !is_token(out.hash_name)) {
    in.arguments.reject(fmt::format("found {}; expected the name of a {}, such as {}",
                                    in_quotes(out.hash_name), kInputs[index],
                                    index == 2 ? "X-User" : "session"));
  }
}

}  // namespace fairlead::control
