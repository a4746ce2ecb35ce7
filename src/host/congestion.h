// Congestion control: how much may be in flight (RFC 5681), behind one small interface.
//
// CongestionControl owns cwnd and ssthresh, slow start, restart after idle and the undo of a
// reduction that proved spurious. What differs between algorithms is growth in congestion avoidance
// and the factor of decrease; that part is NewReno or Cubic. Until the first slow start ends, which
// HyStart++ watches over, neither has anything to remember: one place holds whichever is at work.
//
// Loss detection and recovery are not here: Sender tells on_congestion_event() once per recovery
// episode, and during recovery proportional rate reduction, not this class, meters the sending.
#pragma once

#include <algorithm>
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
  void on_idle(Duration idle) { epoch_start_ += to_ms(idle); }  // §4.2: idle time does not count
  void on_timeout() { in_epoch_ = false; }

 private:
  static uint32_t to_ms(Duration d) { return static_cast<uint32_t>(d / milliseconds(1)); }

  uint32_t epoch_start_ = 0;  // of the current congestion avoidance stage, ms, modulo 2^32
  float w_max_ = 0;           // window just before the last reduction
  float k_ = 0;               // seconds from epoch_start_ until the cubic reaches w_max_
  float w_est_ = 0;           // what Reno would have
  float cwnd_prior_ = 0;
  float fraction_ = 0;  // bytes of growth not yet added to cwnd
  bool in_epoch_ = false;
};

class CongestionControl {
 public:
  /// Initial window: RFC 6928, ten segments, at most max(2 MSS, 14,600 bytes).
  void start(CongestionAlgorithm algorithm, uint32_t mss, SeqNum nxt);
  static uint32_t initial_window(uint32_t mss) {
    return std::min(10 * mss, std::max(2 * mss, uint32_t{14600}));
  }

  uint32_t cwnd() const { return cwnd_; }
  uint32_t ssthresh() const { return ssthresh_; }
  bool in_slow_start() const { return cwnd_ < ssthresh_; }
  CongestionAlgorithm algorithm() const { return algorithm_; }

  /// The path's segment size changed. The window never is less than one: nothing could be sent, and
  /// no ACK would come to make it grow.
  void set_mss(uint32_t mss) {
    mss_ = mss;
    cwnd_ = std::max(cwnd_, mss);
  }

  /// An ACK outside recovery.
  void on_ack(const AckSample& ack);

  /// Loss found by (S)ACKs, or an ECN echo. Once per episode. `flight`: bytes outstanding.
  void on_congestion_event(uint32_t flight);
  /// A retransmission timeout; `first`: not a repeated one for the same segment.
  void on_timeout(uint32_t flight, bool first);
  /// Recovery is over: the window continues from ssthresh.
  void on_recovery_exit();
  /// The last reduction answered reordering or delay, not loss (RFC 4015): takes it back.
  void undo(SeqNum nxt);
  /// Nothing was sent for `idle` > RTO: restart from the initial window (RFC 5681 §4.1).
  void on_idle(Duration idle, SeqNum nxt);

 private:
  static constexpr uint32_t kInfinite = 0x7fffffff;
  static constexpr uint32_t kMaxWindow = 1u << 30;  // RFC 7323 §2.3: no peer offers more
  void leave_first_slow_start();
  /// Calls f(NewReno& or Cubic&). Precondition: the first slow start is over.
  template <typename F>
  auto with_algorithm(F f) {
    if (algorithm_ == CongestionAlgorithm::kNewReno) return f(std::get<NewReno>(growth_));
    return f(std::get<Cubic>(growth_));
  }

  uint32_t cwnd_ = 0;
  uint32_t ssthresh_ = kInfinite;
  uint32_t mss_ = 536;
  uint32_t undo_cwnd_ = 0;  // 0: nothing to undo
  uint32_t undo_ssthresh_ = 0;
  std::variant<HyStart, NewReno, Cubic> growth_{
      HyStart(SeqNum())};  // HyStart iff ssthresh_ is infinite
  CongestionAlgorithm algorithm_ = CongestionAlgorithm::kCubic;
};

}  // namespace fairlead::host
