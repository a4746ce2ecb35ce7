// The send side's half of "an ACK arrives" (RFC 9293 §3.10.7.4, fifth step): scoreboard, RTT, loss
// detection, congestion response, in that order.
#include <algorithm>
#include <array>
#include <span>

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

namespace {

/// RFC 2883 §4: the first block tells of bytes that came twice.
bool leads_with_dsack(const Segment& segment) {
  if (segment.options.sack_count == 0) return false;
  const wire::SackBlock& first = segment.options.sack[0];
  if (first.right.at_or_before(segment.ack)) return true;
  return segment.options.sack_count > 1 && first.left.at_or_after(segment.options.sack[1].left) &&
         first.right.at_or_before(segment.options.sack[1].right);
}

}  // namespace

AckOutcome Sender::on_ack(const Segment& segment, std::optional<uint32_t> ts_now, Time now,
                          Resources& res) {
  AckOutcome outcome;
  const bool dsack = sack_ && leads_with_dsack(segment);
  if (dsack) on_dsack(res);
  // A peer that goes on answering with a closed window is alive, however long it takes; one that
  // does not answer is given up like any other (RFC 9293 §3.8.6.1, RFC 1122 §4.2.2.17).
  if (segment.ack.after(snd_.una) || snd_.wnd == 0) progress_at_ = now;
  if (flight_ == nullptr) return outcome;

  AckWork work;
  work.now = now;
  work.prior_flight = in_flight();
  work.advanced = segment.ack.after(snd_.una);
  if (ts_now && segment.options.timestamps) {
    uint32_t echo = segment.options.timestamps->echo;
    work.spurious_echo = flight_->first_retransmit_valid &&
                         static_cast<int32_t>(echo - flight_->first_retransmit_ts) < 0;
  }
  bool was_limited = cwnd_limited_ || (cc_.in_slow_start() && 2 * work.prior_flight >= cc_.cwnd());

  // In the order of the stream: RACK takes a delivery below an earlier one for reordering.
  if (work.advanced) take_cumulative(segment.ack, work, res);
  if (sack_) take_sacks(segment, dsack ? 1 : 0, work, res);
  if (work.advanced) {
    outcome.fin_acked = fin_queued_ && snd_.una == end();
    timeouts_ = 0;
    restart_retransmit_ = true;
    rtt_.reset_backoff();
    cwnd_limited_ = false;
    outcome.room = true;
  }
  sample_rtt(segment, ts_now, work);
  detect_losses(segment, work, res);

  if (flight_->probe_sent && segment.ack.at_or_after(flight_->probe_end)) {
    // RFC 8985 §7.4: a retransmitted probe that was needed repaired a loss nobody else saw.
    // (A D-SACK for it would have cleared probe_sent.)
    if (!flight_->probe_was_new && phase_ == Phase::kOpen && !work.spurious_echo) {
      cc_.on_congestion_event(work.prior_flight);
      cc_.on_recovery_exit();
    }
    flight_->probe_sent = false;
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
  if (flight_->sent.empty()) end_flight(res);
  return outcome;
}

void Sender::deliver(SentRun& run, uint32_t bytes, AckWork& work) {
  work.delivered += bytes;
  flight_->rack.on_delivered(run, run.start + bytes, work.now, rtt_,
                             run.retransmitted && work.spurious_echo, reordering_);
  if (!run.retransmitted) {
    Duration rtt = work.now - run.sent_at;
    if (work.rtt == Duration::zero() || rtt < work.rtt)
      work.rtt = std::max<Duration>(rtt, Duration(1));
  }
}

void Sender::take_sacks(const Segment& segment, unsigned first, AckWork& work, Resources& res) {
  std::array<wire::SackBlock, wire::TcpOptions::kMaxSackBlocks> blocks = segment.options.sack;
  auto rest = std::span(blocks).first(segment.options.sack_count).subspan(first);
  // RFC 2018 §5 blocks lie between what is acknowledged and what was sent; others are noise.
  auto noise = [&](const wire::SackBlock& b) {
    return !b.left.before(b.right) || b.left.before(snd_.una) || b.right.after(snd_.nxt);
  };
  rest =
      rest.first(static_cast<size_t>(std::ranges::remove_if(rest, noise).begin() - rest.begin()));
  std::ranges::sort(rest, [](const auto& a, const auto& b) { return a.left.before(b.left); });
  for (const wire::SackBlock& block : rest) take_sack(block, work, res);
}

void Sender::take_sack(const wire::SackBlock& block, AckWork& work, Resources& res) {
  SentList& sent = flight_->sent;
  for (SentRun& run : sent.runs()) {
    if (run.end().at_or_before(block.left)) continue;
    if (run.start.at_or_after(block.right)) break;
    if (run.sacked) continue;
    if (run.start.before(block.left)) {
      sent.split(run, block.left, res.runs);  // the part inside comes next
      continue;
    }
    if (run.end().after(block.right) && !sent.split(run, block.right, res.runs)) continue;
    deliver(run, run.size, work);
    sent.mark_sacked(run);
  }
}

void Sender::take_cumulative(SeqNum ack, AckWork& work, Resources& res) {
  SentList& sent = flight_->sent;
  while (!sent.empty() && sent.runs().front().start.before(ack)) {
    SentRun& run = sent.runs().front();
    uint32_t bytes =
        run.end().at_or_before(ack) ? run.size : static_cast<uint32_t>(ack - run.start);
    if (!run.sacked) deliver(run, bytes, work);
    sent.acknowledge_front(ack, res.runs);
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
  SentList& sent = flight_->sent;
  uint32_t lost_before = sent.lost();
  if (sack_) {
    bool waiting = flight_->reorder_at != Time::max();
    flight_->reorder_at = Time::max();
    if (waiting || sent.sacked() > 0 || phase_ != Phase::kOpen) apply_rack(work.now);
  } else if (work.advanced) {
    flight_->dup_acks = 0;
    // RFC 6582 §3.2 (3): a partial ACK names the next hole.
    if (phase_ == Phase::kRecovery && snd_.una.before(flight_->recovery_point))
      mark_front_lost(res);
  } else if (segment.payload.empty() && !segment.fin() && !sent.empty() &&
             segment.ack == snd_.una && !segment.window_changed) {
    if (flight_->dup_acks < UINT16_MAX) ++flight_->dup_acks;
    work.inferred = mss_;
    // RFC 6582 §3.2 (2): not for duplicates caused by what an earlier recovery sent.
    if (flight_->dup_acks == 3 && phase_ == Phase::kOpen &&
        snd_.una.at_or_after(flight_->recovery_point)) {
      mark_front_lost(res);
    }
  }
  work.newly_lost = sent.lost() > lost_before ? sent.lost() - lost_before : 0;
  if (sent.lost() > 0 && phase_ == Phase::kOpen) enter_recovery(work.prior_flight, res);
}

void Sender::apply_rack(Time now) {
  bool dup_thresh = phase_ == Phase::kRecovery || flight_->sent.sacked() > 2u * mss_;
  Duration window = reordering_.get(rtt_, dup_thresh);
  flight_->reorder_at =
      flight_->rack.detect_losses(flight_->sent, now, window).value_or(Time::max());
}

void Sender::mark_front_lost(Resources& res) {
  SentList& sent = flight_->sent;
  if (sent.empty()) return;
  SentRun& front = sent.runs().front();
  if (front.size > mss_) sent.split(front, front.start + mss_, res.runs);
  sent.mark_lost(front);
  force_ = true;
}

void Sender::enter_recovery(uint32_t flight, Resources& res) {
  phase_ = Phase::kRecovery;
  flight_->recovery_point = snd_.nxt;
  cc_.on_congestion_event(flight_->sent.total() - flight_->sent.sacked());
  flight_->prr_flight = std::max(flight, uint32_t{mss_});
  flight_->prr_delivered = flight_->prr_out = 0;
  flight_->prr_cwnd = in_flight();
  force_ = true;
  flight_->first_retransmit_valid = false;
  flight_->probe_sent = probe_due_ = false;
  cwr_pending_ = true;
  ++res.counters.recoveries;
}

void Sender::reduce_proportionally(const AckWork& work) {
  flight_->prr_delivered += work.delivered + work.inferred;
  uint32_t pipe = in_flight();
  int64_t send;
  if (pipe > cc_.ssthresh()) {
    uint64_t share = uint64_t{flight_->prr_delivered} * cc_.ssthresh();
    send = static_cast<int64_t>((share + flight_->prr_flight - 1) / flight_->prr_flight) -
           flight_->prr_out;
  } else {
    // RFC 6937 §3.1: grow back to ssthresh, by slow start when recovery makes progress.
    int64_t limit = int64_t{flight_->prr_delivered} - flight_->prr_out;
    if (work.advanced && work.newly_lost == 0) {
      limit = std::max<int64_t>(limit, work.delivered) + mss_;
    }
    send = std::min<int64_t>(int64_t{cc_.ssthresh()} - pipe, limit);
  }
  flight_->prr_cwnd = pipe + static_cast<uint32_t>(std::max<int64_t>(send, 0));
}

void Sender::end_phase(const AckWork& work) {
  if (phase_ == Phase::kOpen || !work.advanced || snd_.una.before(flight_->recovery_point)) return;
  if (phase_ == Phase::kRecovery) cc_.on_recovery_exit();
  phase_ = Phase::kOpen;
  flight_->dup_acks = 0;
  flight_->first_retransmit_valid = false;
  reordering_.on_recovery_end();
}

void Sender::undo_if_spurious(const Segment& segment, AckWork& work, Resources& res) {
  // RFC 3522 §3.2 (5): the ACK for what was sent again echoes the original's timestamp.
  if (phase_ == Phase::kOpen || !work.advanced || !work.spurious_echo ||
      !segment.ack.after(flight_->first_retransmit)) {
    return;
  }
  for (SentRun& run : flight_->sent.runs()) {
    if (run.lost) flight_->sent.mark_not_lost(run);
  }
  cc_.undo(snd_.nxt);
  phase_ = Phase::kOpen;
  flight_->first_retransmit_valid = false;
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
