// The send side's timer. One deadline, four meanings:
//
//   kReorder     RACK: a run becomes lost when this passes             RFC 8985 §6.3
//   kProbe       tail loss probe: the last of a flight got no answer   RFC 8985 §7
//   kRetransmit  retransmission timeout                                RFC 6298, 8985 §6.3
//   kPersist     the window is closed and there is something to send   RFC 9293 §3.8.6.1
//                or it is open, and a short segment was held back long
//                enough: by cork, or to avoid silly windows             RFC 9293 §3.8.6.2.1
#include <algorithm>

#include "host/sender.h"

namespace fairlead::host {
namespace {

/// RFC 9293 §3.8.6.2.1 (4): 0.1 to 1.0 s. Linux uncorks after as long.
constexpr Duration kOverrideTimeout = milliseconds(200);

}  // namespace

Duration Sender::probe_timeout() const {
  if (!rtt_.has_sample()) return seconds(1);
  Duration pto = 2 * rtt_.srtt();
  // One segment in flight: its ACK may be held back by the receiver's delayed-ACK timer (§7.2).
  // With more, ours is a round trip in software: on a fast link the peer's process not being
  // scheduled for a moment is no loss. Linux allows two timer ticks, which is 8 ms at HZ=250.
  pto += outstanding() <= mss_ ? Duration(milliseconds(200)) : Duration(milliseconds(8));
  return pto;
}

void Sender::rearm(Time now) {
  bool unsent = end().after(snd_.nxt);
  if (flight_ == nullptr) {
    if (!unsent) {
      timer_ = Timer::kNone;
    } else if (timer_ != Timer::kPersist) {
      timer_ = Timer::kPersist;
      deadline_ = now + (snd_.wnd > 0 ? kOverrideTimeout : rtt_.rto());
      progress_at_ = now;  // until now nobody was waiting for the peer
    }
    return;
  }
  bool may_probe = sack_ && phase_ == Phase::kOpen && !flight_->probe_sent && timeouts_ == 0 &&
                   flight_->sent.sacked() == 0 && flight_->sent.lost() == 0;
  // A probe's timer restarts with every ACK and every new transmission (RFC 8985 §7.2); the
  // retransmission timer only with an ACK that advances una (RFC 6298 (5.1), (5.3)).
  bool keep = false;
  if (timer_ == Timer::kProbe) keep = may_probe && !restart_probe_;
  if (timer_ == Timer::kRetransmit) keep = !restart_retransmit_ && !(may_probe && restart_probe_);
  restart_probe_ = restart_retransmit_ = false;
  if (!keep) {
    Duration rto = rtt_.rto();
    Duration pto = probe_timeout();
    timer_ = may_probe && pto < rto ? Timer::kProbe : Timer::kRetransmit;
    deadline_ = now + (timer_ == Timer::kProbe ? pto : rto);
  }
  if (flight_->reorder_at < deadline_) {
    timer_ = Timer::kReorder;
    deadline_ = flight_->reorder_at;
  }
}

TimerOutcome Sender::on_timer(Time now, Resources& res) {
  if (timer_ == Timer::kNone || now < deadline_) return TimerOutcome::kNothing;
  // An ACK that came in the same burst as the timeout was late to be noticed has moved the
  // deadline; rearm(), which follows every ACK, says where.
  if ((timer_ == Timer::kRetransmit && restart_retransmit_) ||
      (timer_ == Timer::kProbe && restart_probe_)) {
    timer_ = Timer::kNone;
    return TimerOutcome::kNothing;
  }
  Timer fired = std::exchange(timer_, Timer::kNone);
  switch (fired) {
    case Timer::kNone:
      break;
    case Timer::kReorder: {
      uint32_t flight = in_flight();
      apply_rack(now);
      if (flight_->sent.lost() > 0 && phase_ == Phase::kOpen) enter_recovery(flight, res);
      if (flight_->sent.lost() > 0) force_ = true;
      return TimerOutcome::kTransmit;
    }
    case Timer::kProbe:
      probe_due_ = true;
      ++res.counters.tail_loss_probes;
      return TimerOutcome::kTransmit;
    case Timer::kRetransmit:
      on_retransmission_timeout(now, res);
      return TimerOutcome::kTransmit;
    case Timer::kPersist:
      if (snd_.wnd > 0) {
        override_ = true;
        return TimerOutcome::kTransmit;
      }
      rtt_.back_off();
      timer_ = Timer::kPersist;
      deadline_ = now + rtt_.rto();
      ++res.counters.zero_window_probes;
      return TimerOutcome::kWindowProbe;
  }
  return TimerOutcome::kNothing;
}

void Sender::on_retransmission_timeout(Time now, Resources& res) {
  SentList& sent = flight_->sent;
  ++res.counters.retransmission_timeouts;
  bool first = phase_ != Phase::kLoss;
  cc_.on_timeout(std::max(sent.in_flight(), uint32_t{mss_}), first);
  if (first) {
    flight_->recovery_point = snd_.nxt;
    flight_->first_retransmit_valid = false;
  }
  sent.forget_sacks();  // RFC 2018 §8: the peer may have thrown away what it SACKed
  phase_ = Phase::kLoss;
  timeouts_ = static_cast<uint8_t>(std::min(timeouts_ + 1, 255));
  rtt_.back_off();
  flight_->dup_acks = 0;
  flight_->probe_sent = probe_due_ = false;
  flight_->reorder_at = Time::max();
  cwr_pending_ = true;
  // RFC 8985 §6.3: the first run is lost; later ones only if they have had their time too.
  Duration patience = flight_->rack.latest_rtt(rtt_) + reordering_.get(rtt_, false);
  SentRun& front = sent.runs().front();
  for (SentRun& run : sent.runs()) {
    if (&run == &front || !sack_ || timeouts_ > 1 || run.sent_at + patience <= now) {
      sent.mark_lost(run);
    }
  }
  force_ = true;
}

}  // namespace fairlead::host
