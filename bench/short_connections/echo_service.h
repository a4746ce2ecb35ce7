// EchoService: sends back what comes, and closes after so many bytes of a connection. The
// application whose host core is measured.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "base/result.h"
#include "host/config.h"
#include "socket/tcp_socket.h"

namespace fairlead::bench {

class EchoService {
 public:
  struct Options {
    Endpoint endpoint;
    /// Of a connection: then it is closed. SIZE_MAX: when the client closes.
    size_t bytes = SIZE_MAX;
    host::ListenOptions listen;
  };

  /// Errors of Stack::listen(). Serves until it is destroyed, or the scheduler is.
  static Result<std::unique_ptr<EchoService>> start(Runtime runtime, const Options& options);

 private:
  EchoService(Runtime runtime, size_t bytes) : runtime_(runtime), bytes_(bytes) {}
  Task<void> accept_all();
  Task<void> serve(TcpSocket socket);

  Runtime runtime_;
  size_t bytes_;
  std::unique_ptr<TcpListener> listener_;
};

}  // namespace fairlead::bench
