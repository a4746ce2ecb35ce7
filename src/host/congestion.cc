#include "host/congestion.h"

#include <algorithm>
#include <cmath>

namespace fairlead::host {

uint32_t NewReno::grow(uint32_t cwnd, uint32_t mss, const AckSample& ack) {
  acked_ += ack.acked;  // appropriate byte counting, RFC 3465
  if (acked_ < cwnd) return cwnd;
  acked_ -= cwnd;
  return cwnd + mss;
}

uint32_t NewReno::reduce(uint32_t, uint32_t flight, uint32_t mss) {
  acked_ = 0;
  return std::max(flight / 2, 2 * mss);  // RFC 5681 (4)
}

namespace {
constexpr float kCubicC = 0.4f;                                                  // RFC 9438 §5
constexpr float kCubicBeta = 0.7f;                                               // RFC 9438 §4.6
constexpr float kCubicAlpha = 3.0f * (1.0f - kCubicBeta) / (1.0f + kCubicBeta);  // §4.3

float to_seconds(Duration d) { return std::chrono::duration<float>(d).count(); }
}  // namespace

uint32_t Cubic::grow(uint32_t cwnd, uint32_t mss, const AckSample& ack) {
  auto unit = static_cast<float>(mss);
  float window = static_cast<float>(cwnd) / unit;
  float acked = static_cast<float>(ack.acked) / unit;
  const uint32_t now_ms = to_ms(ack.now.time_since_epoch());
  if (!in_epoch_) {
    in_epoch_ = true;
    epoch_start_ = now_ms;
    w_est_ = window;
    if (window < w_max_) {
      k_ = std::cbrt((w_max_ - window) / kCubicC);  // §4.2 (2)
    } else {
      k_ = 0;
      w_max_ = window;
    }
  }
  float t = static_cast<float>(now_ms - epoch_start_) / 1000.0f;
  auto w_cubic = [this](float at) {  // §4.2 (1)
    float d = at - k_;
    return kCubicC * d * d * d + w_max_;
  };
  w_est_ += (w_est_ >= cwnd_prior_ ? 1.0f : kCubicAlpha) * acked / window;  // §4.3 (4)
  float grown;
  if (w_cubic(t) < w_est_) {
    grown = std::max(w_est_, window);  // the Reno-friendly region
  } else {
    float target = std::clamp(w_cubic(t + to_seconds(ack.srtt)), window, 1.5f * window);
    grown = window + (target - window) / window * acked;
  }
  fraction_ += (grown - window) * unit;
  auto whole = static_cast<uint32_t>(fraction_);
  fraction_ -= static_cast<float>(whole);
  return cwnd + whole;
}

uint32_t Cubic::reduce(uint32_t cwnd, uint32_t flight, uint32_t mss) {
  float window = static_cast<float>(cwnd) / static_cast<float>(mss);
  cwnd_prior_ = window;
  w_max_ = window < w_max_ ? window * (1.0f + kCubicBeta) / 2.0f : window;  // §4.7
  in_epoch_ = false;
  fraction_ = 0;
  return std::max(static_cast<uint32_t>(static_cast<float>(flight) * kCubicBeta), 2 * mss);
}

void CongestionControl::start(CongestionAlgorithm algorithm, uint32_t mss, SeqNum nxt) {
  mss_ = mss;
  cwnd_ = initial_window(mss_);
  ssthresh_ = kInfinite;
  undo_cwnd_ = 0;
  algorithm_ = algorithm;
  growth_.emplace<HyStart>(nxt);
}

void CongestionControl::leave_first_slow_start() {
  if (!std::holds_alternative<HyStart>(growth_)) return;
  if (algorithm_ == CongestionAlgorithm::kNewReno) {
    growth_.emplace<NewReno>();
  } else {
    growth_.emplace<Cubic>();
  }
}

void CongestionControl::on_ack(const AckSample& ack) {
  if (!ack.cwnd_limited) return;  // RFC 7661: a window that was not used is not proven
  if (!in_slow_start()) {
    cwnd_ = with_algorithm([&](auto& a) { return a.grow(cwnd_, mss_, ack); });
    return;
  }
  // No limit L on the growth per ACK (RFC 9406 §4.2): super-packets are acknowledged 64 KiB at a
  // time.
  uint32_t growth = ack.acked;
  // After a timeout ssthresh is known, and RFC 9406 §4.3 has HyStart++ for the first slow start.
  if (auto* hystart = std::get_if<HyStart>(&growth_)) {
    hystart->on_ack(ack.ack, ack.nxt, ack.rtt);
    if (hystart->conservative()) growth /= HyStart::kCssGrowthDivisor;
    if (hystart->finished()) {
      ssthresh_ = cwnd_ + growth;
      leave_first_slow_start();
    }
  }
  cwnd_ = std::min({cwnd_ + growth, ssthresh_, kMaxWindow});
}

void CongestionControl::on_congestion_event(uint32_t flight) {
  undo_cwnd_ = cwnd_;
  undo_ssthresh_ = ssthresh_;
  leave_first_slow_start();
  ssthresh_ = with_algorithm([&](auto& a) { return a.reduce(cwnd_, flight, mss_); });
}

void CongestionControl::on_timeout(uint32_t flight, bool first) {
  if (first) on_congestion_event(flight);  // RFC 5681 §3.1: once per loss
  with_algorithm([](auto& a) { a.on_timeout(); });
  cwnd_ = mss_;
}

void CongestionControl::on_recovery_exit() {
  cwnd_ = ssthresh_;
  undo_cwnd_ = 0;
}

void CongestionControl::undo(SeqNum nxt) {
  if (undo_cwnd_ == 0) return;
  cwnd_ = std::max(cwnd_, undo_cwnd_);
  ssthresh_ = std::max(ssthresh_, undo_ssthresh_);
  undo_cwnd_ = 0;
  if (ssthresh_ == kInfinite) growth_.emplace<HyStart>(nxt);
}

void CongestionControl::on_idle(Duration idle, SeqNum nxt) {
  ssthresh_ = std::max(ssthresh_, cwnd_ / 4 * 3);  // RFC 2861 §3.1
  cwnd_ = std::min(cwnd_, initial_window(mss_));
  if (ssthresh_ == kInfinite) {
    growth_.emplace<HyStart>(nxt);
  } else {
    with_algorithm([&](auto& a) { a.on_idle(idle); });
  }
}

}  // namespace fairlead::host
