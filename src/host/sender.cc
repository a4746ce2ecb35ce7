#include "host/sender.h"

#include <algorithm>
#include <utility>

namespace fairlead::host {

void Sender::start(SeqNum iss) {
  snd_.iss = snd_.una = snd_.nxt = iss;
  queue_.start(iss + 1);
}

void Sender::establish(CongestionAlgorithm algorithm, uint32_t mss, bool sack, Time now) {
  mss_ = static_cast<uint16_t>(mss);
  sack_ = sack;
  cc_.start(algorithm, mss, snd_.nxt);
  progress_at_ = last_sent_at_ = now;
}

void Sender::clear(Resources& res) {
  queue_.clear(res.chunks);
  if (flight_ != nullptr) {
    flight_->sent.clear(res.runs);
    phase_ = Phase::kOpen;
    end_flight(res);
  }
  timer_ = Timer::kNone;
}

uint32_t Sender::room(const SocketOptions& options) const {
  if (fin_queued_) return 0;
  uint32_t limit = std::clamp(2 * cc_.cwnd(), options.send_buffer_min, options.send_buffer_max);
  uint32_t buffer_room = limit > queue_.size() ? limit - queue_.size() : 0;
  // While the peer takes nothing, what is written is no longer in any cache when its time comes.
  if (peer_is_full()) return buffer_room;
  uint32_t unsent_room = options.unsent_max > unsent() ? options.unsent_max - unsent() : 0;
  return std::min(buffer_room, unsent_room);
}

uint32_t Sender::in_flight() const {
  if (flight_ == nullptr) return 0;
  uint32_t flight = flight_->sent.in_flight();
  // Without SACK each duplicate ACK says that one more segment has left the network (RFC 5681
  // §3.2 (4)), though not which. For the first two that is limited transmit (RFC 3042).
  uint32_t left = sack_ ? 0 : std::min<uint32_t>(flight, uint32_t{flight_->dup_acks} * mss_);
  return flight - left;
}

std::optional<Transmission> Sender::next(const SendLimits& limits, Time now) {
  if (flight_ != nullptr) {
    if (std::optional<Transmission> lost = next_lost(limits)) return lost;
  }
  if (probe_due_) return next_probe(limits);
  return next_new(limits, now);
}

std::optional<Transmission> Sender::retransmit(SeqNum start, uint32_t size,
                                               const SendLimits& limits) {
  Transmission what;
  what.seq = start;
  what.retransmission = true;
  what.size = std::min(size, limits.max_payload);
  SeqNum data_end = queue_.end();
  if ((start + size).after(data_end)) {  // the run ends with the FIN
    auto data = static_cast<uint32_t>(data_end - start);
    what.size = std::min(data, limits.max_payload);
    what.fin = what.size == data;
  }
  what.push = (start + what.size) == data_end;
  return what;
}

std::optional<Transmission> Sender::next_lost(const SendLimits& limits) {
  SentRun* run = flight_->sent.first_lost();
  if (run == nullptr) return std::nullopt;
  uint32_t flight = in_flight();
  uint32_t allowed = window() > flight ? window() - flight : 0;
  if (force_) allowed = std::max(allowed, limits.mss);
  if (allowed < std::min(run->size, limits.mss)) return std::nullopt;
  // Whole segments, so that the receiver's view of segment boundaries stays simple.
  if (allowed < run->size) allowed -= allowed % limits.mss;
  return retransmit(run->start, std::min(allowed, run->size), limits);
}

std::optional<Transmission> Sender::next_probe(const SendLimits& limits) {
  // RFC 8985 §7.3: new data if there is any and the peer takes it, else the last segment again.
  const uint32_t unsent = this->unsent();
  uint32_t used = outstanding();
  if (unsent > 0 && snd_.wnd > used) {
    Transmission what;
    what.seq = snd_.nxt;
    what.size = std::min({unsent, limits.mss, snd_.wnd - used});
    what.fin = fin_queued_ && what.size == unsent && snd_.wnd - used > what.size;
    what.push = what.size == unsent;
    return what;
  }
  if (flight_ == nullptr) {
    probe_due_ = false;
    return std::nullopt;
  }
  const SentRun& last = flight_->sent.runs().back();
  uint32_t size = std::min(last.size, limits.mss);
  return retransmit(last.end() - size, size, limits);
}

std::optional<Transmission> Sender::next_new(const SendLimits& limits, Time now) {
  const uint32_t unsent = this->unsent();
  bool fin = fin_queued_ && !fin_sent();
  if (unsent == 0 && !fin) return std::nullopt;

  if (flight_ == nullptr && now - last_sent_at_ > rtt_.rto()) {
    cc_.on_idle(now - last_sent_at_, snd_.nxt);
    last_sent_at_ = now;
  }
  uint32_t used = outstanding();
  uint32_t peer_room = snd_.wnd > used ? snd_.wnd - used : 0;
  uint32_t flight = in_flight();
  uint32_t cwnd_room = window() > flight ? window() - flight : 0;

  uint32_t allowed = std::min({unsent, peer_room, cwnd_room, limits.max_payload});
  bool all = allowed == unsent;
  if (!all && allowed < unsent && allowed == cwnd_room) cwnd_limited_ = true;
  uint32_t whole = allowed - allowed % limits.mss;
  if (!all) {
    // Sender's silly window avoidance (RFC 9293 §3.8.6.2.1): only whole segments, unless the peer's
    // window never was larger than two of what it offers now.
    if (whole == 0 && peer_room == allowed && allowed > 0 &&
        (allowed >= snd_.max_wnd / 2 || override_)) {
      whole = allowed;
    }
    allowed = whole;
    fin = false;
  } else if (allowed != whole && !fin && !override_ &&
             (limits.cork ||
              (!limits.nodelay && flight_ != nullptr && flight_->small_end.after(snd_.una)))) {
    // Nagle (RFC 9293 §3.7.4) as Minshall refined it: a short segment waits only while another
    // short segment is unacknowledged, not behind whole ones.
    allowed = whole;
    all = false;
  }
  // A FIN takes no buffer: it goes with the last data, or alone, whatever the windows say.
  if (allowed == 0 && !(fin && all)) return std::nullopt;
  Transmission what;
  what.seq = snd_.nxt;
  what.size = allowed;
  what.fin = fin && all;
  what.push = all && allowed > 0;
  return what;
}

void Sender::on_sent(const Transmission& what, const SendLimits& limits, uint32_t ts_now, Time now,
                     Resources& res) {
  uint32_t size = what.size + (what.fin ? 1 : 0);
  last_sent_at_ = now;
  force_ = override_ = false;
  if (phase_ == Phase::kRecovery) flight_->prr_out += size;
  bool probing = probe_due_;
  probe_due_ = false;
  if (what.retransmission) {
    res.counters.retransmitted_segments += (what.size + limits.mss - 1) / limits.mss;
    if (phase_ != Phase::kOpen && !flight_->first_retransmit_valid) {
      flight_->first_retransmit_valid = true;
      flight_->first_retransmit_ts = ts_now;
      flight_->first_retransmit = what.seq;
    }
    SentList& sent = flight_->sent;
    for (SentRun& run : sent.runs()) {
      if (run.end().at_or_before(what.seq)) continue;
      if (run.start.at_or_after(what.seq + size)) break;
      if (run.start.before(what.seq) && sent.split(run, what.seq, res.runs)) continue;
      if (run.end().after(what.seq + size)) sent.split(run, what.seq + size, res.runs);
      if (!run.sacked) sent.mark_retransmitted(run, now);
    }
  } else {
    if (flight_ == nullptr) {
      flight_ = res.flights.create(snd_.una);
      progress_at_ = now;
    }
    flight_->sent.append(snd_.nxt, size, now, res.runs);
    snd_.nxt += size;
    restart_probe_ = true;
    res.counters.bytes_sent += what.size;
    if (what.size % limits.mss != 0) flight_->small_end = snd_.nxt;
  }
  if (probing) {
    flight_->probe_sent = true;
    flight_->probe_was_new = !what.retransmission;
    flight_->probe_end = snd_.nxt;
  }
}

void Sender::end_flight(Resources& res) {
  CHECK(phase_ == Phase::kOpen && flight_->sent.empty());
  res.flights.destroy(std::exchange(flight_, nullptr));
  timer_ = Timer::kNone;  // each was about the flight; rearm() sees what is left to wait for
}

void Sender::on_mtu_reduced(uint32_t mss) {
  set_mss(mss);
  if (flight_ == nullptr) return;
  flight_->sent.mark_all_lost();
  force_ = true;
}

bool Sender::on_ecn_echo(Resources& res) {
  if (phase_ != Phase::kOpen) return false;
  if (flight_ != nullptr) {
    if (flight_->ecn_reduced && snd_.una.before(flight_->ecn_point)) return false;
    flight_->ecn_reduced = true;
    flight_->ecn_point = snd_.nxt;
  }
  cc_.on_congestion_event(in_flight());
  cc_.on_recovery_exit();
  cwr_pending_ = true;
  ++res.counters.ecn_reductions;
  return true;
}

void Sender::on_dsack(Resources& res) {
  ++res.counters.dsacks_received;
  reordering_.on_dsack(snd_.una, snd_.nxt);
  // RFC 8985 §7.4: the probe was a duplicate, so nothing had been lost.
  if (flight_ != nullptr && !flight_->probe_was_new) flight_->probe_sent = false;
}

}  // namespace fairlead::host
