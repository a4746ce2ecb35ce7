// Congestion control: how much may be in flight (RFC 5681), behind one small interface.
//
// CongestionControl owns cwnd and ssthresh, slow start (with HyStart++), restart after idle and the
// undo of a reduction that proved spurious. What differs between algorithms is growth in congestion
// avoidance and the factor of decrease; that part is NewReno or Cubic, held by value.
//
// Loss detection and recovery are not here: Sender tells on_congestion_event() once per recovery
// episode, and during recovery proportional rate reduction, not this class, meters the sending.
#pragma once

#include <cstdint>
#include <variant>

#include "base/seq_num.h"
#include "base/time.h"
#include "host/config.h"
#include "host/hystart.h"

namespace fairlead::host {

/// What an ACK says that congestion control needs. Bytes and times.
struct AckSample {
  uint32_t acked = 0;         // bytes newly delivered
  bool cwnd_limited = false;  // the window, not the application, was what held sending back
  SeqNum ack;
  SeqNum nxt;
  Duration rtt{};  // of this ACK; zero when there was no valid sample
  Duration srtt{};
  Time now;
};

/// RFC 5681 §3.1, 6582: one MSS per window and RTT; half on congestion.
class NewReno {
 public:
  uint32_t grow(uint32_t cwnd, uint32_t mss, const AckSample& ack);
  uint32_t reduce(uint32_t cwnd, uint32_t flight, uint32_t mss);
  void on_idle(Duration) {}
  void on_timeout() { acked_ = 0; }

 private:
  uint32_t acked_ = 0;  // bytes towards the next MSS of growth
};

/// RFC 9438. Window sizes in segments, times in seconds, as the RFC has them.
class Cubic {
 public:
  uint32_t grow(uint32_t cwnd, uint32_t mss, const AckSample& ack);
  uint32_t reduce(uint32_t cwnd, uint32_t flight, uint32_t mss);
  void on_idle(Duration idle) {
    if (epoch_start_ != Time{}) epoch_start_ += idle;  // §4.2: idle time does not count
  }
  void on_timeout() { epoch_start_ = Time{}; }

 private:
  Time epoch_start_{};  // of the current congestion avoidance stage; Time{}: none yet
  float w_max_ = 0;     // window just before the last reduction
  float k_ = 0;         // seconds from epoch_start_ until the cubic reaches w_max_
  float w_est_ = 0;     // what Reno would have
  float cwnd_prior_ = 0;
  float fraction_ = 0;  // bytes of growth not yet added to cwnd
};

class CongestionControl {
 public:
  /// Initial window: RFC 6928, ten segments, at most max(2 MSS, 14,600 bytes).
  void start(CongestionAlgorithm algorithm, uint32_t mss, SeqNum nxt);

  uint32_t cwnd() const { return cwnd_; }
  uint32_t ssthresh() const { return ssthresh_; }
  bool in_slow_start() const { return cwnd_ < ssthresh_; }
  CongestionAlgorithm algorithm() const {
    return std::holds_alternative<Cubic>(algorithm_) ? CongestionAlgorithm::kCubic
                                                     : CongestionAlgorithm::kNewReno;
  }

  /// The path's segment size changed.
  void set_mss(uint32_t mss) { mss_ = mss; }

  /// An ACK outside recovery.
  void on_ack(const AckSample& ack);

  /// Loss found by (S)ACKs, or an ECN echo. Once per episode. `flight`: bytes outstanding.
  void on_congestion_event(uint32_t flight);
  /// A retransmission timeout; `first`: not a repeated one for the same segment.
  void on_timeout(uint32_t flight, bool first);
  /// Recovery is over: the window continues from ssthresh.
  void on_recovery_exit();
  /// The last reduction answered reordering or delay, not loss (RFC 4015): takes it back.
  void undo();
  /// Nothing was sent for `idle` > RTO: restart from the initial window (RFC 5681 §4.1).
  void on_idle(Duration idle, SeqNum nxt);

 private:
  static constexpr uint32_t kInfinite = 0x7fffffff;
  uint32_t initial_window() const;

  uint32_t cwnd_ = 0;
  uint32_t ssthresh_ = kInfinite;
  uint32_t mss_ = 536;
  uint32_t undo_cwnd_ = 0;  // 0: nothing to undo
  uint32_t undo_ssthresh_ = 0;
  HyStart hystart_;
  std::variant<Cubic, NewReno> algorithm_;
};

}  // namespace fairlead::host
