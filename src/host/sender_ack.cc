// The send side's half of "an ACK arrives" (RFC 9293 §3.10.7.4, fifth step): scoreboard, RTT, loss
// detection, congestion response, in that order.
#include <algorithm>

#include "host/sender.h"

namespace fairlead::host {

struct Sender::AckWork {
  Time now;
  uint32_t prior_flight = 0;
  uint32_t delivered = 0;  // bytes acknowledged or SACKed for the first time
  uint32_t inferred = 0;   // bytes a duplicate ACK without SACK stands for (RFC 6937 §3)
  uint32_t newly_lost = 0;
  Duration rtt{};  // newest sample from runs sent once; zero if none
  bool advanced = false;
  bool spurious_echo = false;  // TSecr is older than the first retransmission of this episode
};

AckOutcome Sender::on_ack(const Segment& segment, std::optional<uint32_t> ts_now, Time now,
                          Resources& res) {
  AckWork work;
  work.now = now;
  work.prior_flight = in_flight();
  work.advanced = segment.ack.after(snd_.una);
  if (ts_now && segment.options.timestamps) {
    uint32_t echo = segment.options.timestamps->echo;
    work.spurious_echo =
        retransmitted_ts_valid_ && static_cast<int32_t>(echo - first_retransmit_ts_) < 0;
  }
  bool was_limited = cwnd_limited_ || (cc_.in_slow_start() && 2 * work.prior_flight >= cc_.cwnd());

  if (sack_ && segment.options.sack_count > 0) take_sacks(segment, work, res);
  AckOutcome outcome;
  if (work.advanced) {
    take_cumulative(segment.ack, work, res);
    outcome.fin_acked = fin_queued_ && snd_.una == end();
    timeouts_ = 0;
    restart_retransmit_ = true;
    rtt_.reset_backoff();
    cwnd_limited_ = false;
    outcome.room = true;
  }
  // A peer that answers with a closed window is alive (RFC 9293 §3.8.6.1).
  if (work.advanced || snd_.wnd == 0) progress_at_ = now;
  sample_rtt(segment, ts_now, work);
  detect_losses(segment, work, res);

  if (probe_sent_ && segment.ack.at_or_after(probe_end_)) {
    // RFC 8985 §7.4: a retransmitted probe that was needed repaired a loss nobody else saw.
    // (A D-SACK for it would have cleared probe_sent_.)
    if (!probe_was_new_ && phase_ == Phase::kOpen && !work.spurious_echo) {
      cc_.on_congestion_event(work.prior_flight);
      cc_.on_recovery_exit();
    }
    probe_sent_ = false;
  }
  undo_if_spurious(segment, work, res);
  end_phase(work);
  if (phase_ == Phase::kRecovery) {
    reduce_proportionally(work);
  } else if (work.delivered > 0) {
    cc_.on_ack({.acked = work.delivered,
                .cwnd_limited = was_limited || phase_ == Phase::kLoss,
                .ack = segment.ack,
                .nxt = snd_.nxt,
                .rtt = work.rtt,
                .srtt = rtt_.srtt(),
                .now = now});
  }
  if (work.delivered > 0) restart_probe_ = true;
  outcome.delivered = work.delivered;
  outcome.advanced = work.advanced;
  return outcome;
}

void Sender::deliver(SentRun& run, uint32_t bytes, AckWork& work) {
  work.delivered += bytes;
  rack_.on_delivered(run, work.now, rtt_, run.retransmitted && work.spurious_echo);
  if (!run.retransmitted) {
    Duration rtt = work.now - run.sent_at;
    if (work.rtt == Duration::zero() || rtt < work.rtt)
      work.rtt = std::max<Duration>(rtt, Duration(1));
  }
}

void Sender::take_sacks(const Segment& segment, AckWork& work, Resources& res) {
  for (unsigned i = 0; i < segment.options.sack_count; ++i) {
    SeqNum left = segment.options.sack[i].left;
    SeqNum right = segment.options.sack[i].right;
    bool below = right.at_or_before(segment.ack);
    bool inside_next = i == 0 && segment.options.sack_count > 1 &&
                       left.at_or_after(segment.options.sack[1].left) &&
                       right.at_or_before(segment.options.sack[1].right);
    if (i == 0 && (below || inside_next)) {  // RFC 2883 §4
      on_dsack(res);
      continue;
    }
    // RFC 2018 §5 blocks lie between what is acknowledged and what was sent; others are noise.
    if (!left.before(right) || left.before(snd_.una) || right.after(snd_.nxt)) continue;
    if (left.before(segment.ack)) continue;
    for (SentRun& run : sent_.runs()) {
      if (run.end().at_or_before(left)) continue;
      if (run.start.at_or_after(right)) break;
      if (run.sacked) continue;
      if (run.start.before(left)) {
        sent_.split(run, left, res.runs);  // the part inside comes next
        continue;
      }
      if (run.end().after(right) && !sent_.split(run, right, res.runs)) continue;
      deliver(run, run.size, work);
      sent_.mark_sacked(run);
    }
  }
}

void Sender::take_cumulative(SeqNum ack, AckWork& work, Resources& res) {
  while (!sent_.empty() && sent_.runs().front().start.before(ack)) {
    SentRun& run = sent_.runs().front();
    uint32_t bytes =
        run.end().at_or_before(ack) ? run.size : static_cast<uint32_t>(ack - run.start);
    if (!run.sacked) deliver(run, bytes, work);
    sent_.acknowledge_front(ack, res.runs);
  }
  snd_.una = ack;
  SeqNum data_ack = min(ack, queue_.end());  // without the FIN's octet
  if (data_ack.after(queue_.first())) queue_.drop_before(data_ack, res.chunks);
}

void Sender::sample_rtt(const Segment& segment, std::optional<uint32_t> ts_now, AckWork& work) {
  if (work.rtt > Duration::zero()) {
    rtt_.sample(work.rtt, work.now);
  } else if (work.advanced && ts_now && segment.options.timestamps) {
    // Only retransmissions were acknowledged: the echo tells which (RFC 7323 §4). Our timestamp
    // clock ticks in milliseconds.
    auto ms = static_cast<int32_t>(*ts_now - segment.options.timestamps->echo);
    if (ms >= 0 && ms < 600'000) rtt_.sample(milliseconds(std::max(ms, 1)), work.now);
  }
}

void Sender::detect_losses(const Segment& segment, AckWork& work, Resources& res) {
  uint32_t lost_before = sent_.lost();
  if (sack_) {
    bool waiting = reorder_at_ != Time::max();
    reorder_at_ = Time::max();
    if (waiting || sent_.sacked() > 0 || phase_ != Phase::kOpen) apply_rack(work.now);
  } else if (work.advanced) {
    dup_acks_ = 0;
    // RFC 6582 §3.2 (3): a partial ACK names the next hole.
    if (phase_ == Phase::kRecovery && snd_.una.before(recovery_point_)) mark_front_lost(res);
  } else if (segment.payload.empty() && !segment.fin() && !sent_.empty() &&
             segment.ack == snd_.una && !segment.window_changed) {
    if (dup_acks_ < UINT16_MAX) ++dup_acks_;
    work.inferred = mss_;
    // RFC 6582 §3.2 (2): not for duplicates caused by what an earlier recovery sent.
    if (dup_acks_ == 3 && phase_ == Phase::kOpen && snd_.una.at_or_after(recovery_point_)) {
      mark_front_lost(res);
    }
  }
  work.newly_lost = sent_.lost() > lost_before ? sent_.lost() - lost_before : 0;
  if (sent_.lost() > 0 && phase_ == Phase::kOpen) enter_recovery(work.prior_flight, res);
}

void Sender::apply_rack(Time now) {
  bool dup_thresh = phase_ == Phase::kRecovery || sent_.sacked() > 2u * mss_;
  reorder_at_ = rack_.detect_losses(sent_, now, rtt_, dup_thresh).value_or(Time::max());
}

void Sender::mark_front_lost(Resources& res) {
  if (sent_.empty()) return;
  SentRun& front = sent_.runs().front();
  if (front.size > mss_) sent_.split(front, front.start + mss_, res.runs);
  sent_.mark_lost(front);
  force_ = true;
}

void Sender::enter_recovery(uint32_t flight, Resources& res) {
  phase_ = Phase::kRecovery;
  recovery_point_ = snd_.nxt;
  cc_.on_congestion_event(sent_.total() - sent_.sacked());
  prr_flight_ = std::max(flight, uint32_t{mss_});
  prr_delivered_ = prr_out_ = 0;
  prr_cwnd_ = in_flight();
  force_ = true;
  retransmitted_ts_valid_ = false;
  probe_sent_ = probe_due_ = false;
  cwr_pending_ = true;
  ++res.counters.recoveries;
}

void Sender::reduce_proportionally(const AckWork& work) {
  prr_delivered_ += work.delivered + work.inferred;
  uint32_t pipe = in_flight();
  int64_t send;
  if (pipe > cc_.ssthresh()) {
    uint64_t share = uint64_t{prr_delivered_} * cc_.ssthresh();
    send = static_cast<int64_t>((share + prr_flight_ - 1) / prr_flight_) - prr_out_;
  } else {
    // RFC 6937 §3.1: grow back to ssthresh, by slow start when recovery makes progress.
    int64_t limit = int64_t{prr_delivered_} - prr_out_;
    if (work.advanced && work.newly_lost == 0) {
      limit = std::max<int64_t>(limit, work.delivered) + mss_;
    }
    send = std::min<int64_t>(int64_t{cc_.ssthresh()} - pipe, limit);
  }
  prr_cwnd_ = pipe + static_cast<uint32_t>(std::max<int64_t>(send, 0));
}

void Sender::end_phase(const AckWork& work) {
  if (phase_ == Phase::kOpen || !work.advanced || snd_.una.before(recovery_point_)) return;
  if (phase_ == Phase::kRecovery) cc_.on_recovery_exit();
  phase_ = Phase::kOpen;
  dup_acks_ = 0;
  retransmitted_ts_valid_ = false;
  rack_.on_recovery_end();
}

void Sender::undo_if_spurious(const Segment& segment, AckWork& work, Resources& res) {
  // RFC 3522 §3.2 (5): the ACK for what was sent again echoes the original's timestamp.
  if (phase_ == Phase::kOpen || !work.advanced || !work.spurious_echo ||
      !segment.ack.after(first_retransmit_)) {
    return;
  }
  for (SentRun& run : sent_.runs()) {
    if (run.lost) sent_.mark_not_lost(run);
  }
  cc_.undo();
  phase_ = Phase::kOpen;
  retransmitted_ts_valid_ = false;
  ++res.counters.spurious_recoveries_undone;
}

bool Sender::update_window(const Segment& segment, uint8_t shift) {
  // RFC 9293 §3.10.7.4: only from segments not older than the last that told.
  bool newer = snd_.wl1.before(segment.seq) ||
               (snd_.wl1 == segment.seq && snd_.wl2.at_or_before(segment.ack));
  if (!newer) return false;
  uint32_t window = uint32_t{segment.window} << shift;
  bool opened = window > snd_.wnd;
  snd_.wnd = window;
  snd_.max_wnd = std::max(snd_.max_wnd, window);
  snd_.wl1 = segment.seq;
  snd_.wl2 = segment.ack;
  return opened;
}

}  // namespace fairlead::host
