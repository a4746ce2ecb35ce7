#include "service/switch/core/virtual_server.h"

#include <utility>

#include "service/switch/core/shared_state.h"

namespace fairlead::l7 {
namespace {

std::vector<balance::Rule> rules_of(const std::vector<RuleOptions>& options, const Pools& pools) {
  std::vector<balance::Rule> rules;
  for (const RuleOptions& rule : options) {
    rules.push_back({.conditions = rule.conditions, .pool = pools.find(rule.pool)});
  }
  return rules;
}

void inherit(balance::Pool& pool, const Pools* before) {
  const balance::Pool* old = before != nullptr ? before->find(pool.name()) : nullptr;
  if (old == nullptr) return;
  for (const auto& server : pool.servers()) {
    if (const balance::Server* known = old->find(server->name())) server->inherit(*known);
  }
}

/// Those that both of a session's connections have alike.
void set_timeouts(host::SocketOptions& socket, const Timeouts& timeouts) {
  socket.linger_timeout = timeouts.finwait;
  socket.last_ack_timeout = timeouts.lastack;
  socket.time_wait = timeouts.timewait;
}

}  // namespace

Pools::Pools(SharedState& shared, std::vector<PoolOptions> options,
             const host::SocketOptions& socket, const Pools* before, uint64_t seed)
    : shared_(shared) {
  for (PoolOptions& one : options) {
    auto pool = std::make_unique<balance::Pool>(std::move(one.pool), seed);
    inherit(*pool, before);
    for (size_t i = 0; i < pool->servers().size(); ++i) {
      const HealthCheck& check = one.health_checks[i];
      if (check.kind == HealthCheck::Kind::kNone) continue;
      checkers_.push_back(std::make_unique<HealthChecker>(
          shared, HealthChecker::Subject{.pool = pool->name(), .server = *pool->servers()[i]},
          check, socket));
    }
    pools_.push_back(std::move(pool));
  }
}

Pools::~Pools() {
  checkers_.clear();
  for (const auto& pool : pools_) {
    for (const auto& server : pool->servers()) shared_.idle.forget(*server);
  }
}

balance::Pool* Pools::find(std::string_view name) const {
  for (const auto& pool : pools_) {
    if (pool->name() == name) return pool.get();
  }
  return nullptr;
}

VirtualServer::Slot::~Slot() {
  if (virtual_server_ == nullptr) return;
  --virtual_server_->session_count;
  for (Event* event : std::exchange(virtual_server_->waiting, {})) event->set();
}

template <typename Visit>
void VirtualServer::for_each_server(const Visit& visit) const {
  const auto servers_of = [&](std::string_view name) {
    const balance::Pool* pool = pools->find(name);
    if (pool == nullptr) return;
    for (const auto& server : pool->servers()) visit(*server);
  };
  servers_of(options.pool);
  for (const RuleOptions& rule : options.rules) servers_of(rule.pool);
}

uint16_t VirtualServer::mss_max(const host::Stack& stack) const {
  uint16_t least = 0;
  for_each_server([&](const balance::Server& server) {
    const std::optional<uint16_t> mss = stack.path_mss(server.endpoint().address);
    if (mss && (least == 0 || *mss < least)) least = *mss;
  });
  return least;
}

balance::Server* VirtualServer::server_at(const Endpoint& endpoint) const {
  balance::Server* found = nullptr;
  for_each_server([&](balance::Server& server) {
    if (found == nullptr && server.endpoint() == endpoint) found = &server;
  });
  return found;
}

VirtualServer::VirtualServer(VirtualServerOptions o, std::shared_ptr<Pools> p,
                             const host::SocketOptions& server_socket)
    : options(std::move(o)),
      pools(std::move(p)),
      router(rules_of(options.rules, *pools),
             options.pool.empty() ? nullptr : pools->find(options.pool)),
      to_server(server_socket) {
  set_timeouts(to_server, options.timeouts);
  to_server.connect_timeout = options.timeouts.synsent;
  to_server.reset_rest = options.timeouts.close;  // a client's addresses are the client's to choose
  to_server.teardown_offload = options.tcp.socket.teardown_offload;
  to_server.nodelay = true;  // what the client's TCP cut small was meant to be small
  set_timeouts(options.tcp.socket, options.timeouts);
  options.tcp.socket.nodelay = true;
  // The client's own TCP stands for what it has sent before the splice.
  options.tcp.socket.hold_first_acks = options.splices_early();
}

}  // namespace fairlead::l7
