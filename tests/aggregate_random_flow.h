// Random traffic for an Aggregator, a pure function of its seed.
#pragma once

#include <vector>

#include "base/random.h"
#include "tests/aggregate_harness.h"

namespace fairlead::test {

/// One connection's traffic, with everything that may happen to it.
class RandomFlow {
 public:
  /// Of different numbers two may have the same ports, or tags.
  RandomFlow(Rng rng, uint16_t number);
  FrameSpec next();

 private:
  FrameSpec take_late();
  FrameSpec make();

  Rng rng_;
  Sender sender_;
  std::vector<uint16_t> tags_;
  size_t mss_;
  bool with_timestamps_;
  double trouble_;
  uint32_t clock_ = 0xffff'ff00;
  std::vector<FrameSpec> late_;
};

/// Small tables, so that their bounds are reached.
nic::AggregateConfig random_config(Rng& rng);

}  // namespace fairlead::test
