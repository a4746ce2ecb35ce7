// Server: one real server of a pool: who it is, what it may take, how it is, what it did.
//
// Belongs to one shard. With several shards each has Servers of its own for the same endpoint:
// active() counts this shard's connections only, and the owner divides max_connections.
//
// A reload makes new Servers while connections of the old ones go on. What is counted, and what
// people have decided, is a server's whichever of its objects a connection holds: they share it
// (inherit()).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "base/check.h"
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
      ++server.shared_->active;
      ++server.shared_->counters.connections;
    }
    Connection(Connection&& other) noexcept : server_(std::exchange(other.server_, nullptr)) {}
    Connection& operator=(Connection&& other) noexcept {
      std::swap(server_, other.server_);
      return *this;
    }
    ~Connection() {
      if (server_ != nullptr) --server_->shared_->active;
    }
    Server& server() const { return *server_; }

   private:
    Server* server_;
  };

  explicit Server(const Options& options);
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// "192.0.2.1:80", as commands and logs name it.
  const std::string& name() const { return name_; }
  const Endpoint& endpoint() const { return options_.endpoint; }
  uint32_t weight() const { return options_.weight; }
  uint32_t max_connections() const { return options_.max_connections; }
  bool backup() const { return options_.backup; }

  AdminState admin() const { return shared_->admin; }
  void set_admin(AdminState state) { shared_->admin = state; }
  bool up() const { return health_.up(); }
  /// Takes in one health check's outcome. True when up() changed.
  bool report_health(bool ok) { return health_.report(ok); }

  /// `before` is the same server in an earlier configuration: shares its administrative state,
  /// connections and counters from now on, and begins with its health.
  void inherit(const Server& before) {
    shared_ = before.shared_;
    if (!before.up()) health_.assume_down();
  }
  /// The same server, perhaps in another configuration.
  bool is_same_as(const Server& other) const { return shared_ == other.shared_; }

  uint32_t active() const { return shared_->active; }
  /// Takes new connections as far as people and health checks are concerned.
  bool available() const { return admin() == AdminState::kEnabled && up(); }
  bool full() const {
    return options_.max_connections != 0 && active() >= options_.max_connections;
  }

  Counters& counters() { return shared_->counters; }
  const Counters& counters() const { return shared_->counters; }

 private:
  struct Shared {
    AdminState admin = AdminState::kEnabled;
    uint32_t active = 0;
    Counters counters;

    ~Shared() { CHECK(active == 0); }
  };

  const Options options_;
  const std::string name_;
  HealthState health_;
  std::shared_ptr<Shared> shared_ = std::make_shared<Shared>();
};

}  // namespace fairlead::balance
