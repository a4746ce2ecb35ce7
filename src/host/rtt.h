// RttEstimator: smoothed round-trip time and retransmission timeout (RFC 6298), and the windowed
// minimum RTT that RACK wants (RFC 8985 §6.1).
//
// Deviation: the lower bound of the RTO is 200 ms where RFC 6298 (2.4) says 1 s. Every current
// stack does so; tail loss probes make most of these timeouts unnecessary anyway.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/time.h"

namespace fairlead::host {

class RttEstimator {
 public:
  static constexpr Duration kMinRto = milliseconds(200);
  static constexpr Duration kMaxRto = seconds(60);       // RFC 6298 (2.5)
  static constexpr Duration kInitialRto = seconds(1);    // RFC 6298 (2.1)
  static constexpr Duration kMinRttWindow = minutes(5);  // a route change shows after this long

  bool has_sample() const { return srtt_us_ != 0; }
  Duration srtt() const { return microseconds(srtt_us_); }
  Duration variation() const { return microseconds(rttvar_us_); }
  Duration min_rtt() const { return microseconds(min_rtt_us_); }

  /// The timeout, doubled once per back_off() since the last sample (RFC 6298 (5.5)).
  Duration rto() const {
    Duration base = kInitialRto;
    if (has_sample()) {
      base =
          std::max<Duration>(kMinRto, srtt() + std::max<Duration>(kGranularity, 4 * variation()));
    } else if (handshake_timed_out_) {
      base = seconds(3);  // RFC 6298 (5.7)
    }
    return std::min<Duration>(kMaxRto, base * (int64_t{1} << std::min<unsigned>(backoff_, 10)));
  }

  void sample(Duration rtt, Time now) {
    auto us = static_cast<int32_t>(
        std::clamp<int64_t>(std::chrono::duration_cast<microseconds>(rtt).count(), 1, 600'000'000));
    if (srtt_us_ == 0) {
      srtt_us_ = us;
      rttvar_us_ = us / 2;
    } else {
      int32_t error = us - srtt_us_;
      rttvar_us_ += ((error < 0 ? -error : error) - rttvar_us_) / 4;
      srtt_us_ = std::max(1, srtt_us_ + error / 8);
    }
    const auto now_s = static_cast<uint32_t>(now.time_since_epoch() / seconds(1));
    if (min_rtt_us_ == 0 || us <= min_rtt_us_ || seconds(now_s - min_rtt_at_s_) > kMinRttWindow) {
      min_rtt_us_ = us;
      min_rtt_at_s_ = now_s;
    }
    backoff_ = 0;
  }

  void back_off() { backoff_ = static_cast<uint8_t>(std::min(backoff_ + 1, 16)); }
  void reset_backoff() { backoff_ = 0; }
  unsigned backoff() const { return backoff_; }
  void note_handshake_timeout() { handshake_timed_out_ = true; }

 private:
  static constexpr Duration kGranularity = milliseconds(1);

  int32_t srtt_us_ = 0;
  int32_t rttvar_us_ = 0;
  int32_t min_rtt_us_ = 0;
  uint32_t min_rtt_at_s_ = 0;  // seconds, modulo 2^32
  uint8_t backoff_ = 0;
  bool handshake_timed_out_ = false;
};

}  // namespace fairlead::host
