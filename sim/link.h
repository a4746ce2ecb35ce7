// Link: one direction of a wire with all that can go wrong on it.
//
//   send ─▶ loss, corruption ─▶ [queue, bound] ─▶ serialisation at `rate` ─▶ delay, jitter,
//           duplication                                                       reordering ─▶ deliver
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "base/random.h"
#include "sim/simulator.h"

namespace fairlead::sim {

struct LinkOptions {
  Duration delay = milliseconds(1);
  Duration jitter{};             // uniform, on top of delay; keeps order only if zero
  double bits_per_second = 0;    // 0: no limit
  size_t queue_bytes = 1 << 20;  // waiting to be serialised; beyond it frames are dropped
  size_t mark_bytes = 0;         // queue above it: ECN-capable packets are marked CE; 0: never
  double loss = 0;               // of 1
  double burst_start = 0;        // Gilbert-Elliott: chance per frame that a burst begins ...
  double burst_length = 0;       // ... and its mean length in frames, all lost
  double reorder = 0;            // share of frames that take reorder_delay more
  Duration reorder_delay = milliseconds(2);
  double duplicate = 0;
  double corrupt = 0;  // one bit flipped behind the Ethernet header
  size_t mtu = 0;      // 0: none; larger IP packets vanish (a black hole)
};

struct LinkCounters {
  uint64_t sent = 0;
  uint64_t delivered = 0;
  uint64_t lost = 0;
  uint64_t queue_full = 0;
  uint64_t corrupted = 0;
  uint64_t duplicated = 0;
  uint64_t marked = 0;
  uint64_t too_big = 0;
};

class Link {
 public:
  using Frame = std::vector<uint8_t>;
  using Deliver = std::function<void(Frame)>;

  Link(Simulator& simulator, const LinkOptions& options, Deliver deliver)
      : simulator_(simulator),
        options_(options),
        deliver_(std::move(deliver)),
        rng_(simulator.fork_rng()) {}

  void send(Frame frame);
  const LinkCounters& counters() const { return counters_; }
  LinkOptions& options() { return options_; }

 private:
  bool lost();
  void transfer(Frame frame);

  Simulator& simulator_;
  LinkOptions options_;
  Deliver deliver_;
  Rng rng_;
  LinkCounters counters_;
  Time free_at_{};  // when the last frame will be serialised
  bool in_burst_ = false;
};

}  // namespace fairlead::sim
