// HyStart++ (RFC 9406): leaves slow start when the RTT begins to rise, before packets are lost.
//
// Round by round the smallest RTT is compared with the last round's. A rise by more than a
// threshold starts Conservative Slow Start, in which the window grows a quarter as fast; after five
// such rounds slow start ends. If the RTT falls again, the rise was noise and slow start goes on.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>

#include "base/seq_num.h"
#include "base/time.h"

namespace fairlead::host {

class HyStart {
 public:
  /// A slow start begins; its first round ends when `round_end` (snd.nxt) is acknowledged.
  explicit HyStart(SeqNum round_end) : round_end_(round_end) {}

  /// One ACK in slow start. `rtt` is zero when this ACK gave no sample.
  void on_ack(SeqNum ack, SeqNum nxt, Duration rtt) {
    if (rtt > Duration::zero()) {
      auto us = static_cast<uint32_t>(std::chrono::duration_cast<microseconds>(rtt).count());
      round_min_us_ = std::min(round_min_us_, us);
      samples_ = static_cast<uint8_t>(std::min(samples_ + 1, 255));
    }
    if (samples_ >= kRttSamples && round_min_us_ != kNone && last_round_min_us_ != kNone) {
      uint32_t threshold =
          std::clamp(last_round_min_us_ / kRttDivisor, kMinThresholdUs, kMaxThresholdUs);
      if (css_rounds_ == 0 && round_min_us_ >= last_round_min_us_ + threshold) {
        css_rounds_ = 1;
        css_baseline_us_ = round_min_us_;
      } else if (css_rounds_ != 0 && round_min_us_ < css_baseline_us_) {
        css_rounds_ = 0;  // RFC 9406 §4.3: the rise was spurious
      }
    }
    if (ack.after(round_end_)) {
      last_round_min_us_ = round_min_us_;
      round_min_us_ = kNone;
      samples_ = 0;
      round_end_ = nxt;
      if (css_rounds_ != 0) ++css_rounds_;
    }
  }

  /// True when the window should grow a quarter as fast (Conservative Slow Start).
  bool conservative() const { return css_rounds_ != 0; }
  /// True when slow start should end.
  bool finished() const { return css_rounds_ > kCssRounds; }

  static constexpr uint32_t kCssGrowthDivisor = 4;

 private:
  // RFC 9406 §4.3, recommended values.
  static constexpr uint32_t kMinThresholdUs = 4000;
  static constexpr uint32_t kMaxThresholdUs = 16000;
  static constexpr uint32_t kRttDivisor = 8;
  static constexpr uint8_t kRttSamples = 8;
  static constexpr uint8_t kCssRounds = 5;
  static constexpr uint32_t kNone = std::numeric_limits<uint32_t>::max();

  uint32_t last_round_min_us_ = kNone;
  uint32_t round_min_us_ = kNone;
  uint32_t css_baseline_us_ = kNone;
  SeqNum round_end_;
  uint8_t samples_ = 0;
  uint8_t css_rounds_ = 0;  // 0: plain slow start
};

}  // namespace fairlead::host
