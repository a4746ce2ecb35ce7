// Server: one real server of a pool: who it is, what it may take, how it is, what it did.
//
// Belongs to one shard. With several shards each has Servers of its own for the same endpoint:
// active() counts this shard's connections only, and the owner divides max_connections.
//
// A Server outlives its connections: a reload that drops it keeps the object until active() is 0.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "base/time.h"
#include "service/switch/balance/health_state.h"
#include "wire/address.h"

namespace fairlead::balance {

enum class AdminState : uint8_t {
  kEnabled,
  kDraining,  // gets no new connection; those it has go on
  kDisabled,  // likewise, and its owner ends those it has
};

class Server {
 public:
  struct Options {
    Endpoint endpoint{};
    uint32_t weight = 1;           // at least 1; its share beside that of the others
    uint32_t max_connections = 0;  // 0: no bound
    bool backup = false;           // only used while no other can be
    HealthState::Thresholds health{};
  };

  struct Counters {
    uint64_t connections = 0;
    uint64_t requests = 0;
    uint64_t failures = 0;  // connections or requests that ended without an answer
    uint64_t bytes_to_server = 0;
    uint64_t bytes_to_client = 0;
    Duration total_latency{};  // from request passed on to first byte of the answer, summed
  };

  /// One connection to the server, counted while it lives.
  class Connection {
   public:
    explicit Connection(Server& server) : server_(&server) {
      ++server.active_;
      ++server.counters_.connections;
    }
    Connection(Connection&& other) noexcept : server_(std::exchange(other.server_, nullptr)) {}
    Connection& operator=(Connection&& other) noexcept {
      std::swap(server_, other.server_);
      return *this;
    }
    ~Connection() {
      if (server_ != nullptr) --server_->active_;
    }
    Server& server() const { return *server_; }

   private:
    Server* server_;
  };

  explicit Server(const Options& options);
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  ~Server();

  /// "192.0.2.1:80", as commands and logs name it.
  const std::string& name() const { return name_; }
  const Endpoint& endpoint() const { return options_.endpoint; }
  uint32_t weight() const { return options_.weight; }
  uint32_t max_connections() const { return options_.max_connections; }
  bool backup() const { return options_.backup; }

  AdminState admin() const { return admin_; }
  void set_admin(AdminState state) { admin_ = state; }
  bool up() const { return health_.up(); }
  /// Takes in one health check's outcome. True when up() changed.
  bool report_health(bool ok) { return health_.report(ok); }

  /// Takes over what `before`, the same server in an earlier configuration, has: administrative
  /// state, health, counters.
  void inherit(const Server& before) {
    admin_ = before.admin_;
    if (!before.up()) health_.assume_down();
    counters_ = before.counters_;
  }

  uint32_t active() const { return active_; }
  /// Takes new connections as far as people and health checks are concerned.
  bool available() const { return admin_ == AdminState::kEnabled && up(); }
  bool full() const { return options_.max_connections != 0 && active_ >= options_.max_connections; }

  Counters& counters() { return counters_; }
  const Counters& counters() const { return counters_; }

 private:
  const Options options_;
  const std::string name_;
  AdminState admin_ = AdminState::kEnabled;
  HealthState health_;
  uint32_t active_ = 0;
  Counters counters_;
};

}  // namespace fairlead::balance
