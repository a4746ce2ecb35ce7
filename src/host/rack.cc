#include "host/rack.h"

#include <algorithm>

namespace fairlead::host {

void ReorderingWindow::on_dsack(SeqNum una, SeqNum nxt) {
  if (dsack_round_valid_ && una.before(dsack_round_)) return;
  dsack_round_ = nxt;
  dsack_round_valid_ = true;
  window_mult_ = static_cast<uint8_t>(std::min(window_mult_ + 1, 255));
  persist_ = kPersist;
}

void ReorderingWindow::on_recovery_end() {
  if (persist_ > 0 && --persist_ == 0) window_mult_ = 1;
}

Duration ReorderingWindow::get(const RttEstimator& rtt, bool dup_thresh_reached) const {
  if (!reordering_seen_ && dup_thresh_reached) return Duration::zero();
  return std::min<Duration>(rtt.min_rtt() / 4 * window_mult_, rtt.srtt());
}

void Rack::on_delivered(const SentRun& run, SeqNum end, Time now, const RttEstimator& rtt,
                        bool spurious, ReorderingWindow& window) {
  Duration sample = now - run.sent_at;
  if (!run.retransmitted) {
    // Step 3: something below the highest delivery arrives without having been sent again.
    if (valid_ && end.before(fack_)) window.on_reordering();
  } else if (spurious || sample < rtt.min_rtt()) {
    return;  // this acknowledges an earlier transmission
  }
  if (!valid_ || end.after(fack_)) fack_ = end;
  if (!valid_ || run.sent_at > sent_at_ || (run.sent_at == sent_at_ && end.after(end_))) {
    sent_at_ = run.sent_at;
    end_ = end;
    rtt_us_ = static_cast<uint32_t>(std::clamp<int64_t>(
        std::chrono::duration_cast<microseconds>(sample).count(), 0, 60'000'000));
  }
  valid_ = true;
}

std::optional<Time> Rack::detect_losses(SentList& list, Time now,
                                        Duration reordering_window) const {
  if (!valid_) return std::nullopt;
  std::optional<Time> earliest;
  Duration patience = microseconds(rtt_us_) + reordering_window;
  for (SentRun& run : list.runs()) {
    if (!run.in_flight() || !sent_before_latest(run)) continue;
    Time due = run.sent_at + patience;
    if (due <= now) {
      list.mark_lost(run);
    } else if (!earliest || due < *earliest) {
      earliest = due;
    }
  }
  return earliest;
}

}  // namespace fairlead::host
