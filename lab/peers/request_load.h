// RequestLoad: many connections, a few at a time; on each some requests, each answered by an echo
// of the same bytes. Every request has bytes of its own, so that an answer to another one shows.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "lab/peers/content.h"
#include "lab/peers/poller.h"
#include "lab/peers/report.h"
#include "wire/address.h"

namespace fairlead::lab {

struct RequestOptions {
  enum class Close : uint8_t {
    kFin,
    kReset,
    kAfterServer,  // waits for the server's FIN, which comes once it has answered all requests
  };

  Endpoint server;
  uint64_t connections = 1;
  uint32_t concurrency = 1;
  uint64_t requests = 1;  // per connection
  uint32_t size = 64;     // bytes of a request, and of its answer
  Close close = Close::kFin;
  uint64_t seed = 1;
};

class RequestSlot;

class RequestLoad {
 public:
  RequestLoad(const RequestOptions& options, Poller& poller, Report& report);
  ~RequestLoad();

  void start();
  bool done() const { return running_ == 0; }
  /// Counts what is still under way, and what was never begun, as failed for that reason.
  void give_up(const std::string& why);

 private:
  friend class RequestSlot;

  RequestOptions options_;
  Poller& poller_;
  Report& report_;
  Content content_;
  uint64_t begun_ = 0;    // connections
  uint32_t running_ = 0;  // slots
  std::vector<std::byte> scratch_;
  std::vector<std::unique_ptr<RequestSlot>> slots_;
};

}  // namespace fairlead::lab
