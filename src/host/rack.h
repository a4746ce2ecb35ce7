// RACK: time-based loss detection (RFC 8985 §6). A run is lost when something sent after it was
// delivered and the reordering window has passed since.
//
// Tail loss probes (§7) are Sender's timers; what they learn about reordering (D-SACK) ends here.
#pragma once

#include <optional>

#include "base/seq_num.h"
#include "base/time.h"
#include "host/rtt.h"
#include "host/sent_list.h"

namespace fairlead::host {

class Rack {
 public:
  /// A run was delivered (acknowledged or SACKed for the first time); §6.2 steps 2 and 3.
  /// `spurious`: the timestamp echo shows that the original arrived, not the retransmission.
  void on_delivered(const SentRun& run, Time now, const RttEstimator& rtt, bool spurious);

  /// A D-SACK arrived: at most one widening of the window per round trip (§6.2 step 4).
  void on_dsack(SeqNum una, SeqNum nxt);
  /// Recovery ended or a timeout struck: a wide window narrows again after 16 recoveries.
  void on_recovery_end();

  /// Marks lost what should have arrived by now. Returns when the next run would become lost if
  /// nothing more is heard, if any. §6.2 step 5. `dup_thresh_reached`: three segments SACKed, or
  /// already in recovery, so that without reordering seen there is no reason to wait.
  std::optional<Time> detect_losses(SentList& list, Time now, const RttEstimator& rtt,
                                    bool dup_thresh_reached);

  bool reordering_seen() const { return reordering_seen_; }
  Duration latest_rtt() const { return microseconds(rtt_us_); }
  /// §6.2: recent delivery's send time, for timeouts (§6.3).
  Duration reordering_window(const RttEstimator& rtt, bool dup_thresh_reached) const;

 private:
  static constexpr uint8_t kPersist = 16;  // recoveries; RFC 8985 §6.2 step 4

  bool sent_before_latest(const SentRun& run) const {
    return run.sent_at < sent_at_ || (run.sent_at == sent_at_ && run.end().before(end_));
  }

  Time sent_at_{};  // RACK.xmit_ts: of the most recently sent run that was delivered
  SeqNum end_;      // RACK.end_seq: its end
  SeqNum fack_;     // highest sequence delivered
  SeqNum dsack_round_;
  uint32_t rtt_us_ = 0;  // RACK.rtt
  uint8_t window_mult_ = 1;
  uint8_t persist_ = kPersist;
  bool valid_ = false;
  bool reordering_seen_ = false;
  bool dsack_round_valid_ = false;
};

}  // namespace fairlead::host
