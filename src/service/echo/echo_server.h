// EchoServer: the echo (RFC 862), discard (RFC 863) and chargen (RFC 864) services. The first
// service: it exercises accept, both directions, half-close and flow control, and measures them.
#pragma once

#include <cstdint>
#include <memory>

#include "base/result.h"
#include "host/config.h"
#include "socket/tcp_socket.h"

namespace fairlead {

class EchoServer {
 public:
  enum class Mode : uint8_t { kEcho, kDiscard, kChargen };

  struct Options {
    Endpoint endpoint;
    Mode mode = Mode::kEcho;
    uint64_t limit = UINT64_MAX;  // echo: closes when it has sent back so many bytes
    host::ListenOptions listen;
  };
  struct Counters {
    uint64_t connections = 0;
    uint64_t refused = 0;  // no room for one more task: reset
    uint64_t failed = 0;   // ended by an error
    uint64_t bytes_in = 0;
    uint64_t bytes_out = 0;
  };

  /// Listens, and serves until it is destroyed or the scheduler is. Errors of Stack::listen().
  static Result<std::unique_ptr<EchoServer>> start(Runtime runtime, const Options& options);

  const Counters& counters() const { return counters_; }

 private:
  EchoServer(Runtime runtime, const Options& options)
      : runtime_(runtime), mode_(options.mode), limit_(options.limit) {}

  Task<void> accept_all();
  Task<void> serve(TcpSocket socket);
  Task<Result<void>> echo(TcpSocket& socket);
  Task<Result<void>> discard(TcpSocket& socket);
  Task<Result<void>> chargen(TcpSocket& socket);

  Runtime runtime_;
  Mode mode_;
  uint64_t limit_;
  std::unique_ptr<TcpListener> listener_;
  Counters counters_;
};

}  // namespace fairlead
