// HealthChecker: asks one server again and again how it is.
#pragma once

#include <string>

#include "host/config.h"
#include "service/switch/balance/server.h"
#include "service/switch/core/options.h"
#include "socket/fork.h"
#include "socket/tcp_socket.h"

namespace fairlead::l7 {

struct SharedState;

class HealthChecker {
 public:
  struct Subject {
    std::string pool;  // for the event log
    balance::Server& server;
  };

  /// Begins at once, and ends when it is destroyed.
  HealthChecker(SharedState& shared, Subject subject, HealthCheck check,
                const host::SocketOptions& socket);

 private:
  Task<bool> run();
  /// One check: the empty string, or what was wrong.
  Task<Result<std::string>> check();
  Task<Result<std::string>> ask(TcpSocket& socket);
  void report(std::string_view problem);

  SharedState& shared_;
  Subject subject_;
  HealthCheck check_;
  host::SocketOptions socket_;
  std::string request_;
  Fork<bool> run_;
};

}  // namespace fairlead::l7
