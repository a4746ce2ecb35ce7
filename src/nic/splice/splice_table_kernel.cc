// SpliceTable and the kernel's seat: splices that sink, surface, are found again after a restart,
// follow the routes, and end unheard.
#include <algorithm>
#include <utility>

#include "nic/splice/splice_table.h"

namespace fairlead::nic {

void SpliceTable::sink_if_due(Splice& splice) {
  if (kernel_ == nullptr || splice.seat != SpliceSeat::kUser || splice.stays) return;
  if (splice.state() != 0 || splice.split != nullptr) return;
  const fl_splice_rule& up = splice.directions[Splice::kUp].rule;
  const fl_splice_rule& down = splice.directions[Splice::kDown].rule;
  if (up.packets + down.packets < splice.options.sink_after_packets &&
      up.bytes + down.bytes < splice.options.sink_after_bytes) {
    return;
  }
  for (Direction& direction : splice.directions) {
    if (!find_way(direction)) return;
  }
  if (!kernel_->install(records(splice))) {
    ++counters_.sink_refused;
    splice.stays = true;
    return;
  }
  // What was counted here is in the kernel's copy now.
  for (Direction& direction : splice.directions) direction.rule.packets = direction.rule.bytes = 0;
  splice.seat = kernel_->seat();
  splice.way_changed = false;
  sunk_.push_back(splice);
  ++sunk_count_;
  ++counters_.sunk;
}

void SpliceTable::surface(Splice& splice) {
  if (splice.seat == SpliceSeat::kUser) return;
  if (kernel_ != nullptr) kernel_->send_up(records(splice));
  if (splice.split == nullptr) return take_out(splice);
  take_back(splice, in_kernel(splice));
}

void SpliceTable::take_out(Splice& splice) {
  const bool sunk = splice.seat != SpliceSeat::kUser;
  if (!sunk && splice.split == nullptr) return;
  SpliceRecords kernels = records(splice);
  if (kernel_ != nullptr) kernel_->remove(kernels);
  if (sunk) take_back(splice, kernels);
}

void SpliceTable::take_back(Splice& splice, const SpliceRecords& kernels) {
  splice.seat = SpliceSeat::kUser;
  splice.stays = true;
  sunk_.erase(splice);
  --sunk_count_;
  if (kernel_ != nullptr) take_counts(splice, kernels);
}

void SpliceTable::take_counts(Splice& splice, const SpliceRecords& records) {
  for (Direction& direction : splice.directions) {
    const fl_splice_rule& from =
        direction.way == Splice::kUp ? records.from_client.rule : records.from_server.rule;
    fl_splice_rule& to = direction.rule;
    to.packets += from.packets;
    to.bytes += from.bytes;
    to.last_at = std::max(to.last_at, from.last_at);
    to.state |= from.state & ~uint32_t{FL_SPLICE_SENT_UP};
    to.peer_fin_end = from.peer_fin_end;
    to.acked = from.acked;
    to.window = from.window;
  }
}

SpliceRecords SpliceTable::records(const Splice& splice) {
  return {.from_client = {.key = nic::key_of(splice.client()),
                          .rule = splice.directions[Splice::kUp].rule},
          .from_server = {.key = nic::key_of(splice.server()),
                          .rule = splice.directions[Splice::kDown].rule}};
}

void SpliceTable::on_event(const fl_splice_event& event, Time now) {
  Direction* direction = find(tuple_of(event.key));
  if (direction == nullptr || direction->rule.generation != event.generation) return;
  Splice& splice = *direction->splice;
  Direction& peer = splice.other(*direction);
  if (event.kind == FL_SPLICE_EVENT_OVER) {
    if (splice.split == nullptr) take_out(splice);
    return take_end(splice, now);
  }
  if (event.kind == FL_SPLICE_EVENT_RESET) {
    const bool is_first = !splice.reset_noted && splice.seat != SpliceSeat::kUser;
    take_end(splice, now);
    // What has passed since may be the question whether the RST was meant.
    if (is_first && splice.reset_noted) {
      direction->packets_at_reset = event.packets;
      peer.packets_at_reset = event.peer_packets;
    }
    return;
  }
  take_out(splice);
  // The program has taken the rules out; their counts are in the event.
  direction->rule.packets += event.packets;
  direction->rule.bytes += event.bytes;
  peer.rule.packets += event.peer_packets;
  peer.rule.bytes += event.peer_bytes;
  remove(splice, SpliceEnd::kReused);
}

void SpliceTable::take_end(Splice& splice, Time now) {
  if (splice.split != nullptr && splice.seat != SpliceSeat::kUser) {
    const SpliceRecords kernels = in_kernel(splice);
    splice.directions[Splice::kUp].rule.state |= kernels.from_client.rule.state;
    splice.directions[Splice::kDown].rule.state |= kernels.from_server.rule.state;
  } else {
    surface(splice);
  }
  note_end(splice, now);
}

bool SpliceTable::find_end(Splice& splice, Time now) {
  if (splice.seat == SpliceSeat::kUser || splice.is_over() || splice.reset_noted) return false;
  SpliceRecords kernels = records(splice);
  if (!kernel_->read(kernels)) return remove(splice, SpliceEnd::kReused), true;
  const uint32_t state =
      splice.state() | kernels.from_client.rule.state | kernels.from_server.rule.state;
  if ((state & (FL_SPLICE_OVER | FL_SPLICE_RESET)) == 0) return false;
  return take_end(splice, now), true;
}

// ---- found after a restart ----

bool SpliceTable::adopt(const SplicePair& found, const Adoption& how, Time now) {
  SplicePair pair = found;
  pair.shard = how.shard;
  SpliceRecords kernels = records_of(pair);
  Splice* splice = create();
  if (splice == nullptr) {
    ++counters_.adopt_refused;
    kernel_->remove(kernels);
    return false;
  }
  Direction& up = splice->directions[Splice::kUp];
  Direction& down = splice->directions[Splice::kDown];
  up.tuple = pair.client;
  up.rule = kernels.from_client.rule;
  down.tuple = pair.server;
  down.rule = kernels.from_server.rule;
  splice->options = how.options;
  splice->split = how.split;
  splice->open = true;
  splice->spliced_at = std::min(now, Time(Duration(static_cast<int64_t>(pair.spliced_at))));
  splice->seat = kernel_->seat();
  sunk_.push_back(*splice);
  ++sunk_count_;
  for (Direction& direction : splice->directions) {
    index_.insert(direction);
    if (how.split != nullptr) how.split->add(direction.tuple);
    find_way(direction);  // if it can't be found now, the one the rule has will do
  }
  ++counters_.adopted;
  rewire(*splice);
  kernels = in_kernel(*splice);
  const uint32_t state =
      splice->state() | kernels.from_client.rule.state | kernels.from_server.rule.state;
  if ((state & (FL_SPLICE_OVER | FL_SPLICE_RESET)) != 0) {
    take_end(*splice, now);
  } else {
    timers_.arm(*splice, idle_check(*splice, status(*splice), now));
  }
  return true;
}

void SpliceTable::set_options(Splice& splice, const SpliceOptions& options, Time now) {
  splice.options = options;
  if (splice.is_over() || splice.is_reset()) return;
  timers_.arm(splice, idle_check(splice, status(splice), now));
}

// ---- all that has sunk ----

void SpliceTable::rewire(Splice& splice) {
  splice.way_changed = false;
  const Result<void> done = kernel_->rewire(records(splice));
  if (!done && done.error().code == Errc::kNotSupported) surface(splice);
}

void SpliceTable::refresh_way(Splice& splice, Time now) {
  for (Direction& direction : splice.directions) find_way(direction);
  if (!splice.way_changed) return;
  ++counters_.rewired;
  rewire(splice);
  if (splice.seat == SpliceSeat::kUser && splice.state() != 0) note_end(splice, now);
}

void SpliceTable::look_for_changes(Time now) {
  if (refreshed_generation_ != router_.generation()) {
    refreshed_generation_ = router_.generation();
    refresh_left_ = sunk_count_;
  }
  // What is lost during a sweep is the next one's.
  if (sunk_.empty() || sweep_left_ > 0 || now < look_for_losses_at_) return;
  look_for_losses_at_ = now + kLostEventsInterval;
  const uint64_t lost = kernel_->events_lost();
  if (std::exchange(swept_losses_, lost) == lost) return;
  sweep_left_ = sunk_count_;
  ++counters_.sweeps;
}

// One walk for both: it turns the list, and two would pass over what the other has turned.
void SpliceTable::walk_sunk(Time now) {
  refresh_left_ = std::min(refresh_left_, sunk_count_);
  sweep_left_ = std::min(sweep_left_, sunk_count_);
  const size_t step = std::min(std::max(refresh_left_, sweep_left_), kSunkStep);
  for (size_t i = 0; i < step && !sunk_.empty(); ++i) {
    Splice& splice = *sunk_.pop_front();
    sunk_.push_back(splice);
    if (i < sweep_left_ && find_end(splice, now)) continue;
    if (i < refresh_left_) refresh_way(splice, now);
  }
  refresh_left_ -= std::min(refresh_left_, step);
  sweep_left_ -= std::min(sweep_left_, step);
}

// ---- what the kernel has ----

SpliceRecords SpliceTable::in_kernel(const Splice& splice) const {
  if (splice.seat == SpliceSeat::kUser || kernel_ == nullptr) return {};
  SpliceRecords kernels = records(splice);
  return kernel_->read(kernels) ? kernels : SpliceRecords{};
}

const fl_splice_rule& SpliceTable::current_rule(const Direction& direction,
                                                const SpliceRecords& kernels) {
  if (direction.splice->seat == SpliceSeat::kUser) return direction.rule;
  return direction.way == Splice::kUp ? kernels.from_client.rule : kernels.from_server.rule;
}

}  // namespace fairlead::nic
