// MetricsServer: answers GET /metrics on a socket of the kernel, so that it works when the host
// stack does not.
//
// Threads of its own: one that accepts and kWorkers that answer, one request per connection. When
// all are busy further clients wait in the kernel's listen queue (of 5), and who says nothing for
// kPatience is let go.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "base/result.h"
#include "base/time.h"
#include "wire/address.h"

namespace httplib {
class Server;
}

namespace fairlead::control {

class MetricsServer {
 public:
  static constexpr size_t kWorkers = 4;
  static constexpr Duration kPatience = seconds(5);

  /// The text, or why there is none now (then the answer is 503). Called on any worker.
  using Collect = std::function<Result<std::string>()>;

  /// An error names the address.
  static Result<std::unique_ptr<MetricsServer>> open(const Endpoint& endpoint, Collect collect);
  /// Waits for workers that are busy: about kPatience.
  ~MetricsServer();
  MetricsServer(const MetricsServer&) = delete;
  MetricsServer& operator=(const MetricsServer&) = delete;

 private:
  explicit MetricsServer(Collect collect);

  const Collect collect_;
  std::unique_ptr<httplib::Server> server_;
  std::thread thread_;
};

}  // namespace fairlead::control
