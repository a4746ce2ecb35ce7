// IdleConnections: connections to servers that wait for the next request, whoever's it is
// (`balance request`).
//
// Bounds: kMaxPerServer connections wait for one server, kMaxIdle long; what is more or older is
// closed. That a server has closed one is noticed when it is taken, or when its time is up.
#pragma once

#include <cstddef>
#include <optional>
#include <unordered_map>
#include <vector>

#include "base/time.h"
#include "service/switch/balance/server.h"
#include "socket/scheduler.h"
#include "socket/tcp_socket.h"

namespace fairlead::l7 {

class IdleConnections {
 public:
  static constexpr size_t kMaxPerServer = 256;
  static constexpr Duration kMaxIdle = seconds(20);  // below what servers usually grant

  explicit IdleConnections(Scheduler& scheduler) : scheduler_(scheduler) {}

  /// The one that waited shortest and is still good, if any.
  std::optional<TcpSocket> take(const balance::Server& server);
  void put(const balance::Server& server, TcpSocket socket);
  /// Closes those whose time is up. To be called about every second.
  void expire();
  /// Closes those of a server that is going away.
  void forget(const balance::Server& server) { waiting_.erase(&server); }

  /// Nothing was said on it and nobody closed it.
  static bool is_good(const TcpSocket& socket) {
    return socket.connection().state() == host::State::kEstablished && socket.unread() == 0 &&
           !socket.connection().unsent_or_unacked();
  }

 private:
  struct Waiting {
    TcpSocket socket;
    Time since;
  };

  Scheduler& scheduler_;
  std::unordered_map<const balance::Server*, std::vector<Waiting>> waiting_;
};

}  // namespace fairlead::l7
