// Sender: the send side of one connection. What may be sent now, what was sent, what the peer has,
// and what to do about loss.
//
//        una            nxt                    queue end (+ FIN)
//         |  SentList    |   unsent              |
//   ------+--------------+-----------------------+
//         |<--- snd.wnd: what the peer takes --->|
//
// next() decides one transmission at a time, in this order: what was judged lost, a probe that a
// timer asked for, new data. It never looks at headers or ports; Connection turns the decision into
// a packet and reports on_sent(). An ACK goes in by on_ack() (sender_ack.cc); the retransmission,
// probe and persist timers are one timer with one deadline (sender_timer.cc).
//
// Sources: RFC 9293 §3.8, 5681, 6298, 6582, 6675, 6937 (proportional rate reduction), 8985
// (RACK-TLP), 4015 (Eifel response), 3168 (ECN).
#pragma once

#include <cstdint>
#include <optional>

#include "base/seq_num.h"
#include "base/time.h"
#include "host/congestion.h"
#include "host/flight.h"
#include "host/rack.h"
#include "host/resources.h"
#include "host/rtt.h"
#include "host/segment.h"
#include "host/send_queue.h"

namespace fairlead::host {

/// One packet's worth of sequence space.
struct Transmission {
  SeqNum seq;
  uint32_t size = 0;  // payload bytes
  bool fin = false;
  bool push = false;
  bool retransmission = false;
};

/// What a call of next() may use.
struct SendLimits {
  uint32_t mss;          // payload bytes per segment
  uint32_t max_payload;  // of one packet: mss without segmentation offload, else up to 64 KiB
  bool nodelay;
  bool cork;
};

struct AckOutcome {
  uint32_t delivered = 0;  // bytes newly known to have arrived
  bool advanced = false;   // una moved
  bool fin_acked = false;
  bool room = false;  // the send buffer has room again
};

enum class TimerOutcome : uint8_t { kNothing, kTransmit, kWindowProbe };

class Sender {
 public:
  /// SND.* of RFC 9293 §3.3.1.
  struct Variables {
    SeqNum una, nxt, wl1, wl2, iss;
    uint32_t wnd = 0;      // bytes, already scaled
    uint32_t max_wnd = 0;  // largest the peer ever offered
  };

  void start(SeqNum iss);
  /// The SYN left for the first time; the answer to it is the first RTT sample.
  void on_syn_sent(Time now) { last_sent_at_ = now; }
  Time last_sent_at() const { return last_sent_at_; }
  /// The handshake is complete.
  void establish(CongestionAlgorithm algorithm, uint32_t mss, bool sack, Time now);
  void clear(Resources& res);

  const Variables& vars() const { return snd_; }
  Variables& vars() { return snd_; }
  const RttEstimator& rtt() const { return rtt_; }
  RttEstimator& rtt() { return rtt_; }
  const CongestionControl& congestion() const { return cc_; }
  /// Bytes written and not sent once.
  uint32_t unsent() const {
    return queue_.end().after(snd_.nxt) ? static_cast<uint32_t>(queue_.end() - snd_.nxt) : 0;
  }
  /// Sequence space sent and not acknowledged.
  uint32_t outstanding() const { return static_cast<uint32_t>(snd_.nxt - snd_.una); }
  /// Nothing has been lost that is not repaired.
  bool in_order() const { return phase_ == Phase::kOpen; }
  /// As far as is known in the network: RFC 6675's pipe.
  uint32_t in_flight() const;

  // The application's side.
  /// How much may be written now.
  uint32_t room(const SocketOptions& options) const;
  /// A writer that found no room is to be told: there is some, and where what waits to be sent is
  /// bounded, it has fallen to half the bound, so that the writer does not wake for each segment.
  bool wakes_writer(const SocketOptions& options) const {
    return room(options) > 0 && (unsent() <= options.unsent_max / 2 || peer_is_full());
  }
  uint32_t write(ByteSpan bytes, Resources& res) { return queue_.append(bytes, res.chunks); }
  /// Where bytes may be moved to the end of what is written.
  ByteChain& chain() { return queue_.chain(); }
  void queue_fin() { fin_queued_ = true; }
  bool fin_queued() const { return fin_queued_; }
  bool fin_sent() const { return fin_queued_ && snd_.nxt == end(); }
  uint32_t queued() const { return queue_.size(); }
  bool all_acknowledged() const { return snd_.una == end(); }
  /// Everything written, and the FIN, has left once.
  bool all_sent() const { return snd_.nxt == end(); }

  // Sending.
  std::optional<Transmission> next(const SendLimits& limits, Time now);
  void on_sent(const Transmission& what, const SendLimits& limits, uint32_t ts_now, Time now,
               Resources& res);
  uint32_t gather(const Transmission& what, port::TxPacket& packet) {
    return queue_.gather(what.seq, what.size, packet);
  }
  /// Where the sequence space of everything written ends, FIN included.
  SeqNum end() const { return queue_.end() + (fin_queued_ ? 1 : 0); }

  // Receiving.
  /// Precondition: una <= ack <= nxt (RFC 9293 §3.10.7.4). `ts_now`: the value our timestamp clock
  /// shows, when timestamps are in use.
  AckOutcome on_ack(const Segment& segment, std::optional<uint32_t> ts_now, Time now,
                    Resources& res);
  /// RFC 9293 §3.10.7.4, fifth step: SND.WND. True when the window opened.
  bool update_window(const Segment& segment, uint8_t shift);

  // Timer.
  std::optional<Time> deadline() const {
    return timer_ == Timer::kNone ? std::nullopt : std::optional(deadline_);
  }
  /// When a peer that answers nothing has had `patience` (RFC 5482); Time::max() while nothing
  /// waits for its answer.
  Time gives_up_at(Duration patience) const {
    const bool waits = flight_ != nullptr || (timer_ == Timer::kPersist && snd_.wnd == 0);
    return waits ? progress_at_ + patience : Time::max();
  }
  TimerOutcome on_timer(Time now, Resources& res);
  /// Arms what the state asks for; call after output is done.
  void rearm(Time now);
  /// RTOs in a row without progress.
  unsigned timeouts() const { return timeouts_; }

  /// The path takes less than was sent (RFC 1191): everything outstanding is sent again, without
  /// blaming congestion.
  void on_mtu_reduced(uint32_t mss);
  void set_mss(uint32_t mss) {
    mss_ = static_cast<uint16_t>(mss);
    cc_.set_mss(mss);
  }

  /// RFC 3168 §6.1.2: an ECN echo. Returns whether the window was reduced.
  bool on_ecn_echo(Resources& res);
  /// CWR goes on the next new data segment.
  bool cwr_pending() const { return cwr_pending_; }
  void on_cwr_sent() { cwr_pending_ = false; }

  /// A D-SACK (RFC 2883) told that a retransmission was not needed.
  void on_dsack(Resources& res);

 private:
  enum class Phase : uint8_t { kOpen, kRecovery, kLoss };
  enum class Timer : uint8_t { kNone, kReorder, kProbe, kRetransmit, kPersist };

  // sender.cc
  uint32_t window() const { return phase_ == Phase::kRecovery ? flight_->prr_cwnd : cc_.cwnd(); }
  /// The peer takes less than a segment: what is written waits, however fast we are.
  bool peer_is_full() const { return snd_.wnd < outstanding() + mss_; }
  std::optional<Transmission> next_lost(const SendLimits& limits);
  std::optional<Transmission> next_probe(const SendLimits& limits);
  std::optional<Transmission> next_new(const SendLimits& limits, Time now);
  std::optional<Transmission> retransmit(SeqNum start, uint32_t size, const SendLimits& limits);

  // sender_ack.cc
  struct AckWork;
  /// From block number `first` on.
  void take_sacks(const Segment& segment, unsigned first, AckWork& work, Resources& res);
  void take_sack(const wire::SackBlock& block, AckWork& work, Resources& res);
  void take_cumulative(SeqNum ack, AckWork& work, Resources& res);
  void deliver(SentRun& run, uint32_t bytes, AckWork& work);
  void sample_rtt(const Segment& segment, std::optional<uint32_t> ts_now, AckWork& work);
  void detect_losses(const Segment& segment, AckWork& work, Resources& res);
  void end_phase(const AckWork& work);
  void undo_if_spurious(const Segment& segment, AckWork& work, Resources& res);
  void reduce_proportionally(const AckWork& work);
  void enter_recovery(uint32_t flight, Resources& res);
  void apply_rack(Time now);
  void mark_front_lost(Resources& res);
  void end_flight(Resources& res);

  // sender_timer.cc
  Duration probe_timeout() const;
  void on_retransmission_timeout(Time now, Resources& res);

  Variables snd_;
  [[no_unique_address]] SendQueue queue_;
  Flight* flight_ = nullptr;  // while una < nxt
  [[no_unique_address]] RttEstimator rtt_;
  ReorderingWindow reordering_;
  [[no_unique_address]] CongestionControl cc_;

  uint16_t mss_ = 536;
  uint8_t timeouts_ = 0;
  Phase phase_ = Phase::kOpen;  // kOpen without a flight
  Timer timer_ = Timer::kNone;
  bool sack_ : 1 = false;
  bool fin_queued_ : 1 = false;
  bool cwnd_limited_ : 1 = false;
  bool probe_due_ : 1 = false;  // a tail loss probe is to be sent
  bool force_ : 1 = false;      // send one segment whatever the window (fast retransmit, RTO)
  bool override_ : 1 = false;   // send what there is, however short
  bool cwr_pending_ : 1 = false;
  bool restart_probe_ : 1 = false;  // see rearm()
  bool restart_retransmit_ : 1 = false;

  Time deadline_{};
  Time progress_at_{};  // when una last moved, or data was first outstanding after none was
  Time last_sent_at_{};
};

}  // namespace fairlead::host
