// Flows that the kernel's programs decide for: given once all is sent, taken back for whatever
// comes up, looked at where a timer would act on them, and now and then. What the programs have
// decided goes through the transitions that the same packets would have made here.
#include "nic/teardown/teardown.h"

namespace fairlead::nic {

void Teardown::give(Flow& flow, Time now) {
  const FlowState& state = state_of(flow);
  if (!kernel_ || flow.no_entry || flow.next != state.end()) return;
  if (flow.entry == nullptr) {
    flow.entry = kernel_->reserve({.tuple = flow.tuple,
                                   .end = state.end(),
                                   .fin_seq = state.rcv_nxt() - (state.peer_closed() ? 1 : 0),
                                   .ts_offset = flow.ts_offset,
                                   .window = flow.window,
                                   .timestamps = state.has(FlowState::kTimestamps)});
    flow.no_entry = flow.entry == nullptr;
    ++(flow.no_entry ? counters_.kernel_table_full : counters_.given_to_kernel);
    if (flow.no_entry) return;
  }
  const Duration longest = options_.fin_wait_2 + options_.time_wait + kGiftMargin;
  flow.word = TeardownTable::give(*flow.entry, state, now + longest);
  flow.given = true;
  const bool listed = IntrusiveList<Flow, GivenTag>::is_linked(flow);
  if (!listed && state.state != TeardownState::kTimeWait) given_.push_back(flow);
}

Teardown::Since Teardown::take_back(Flow& flow, Time now) {
  if (!flow.given) return Since::kSame;
  flow.given = false;
  return learn(flow, TeardownTable::take_back(*flow.entry), now);
}

Teardown::Since Teardown::catch_up(Flow& flow, Time now) {
  if (!flow.given) return Since::kSame;
  return learn(flow, TeardownTable::read(*flow.entry), now);
}

Teardown::Since Teardown::learn(Flow& flow, const TeardownNews& news, Time now) {
  if (news.word == flow.word && !news.closed_again) return Since::kSame;
  flow.word = news.word;
  FlowState& state = state_of(flow);
  const TeardownState before = state.state;
  state.ts_recent = news.ts_recent;
  if (news.fin_acked && !state.all_acked()) {
    ++counters_.acked_in_kernel;
    on_advance(flow, state.end(), now);
    on_all_acked(flow, now);
    if (before == TeardownState::kLastAck) return Since::kGone;
  }
  if (news.peer_closed && !state.peer_closed()) {
    ++counters_.closed_in_kernel;
    on_fin(flow, now);
  }
  if (news.closed_again) rest_again(flow, now);
  return state.state == before ? Since::kSame : Since::kMoved;
}

void Teardown::look_at_given(size_t most, Time now) {
  if (given_.empty()) return;
  const Flow* const last = &given_.back();
  bool more = true;
  for (size_t looks = 0; more && looks < most; ++looks) {
    Flow& flow = given_.front();
    more = &flow != last;
    given_.erase(flow);
    given_.push_back(flow);
    __builtin_prefetch(given_.front().entry);
    catch_up(flow, now);
  }
}

}  // namespace fairlead::nic
