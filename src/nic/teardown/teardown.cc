#include "nic/teardown/teardown.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "base/check.h"
#include "base/prefetch.h"

namespace fairlead::nic {

std::string_view teardown_state_name(TeardownState state) {
  switch (state) {
    case TeardownState::kFinWait1:
      return "FIN-WAIT-1";
    case TeardownState::kFinWait2:
      return "FIN-WAIT-2";
    case TeardownState::kClosing:
      return "CLOSING";
    case TeardownState::kLastAck:
      return "LAST-ACK";
    case TeardownState::kTimeWait:
      return "TIME-WAIT";
  }
  check_failed("TeardownState has a name", __FILE__, __LINE__);
}

std::string_view teardown_end_name(TeardownEnd end) {
  switch (end) {
    case TeardownEnd::kClosed:
      return "closed";
    case TeardownEnd::kResetByPeer:
      return "reset by peer";
    case TeardownEnd::kResetForData:
      return "reset for data";
    case TeardownEnd::kTimedOut:
      return "timed out";
    case TeardownEnd::kNeverClosed:
      return "never closed";
    case TeardownEnd::kRemoved:
      return "removed";
  }
  check_failed("TeardownEnd has a name", __FILE__, __LINE__);
}

namespace {

uint32_t clock_ms(Time now) {
  return static_cast<uint32_t>(now.time_since_epoch() / milliseconds(1));
}

uint64_t size_of(std::span<const ByteSpan> data) {
  uint64_t size = 0;
  for (ByteSpan span : data) size += span.size();
  return size;
}

}  // namespace

Teardown::Teardown(const Options& options, FlowHasher hasher, TeardownObserver* observer, Time now)
    : options_(options),
      observer_(observer),
      held_pool_(options.max_held_bytes / sizeof(HeldChunk)),
      pool_(options.max_flows),
      index_(std::move(hasher)),
      wheel_({.flows = options.max_flows}, now) {
  CHECK(options.fin_wait_2 + options.fin_wait_2 / kTimerSlack < wheel_.longest());
  CHECK(options.max_timeouts < 32);
  states_.reserve(options.max_flows);
  by_id_.reserve(options.max_flows);
  free_ids_.reserve(options.max_flows);
  replies_.reserve(kMaxReplies);
}

Teardown::~Teardown() {
  for (size_t id = 0; id < by_id_.size(); ++id) {
    if (by_id_[id] != nullptr) end(*by_id_[id], TeardownEnd::kRemoved, by_id_[id]->taken_at);
  }
}

std::optional<TeardownRefusal> Teardown::refusal(const Handover& h, uint64_t bytes) const {
  if (bytes > h.send_window) return TeardownRefusal::kWindow;
  const SeqNum fin = h.snd_una + static_cast<uint32_t>(bytes);
  if (h.mss == 0 || h.rto <= Duration::zero() || bytes >= kMaxWindow ||
      h.receive_window > kMaxWindow || h.snd_nxt.before(h.snd_una) || h.snd_nxt.after(fin + 1)) {
    return TeardownRefusal::kInvalid;
  }
  if (index_.find(h.tuple) != nullptr) return TeardownRefusal::kInUse;
  if (active() == options_.max_flows) return TeardownRefusal::kFull;
  return std::nullopt;
}

std::expected<void, TeardownRefusal> Teardown::take(const Handover& h, Time now) {
  const uint64_t bytes = size_of(h.data);
  std::optional<TeardownRefusal> refused = refusal(h, bytes);
  HeldData held;
  if (!refused && !held.hold(h.snd_una, h.data, held_pool_)) refused = TeardownRefusal::kBytes;
  if (refused) {
    constexpr uint64_t TeardownCounters::* kCounters[] = {
        &TeardownCounters::refused_full, &TeardownCounters::refused_bytes,
        &TeardownCounters::refused_window, &TeardownCounters::refused_in_use,
        &TeardownCounters::refused_invalid};
    ++(counters_.*kCounters[static_cast<size_t>(*refused)]);
    return std::unexpected(*refused);
  }
  if (active() == 0) wheel_.skip(0, now);
  Flow& flow = *create(h.tuple);
  flow.local_mac = h.local_mac;
  flow.next_hop = h.next_hop;
  flow.port_index = h.port_index;
  flow.mss = static_cast<uint16_t>(std::min<uint32_t>(h.mss, HeldData::kMaxSegment));
  flow.window = h.window;
  flow.receive_window = h.receive_window;
  flow.next = h.snd_nxt;
  flow.ts_offset = h.timestamps ? h.timestamps->value - clock_ms(now) : 0;
  flow.refused_at_ms = clock_ms(now) - kRefusedIntervalMs;
  flow.bytes = static_cast<uint32_t>(bytes);
  flow.taken_at = now;
  flow.held = held;
  FlowState& state = state_of(flow);
  state.una_value = h.snd_una.value();
  state.end_value = (h.snd_una + (flow.bytes + 1)).value();
  state.rcv_nxt_value = h.rcv_nxt.value();
  state.ts_recent = h.timestamps ? h.timestamps->echo : 0;
  state.rto_ms = static_cast<uint16_t>(std::clamp<int64_t>(
      std::chrono::ceil<milliseconds>(h.rto).count(), 1, kMaxRto / milliseconds(1)));
  state.state = h.peer_closed ? TeardownState::kLastAck : TeardownState::kFinWait1;
  state.put(FlowState::kTimestamps, h.timestamps.has_value());
  arm(flow, rto(state), now);
  wants_output(flow);
  ++counters_.taken;
  return {};
}

Teardown::Flow* Teardown::create(const FourTuple& tuple) {
  if (pool_.live() == options_.max_flows) {
    ++counters_.time_wait_recycled;
    remove(rest_.front());
  }
  Flow* flow = pool_.create();
  flow->tuple = tuple;
  if (free_ids_.empty()) {
    flow->id = static_cast<uint32_t>(by_id_.size());
    by_id_.push_back(flow);
    states_.emplace_back();
  } else {
    flow->id = free_ids_.back();
    free_ids_.pop_back();
    by_id_[flow->id] = flow;
  }
  states_[flow->id] = FlowState{};
  index_.insert(*flow);
  return flow;
}

void Teardown::remove(Flow& flow) {
  if (IntrusiveList<Flow, OutputTag>::is_linked(flow)) output_.erase(flow);
  if (IntrusiveList<Flow, RestTag>::is_linked(flow)) {
    rest_.erase(flow);
    --resting_;
  }
  if (IntrusiveList<Flow, GivenTag>::is_linked(flow)) given_.erase(flow);
  if (flow.entry != nullptr) TeardownTable::release(*flow.entry);
  disarm(flow);
  flow.held.release(held_pool_);
  index_.erase(flow);
  by_id_[flow.id] = nullptr;
  free_ids_.push_back(flow.id);
  pool_.destroy(&flow);
}

void Teardown::report(const Flow& flow, TeardownEnd end, Time now) {
  constexpr uint64_t TeardownCounters::* kCounters[] = {
      &TeardownCounters::closed,           &TeardownCounters::reset_by_peer,
      &TeardownCounters::reset_for_data,   &TeardownCounters::timed_out,
      &TeardownCounters::fin_wait_2_ended, &TeardownCounters::removed};
  ++(counters_.*kCounters[static_cast<size_t>(end)]);
  if (observer_ == nullptr) return;
  const FlowState& state = state_of(flow);
  const auto left = static_cast<uint32_t>(state.end() - state.una());  // the FIN among it
  observer_->on_teardown_end({.tuple = flow.tuple,
                              .end = end,
                              .bytes = flow.bytes,
                              .acked = left == 0 ? flow.bytes : flow.bytes + 1 - left,
                              .retransmitted = flow.retransmitted,
                              .lasted = now - flow.taken_at});
}

void Teardown::end(Flow& flow, TeardownEnd end, Time now) {
  if (state_of(flow).state != TeardownState::kTimeWait) report(flow, end, now);
  remove(flow);
}

void Teardown::enter_time_wait(Flow& flow, Time now) {
  ++counters_.time_wait_entered;
  report(flow, TeardownEnd::kClosed, now);
  disarm(flow);
  if (IntrusiveList<Flow, GivenTag>::is_linked(flow)) given_.erase(flow);
  state_of(flow).state = TeardownState::kTimeWait;
  flow.rests_until = now + options_.time_wait;
  rest_.push_back(flow);
  ++resting_;
}

// RFC 9293 §3.10.7.4, eighth: restart the 2 MSL.
void Teardown::rest_again(Flow& flow, Time now) {
  flow.rests_until = now + options_.time_wait;
  rest_.erase(flow);
  rest_.push_back(flow);
}

// ---- timers ----

Duration Teardown::rto(const FlowState& state) const {
  const Duration base = milliseconds(state.rto_ms);
  return std::min<Duration>(kMaxRto, base * (int64_t{1} << state.timeouts));  // RFC 6298 (5.5)
}

// Each slot of the wheel in which a timer was set is a bitmap to be scanned, and a wake-up, even
// when the timer was disarmed long before. So timers come up at multiples of what they may be late
// by; of a small part of the wheel's turn, or those of a minute would all be in one slot.
void Teardown::arm(Flow& flow, Duration wait, Time now) {
  disarm(flow);
  const auto intervals =
      std::min(static_cast<uint64_t>(wait / kTimerSlack / wheel_.interval()), kMaxSlack);
  const Duration grain =
      wheel_.interval() * static_cast<int64_t>(std::bit_floor(std::max<uint64_t>(intervals, 1)));
  const auto grains = (now + wait + grain - Duration(1)).time_since_epoch() / grain;
  FlowState& state = state_of(flow);
  const TimerBitmapWheel::Alarm alarm = wheel_.set(flow.id, Time(grain * grains));
  state.alarm_slot = alarm.slot;
  state.alarm_turns = alarm.turns;
  state.put(FlowState::kArmed, true);
}

void Teardown::disarm(Flow& flow) {
  FlowState& state = state_of(flow);
  if (!state.has(FlowState::kArmed)) return;
  CHECK(wheel_.clear(flow.id, state.alarm_slot));
  state.put(FlowState::kArmed, false);
}

void Teardown::on_timer(Time now) {
  look_at_given(kLooks, now);
  if (active() == 0) {
    wheel_.skip(0, now);
  } else {
    wheel_.expire(0, now, [&](uint32_t id) {
      FlowState& state = states_[id];
      if (state.alarm_turns > 0) {
        --state.alarm_turns;
        return wheel_.again(id, state.alarm_slot);
      }
      state.put(FlowState::kArmed, false);
      on_flow_timer(*by_id_[id], now);
    });
  }
  while (!rest_.empty() && rest_.front().rests_until <= now) {
    Flow& flow = rest_.front();
    catch_up(flow, now);  // may have made it rest again
    if (flow.rests_until <= now) remove(flow);
  }
}

void Teardown::on_flow_timer(Flow& flow, Time now) {
  if (catch_up(flow, now) != Since::kSame) return;
  FlowState& state = state_of(flow);
  switch (state.state) {
    case TeardownState::kFinWait1:
    case TeardownState::kClosing:
    case TeardownState::kLastAck:
      ++counters_.retransmission_timeouts;
      if (++state.timeouts > options_.max_timeouts) {
        return end(flow, TeardownEnd::kTimedOut, now);
      }
      state.dup_acks = 0;
      state.put(FlowState::kRecovering, true);
      state.put(FlowState::kResendDue, true);
      arm(flow, rto(state), now);
      return wants_output(flow);
    case TeardownState::kFinWait2:
      return end(flow, TeardownEnd::kNeverClosed, now);
    case TeardownState::kTimeWait:
      check_failed("no timer runs in TIME-WAIT", __FILE__, __LINE__);
  }
}

std::optional<Time> Teardown::next_deadline() const {
  if (!output_.empty() || !replies_.empty()) return Time{};
  std::optional<Time> next;
  if (active() > 0) next = wheel_.next_deadline(0);
  if (!rest_.empty() && (!next || rest_.front().rests_until < *next)) {
    next = rest_.front().rests_until;
  }
  return next;
}

bool Teardown::give_way(const FourTuple& tuple, Time now) {
  Flow* flow = index_.find(tuple);
  if (flow == nullptr || catch_up(*flow, now) == Since::kGone) return true;
  const FlowState& state = state_of(*flow);
  const Time since = flow->rests_until - options_.time_wait;
  if (state.state != TeardownState::kTimeWait || !state.has(FlowState::kTimestamps) ||
      now - since < kReuseAfter) {
    return false;
  }
  ++counters_.time_wait_reused;
  remove(*flow);
  return true;
}

bool Teardown::yield_to(const FourTuple& tuple, SeqNum ack, uint32_t ts_value, Time now) {
  Flow* flow = index_.find(tuple);
  if (flow == nullptr || catch_up(*flow, now) == Since::kGone) return true;
  const FlowState& state = state_of(*flow);
  if (!ack.before(state.una()) && !ack.after(state.end())) return false;
  if (state.state == TeardownState::kTimeWait) {
    const bool newer = static_cast<int32_t>(ts_value - state.ts_recent) > 0;
    if (!state.has(FlowState::kTimestamps) || !newer) return false;
    ++counters_.time_wait_reused;
  }
  end(*flow, TeardownEnd::kResetByPeer, now);
  return true;
}

void Teardown::prefetch_flow(uint64_t hash) const {
  const Flow* const flow = index_.guess(hash);
  if (flow != nullptr) fairlead::prefetch(flow, sizeof *flow);
}

void Teardown::prefetch_state(uint64_t hash) const {
  const Flow* const flow = index_.guess(hash);
  if (flow == nullptr) return;
  __builtin_prefetch(&states_[flow->id]);
  if (flow->entry != nullptr) __builtin_prefetch(flow->entry, 1);
}

std::optional<TeardownState> Teardown::state(const FourTuple& tuple) const {
  const Flow* flow = index_.find(tuple);
  if (flow == nullptr) return std::nullopt;
  return state_of(*flow).state;
}

}  // namespace fairlead::nic
