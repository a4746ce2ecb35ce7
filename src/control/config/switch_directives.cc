// `virtual_server ADDRESS PORT { … }` and `pool NAME { … }`: how the blocks are entered, and what
// can be said of them once they have been read.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "control/config/directives.h"
#include "control/config/http_names.h"

namespace fairlead::control {
namespace {

const Statement* find(const Statement& block, std::string_view keyword) {
  const auto at =
      std::ranges::find(block.children, keyword, [](const Statement& s) { return s.keyword.text; });
  return at == block.children.end() ? nullptr : &*at;
}

// Directives that look at, or change, what only some protocols have.
void check_protocol(const Statement& block, const VirtualServerConfig& server,
                    Diagnostics& diagnostics) {
  using Server = VirtualServerConfig;
  const bool http = server.protocol == Server::Protocol::kHttp;
  const bool head = server.protocol != Server::Protocol::kTcp;
  struct Need {
    std::string_view keyword;
    std::string_view shown;
    bool met;
    std::string_view protocols;
  };
  const Need needs[] = {
      {"add_header", "add_header", http, "http"},
      {"balance", "balance request", http || server.balance != Server::Balance::kRequest, "http"},
      {"access_log", "access_log in the common format",
       http || server.access_log_format != Server::LogFormat::kCommon, "http"},
      {"max_request_head", "max_request_head", head, "http or tls"},
  };
  for (const Need& need : needs) {
    const Statement* statement = find(block, need.keyword);
    if (need.met || statement == nullptr) continue;
    diagnostics.error(
        statement->keyword.at,
        fmt::format("found {} for protocol {}; it needs protocol {}", need.shown,
                    kProtocolNames[static_cast<size_t>(server.protocol)], need.protocols));
  }
}

// Of a connection that is spliced nobody looks at its requests.
void check_splicing(const Statement& block, const VirtualServerConfig& server,
                    Diagnostics& diagnostics) {
  const Statement* statement = find(block, "splice");
  if (statement == nullptr || server.splicing == VirtualServerConfig::Splicing::kOff) return;
  const bool per_request = server.balance == VirtualServerConfig::Balance::kRequest;
  if (!per_request && !server.add_forwarded_for) return;
  diagnostics.error(statement->keyword.at,
                    fmt::format("found splice with {}; it needs requests that are not looked at",
                                per_request ? "balance request" : "add_header"));
}

}  // namespace

void read_listener(Arguments& in, Endpoint& out) {
  in.address("ADDRESS", out.address);
  if (in.ok() && out.address.is_multicast_or_broadcast()) {
    in.reject(fmt::format("found {}; expected a unicast address", out.address.to_string()));
  }
  in.number("PORT", {.min = 1, .max = 65535}, out.port);
}

void read_absolute_path(Arguments& in, std::string& out) {
  in.text("PATH", out);
  if (in.ok() && !out.starts_with('/')) {
    in.reject(fmt::format("found {}; expected an absolute path", in_quotes(out)));
  }
}

void read_virtual_server(DirectiveInput& in, Config& out) {
  VirtualServerConfig server;
  ListenerConfig listener;
  read_listener(in.arguments, listener.endpoint);
  listener.at = server.at = in.arguments.last_at();
  if (in.arguments.ok()) server.listeners.push_back(listener);
  read_block("virtual_server", in.statement.children, virtual_server_directives(), in.diagnostics,
             server);
  check_protocol(in.statement, server, in.diagnostics);
  check_splicing(in.statement, server, in.diagnostics);
  if (!find(in.statement, "real_server") && !find(in.statement, "match")) {
    in.arguments.reject(
        R"(found no server; expected at least one "real_server ADDRESS PORT" or "match ... pool NAME")");
  }
  out.virtual_servers.push_back(std::move(server));
}

void read_pool(DirectiveInput& in, Config& out) {
  PoolConfig pool;
  in.arguments.text("NAME", pool.name);
  pool.at = in.arguments.last_at();
  if (in.arguments.ok() && !is_token(pool.name)) {
    in.arguments.reject(fmt::format("found {}; expected a name of letters, digits, \"-\" and \"_\"",
                                    in_quotes(pool.name)));
  }
  const auto same = std::ranges::find(out.pools, pool.name, &PoolConfig::name);
  if (in.arguments.ok() && same != out.pools.end()) {
    in.arguments.reject(fmt::format("found pool {} a second time; it is already in line {}",
                                    in_quotes(pool.name), same->at.line));
  }
  if (in.arguments.ok() && out.pools.size() == Config::kMaxPools) {
    in.arguments.reject(fmt::format("found more than {} pools", Config::kMaxPools));
  }
  read_block("pool", in.statement.children, pool_directives(), in.diagnostics, pool);
  // Kept even when something in it is wrong, so that match lines find it.
  if (in.arguments.ok()) out.pools.push_back(std::move(pool));
  if (!find(in.statement, "real_server")) {
    in.arguments.reject(
        R"(found a pool without servers; expected at least one "real_server ADDRESS PORT")");
  }
}

}  // namespace fairlead::control
