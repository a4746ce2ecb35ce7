// Who aggregates, for bench/aggregate_bench.cc. What an interface did before and what a consumer
// does afterwards (frames put into memory, memory given back) is outside process().
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "base/time.h"

namespace fairlead::bench {

/// Frames of a burst: 64 in a shard's loop, too.
constexpr size_t kBurst = 64;
/// What a frame may wait: AgTimer, and for rte_gro as many bursts as come in this time.
constexpr Duration kLongestWait = microseconds(500);

class Peer {
 public:
  virtual ~Peer() = default;

  /// Memory for the i-th frame of the next burst, Traffic::kFrame bytes.
  virtual uint8_t* frame(size_t i) = 0;
  /// What is measured: a burst that came until `now`.
  virtual void process(Time now) = 0;
  /// Takes all that was sent, and says how many packets that was.
  virtual size_t collect() = 0;
};

/// Whether payload is looked at.
enum class Work : uint8_t {
  kHeaders,  // the interface verified the checksums, the consumer takes fragments
  kPayload,  // checksums are verified, and what is sent is contiguous
};

/// `flows` connections are all known at the same time.
std::unique_ptr<Peer> make_fairlead(Work work, size_t flows);

/// rte_gro_reassemble_burst(), which keeps nothing from burst to burst.
std::unique_ptr<Peer> make_rte_gro_burst(Work work);
/// rte_gro_reassemble() and rte_gro_timeout_flush().
std::unique_ptr<Peer> make_rte_gro_contexts(Work work);

/// Before the first of them. False: no environment for DPDK.
bool start_dpdk();
std::string dpdk_version();

}  // namespace fairlead::bench
