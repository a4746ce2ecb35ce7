// A world for nic::Teardown: clients on a host stack, adverse links, and a server that does nothing
// but hand its connections over.
//
//   client host ◀── link ──▶ [ SYN: SYN-ACK │ request: read, acknowledged │ handed over ]
//   (host::Stack)                                                           └─▶ Teardown
//
// A run is a pure function of its seed.
#pragma once

#include <cstdint>
#include <string>

#include "nic/teardown/teardown_counters.h"

namespace fairlead::sim {

struct TeardownWorldResult {
  std::string failure;       // empty: every check held
  uint64_t hash = 0;         // two runs of a seed have the same
  uint64_t connections = 0;  // that asked
  uint64_t taken = 0;        // handed over
  uint64_t delivered = 0;    // answers that arrived whole, with their end
  uint64_t bytes = 0;        // of these
  nic::TeardownCounters counters;
};

/// Checks, per connection: a client that reads sees exactly the answer's bytes, or a prefix and a
/// named error; it has all of them when the report says closed. In the end no flow, timer or held
/// byte is left, and each hand-over has had one report.
TeardownWorldResult run_teardown_world(uint64_t seed);

}  // namespace fairlead::sim
