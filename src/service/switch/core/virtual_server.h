// Generation and VirtualServer: what one configuration has made. A reload makes a new generation;
// sessions hold the virtual server they began with, and with it the pools they choose from, until
// they end.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "service/switch/balance/pool.h"
#include "service/switch/balance/routing.h"
#include "service/switch/core/health_checker.h"
#include "service/switch/core/options.h"
#include "socket/event.h"

namespace fairlead::l7 {

struct SharedState;

/// Pools with their health checks.
class Pools {
 public:
  /// Servers that are in `before` (nullptr: nothing was before) too keep what they have: state,
  /// health, counters.
  Pools(SharedState& shared, std::vector<PoolOptions> options, const host::SocketOptions& socket,
        const Pools* before, uint64_t seed);
  ~Pools();

  /// nullptr when there is none of that name.
  balance::Pool* find(std::string_view name) const;
  const std::vector<std::unique_ptr<balance::Pool>>& all() const { return pools_; }
  /// A new generation has taken over.
  void stop_checks() { checkers_.clear(); }

 private:
  SharedState& shared_;
  std::vector<std::unique_ptr<balance::Pool>> pools_;
  std::vector<std::unique_ptr<HealthChecker>> checkers_;
};

struct VirtualServer {
  /// One session, counted while it lives.
  class Slot {
   public:
    explicit Slot(std::shared_ptr<VirtualServer> v) : virtual_server_(std::move(v)) {
      ++virtual_server_->session_count;
    }
    Slot(Slot&&) noexcept = default;
    Slot& operator=(Slot&& other) noexcept {
      std::swap(virtual_server_, other.virtual_server_);
      return *this;
    }
    /// One more.
    Slot again() const { return Slot(virtual_server_); }
    ~Slot();
    VirtualServer& operator*() const { return *virtual_server_; }
    VirtualServer* operator->() const { return virtual_server_.get(); }

   private:
    std::shared_ptr<VirtualServer> virtual_server_;
  };

  VirtualServer(VirtualServerOptions o, std::shared_ptr<Pools> p,
                const host::SocketOptions& server_socket);

  /// The largest segments that the paths to all its servers take, payload and options: what a
  /// client is told, so that its segments fit wherever they are sent on. 0: no server, no limit.
  uint16_t mss_max(const host::Stack& stack) const;
  /// nullptr: none of its pools has one there.
  balance::Server* server_at(const Endpoint& endpoint) const;
  bool full() const {
    return options.max_connections != 0 && session_count >= options.max_connections;
  }

  template <typename Visit>
  void for_each_server(const Visit& visit) const;

  VirtualServerOptions options;
  std::shared_ptr<Pools> pools;
  balance::Router router;
  host::SocketOptions to_server;  // of its connections to servers
  uint32_t session_count = 0;
  std::vector<Event*> waiting;  // told when session_count falls, and forgotten
};

}  // namespace fairlead::l7
