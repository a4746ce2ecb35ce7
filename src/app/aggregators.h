// Aggregators: the configuration's `aggregator { … }` blocks, each a thread with its two ports.
#pragma once

#include <memory>
#include <thread>
#include <vector>

#include "base/result.h"
#include "control/config/config.h"
#include "control/socket/protocol.h"
#include "service/aggregator/bump.h"

namespace fairlead::app {

class Aggregators {
 public:
  /// Opens the ports. An error names the interface.
  static Result<std::unique_ptr<Aggregators>> open(
      const std::vector<control::AggregatorConfig>& configs);
  /// Stops.
  ~Aggregators();
  Aggregators(const Aggregators&) = delete;
  Aggregators& operator=(const Aggregators&) = delete;

  /// From here on packets go through. Once.
  void start();

  /// Of each: interfaces, ratio, delay, counters. Any thread.
  control::Json describe() const;

 private:
  struct Member {
    control::AggregatorConfig config;
    std::unique_ptr<Bump> bump;
    std::thread thread;
  };

  Aggregators() = default;

  std::vector<Member> members_;
};

}  // namespace fairlead::app
