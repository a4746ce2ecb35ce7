// Traffic for receive aggregation: what a 10 Gbit/s link carries of many bulk TCP connections.
//
// Frames are IPv4 of 1500 bytes with timestamps, as Linux sends them. A connection's ACK does not
// change, its IP ID counts, its TSval is the millisecond.
#pragma once

#include <cstdint>
#include <vector>

#include "base/random.h"
#include "base/time.h"

namespace fairlead::bench {

struct TrafficOptions {
  enum class Pattern : uint8_t {
    /// After one segment of each, sixteen connections at a time send a train of 2 to 45 segments
    /// each, the last with PSH,
    /// interleaved one to four segments at a time; which ones is random.
    kTrains,
    /// Every connection in its turn sends one segment.
    kRoundRobin,
  };

  uint32_t flows = 1;
  Pattern pattern = Pattern::kTrains;
};

class Traffic {
 public:
  static constexpr size_t kFrame = 14 + 1500;
  /// A frame with preamble, check sequence and gap, at 10 Gbit/s.
  static constexpr Duration kInterval = nanoseconds(1230);

  explicit Traffic(const TrafficOptions& options);

  Time now() const { return now_; }
  /// Writes the next frame, of kFrame bytes.
  void next(uint8_t* frame);

 private:
  struct Flow {
    uint32_t seq = 0;
    uint16_t ip_id = 0;
  };
  struct Train {
    uint32_t flow = 0;
    uint32_t left = 0;  // segments
  };

  uint32_t pick(bool& push);
  void write(uint8_t* frame, uint32_t flow, bool push);

  TrafficOptions options_;
  Rng rng_{1};
  Time now_{seconds(1)};
  std::vector<Flow> flows_;
  std::vector<Train> trains_;
  std::vector<uint8_t> template_;
  size_t active_ = 0;      // of trains_, the one that sends
  uint32_t in_a_row_ = 0;  // segments that are left to it
  uint32_t turn_ = 0;
  uint32_t begun_ = 0;  // connections that have sent something
};

}  // namespace fairlead::bench
