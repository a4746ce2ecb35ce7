// RACK: time-based loss detection (RFC 8985 §6). A run is lost when something sent after it was
// delivered and the reordering window has passed since.
//
// Rack is about what is outstanding; ReorderingWindow is what the connection has learnt about its
// path and keeps. Tail loss probes (§7) are Sender's timers; what they learn about reordering
// (D-SACK) ends here.
#pragma once

#include <optional>

#include "base/seq_num.h"
#include "base/time.h"
#include "host/rtt.h"
#include "host/sent_list.h"

namespace fairlead::host {

/// RACK.reo_wnd and its adaptation (§6.2 step 4).
class ReorderingWindow {
 public:
  /// A D-SACK arrived: at most one widening of the window per round trip.
  void on_dsack(SeqNum una, SeqNum nxt);
  /// Recovery ended or a timeout struck: a wide window narrows again after 16 recoveries.
  void on_recovery_end();
  /// Something was delivered out of order.
  void on_reordering() { reordering_seen_ = true; }

  /// How long to wait for what may only be late. `dup_thresh_reached`: three segments SACKed, or
  /// already in recovery, so that without reordering seen there is no reason to wait.
  Duration get(const RttEstimator& rtt, bool dup_thresh_reached) const;

 private:
  static constexpr uint8_t kPersist = 16;  // recoveries; RFC 8985 §6.2 step 4

  SeqNum dsack_round_;
  uint8_t window_mult_ = 1;
  uint8_t persist_ = kPersist;
  bool reordering_seen_ = false;
  bool dsack_round_valid_ = false;
};

class Rack {
 public:
  /// A run was delivered up to `end` (acknowledged or SACKed for the first time); §6.2 steps 2, 3.
  /// `spurious`: the timestamp echo shows that the original arrived, not the retransmission.
  void on_delivered(const SentRun& run, SeqNum end, Time now, const RttEstimator& rtt,
                    bool spurious, ReorderingWindow& window);

  /// Marks lost what should have arrived by now. Returns when the next run would become lost if
  /// nothing more is heard, if any. §6.2 step 5.
  std::optional<Time> detect_losses(SentList& list, Time now, Duration reordering_window) const;

  /// RACK.rtt: of the most recently sent run that was delivered; the smoothed one before that.
  Duration latest_rtt(const RttEstimator& rtt) const {
    return valid_ ? Duration(microseconds(rtt_us_)) : rtt.srtt();
  }

 private:
  bool sent_before_latest(const SentRun& run) const {
    return run.sent_at < sent_at_ || (run.sent_at == sent_at_ && run.end().before(end_));
  }

  Time sent_at_{};  // RACK.xmit_ts: of the most recently sent run that was delivered
  SeqNum end_;      // RACK.end_seq: its end
  SeqNum fack_;     // highest sequence delivered
  uint32_t rtt_us_ = 0;
  bool valid_ = false;  // something was delivered
};

}  // namespace fairlead::host
