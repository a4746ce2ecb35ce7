#include "host/sent_list.h"

#include "base/check.h"

namespace fairlead::host {

void SentList::append(SeqNum start, uint32_t size, Time now, SentRunPool& pool) {
  CHECK(size > 0);
  total_ += size;
  if (!runs_.empty()) {
    SentRun& last = runs_.back();
    CHECK(last.end() == start);
    if (last.sent_at == now && last.in_flight() && !last.retransmitted) {
      last.size += size;
      return;
    }
  }
  SentRun* run =
      runs_.empty() ? pool.create_first(start, size, now) : pool.create_more(start, size, now);
  if (run != nullptr) {
    runs_.push_back(*run);
    return;
  }
  CHECK(!runs_.empty());
  SentRun& last = runs_.back();
  if (last.sacked) sacked_ -= last.size;
  if (last.lost) lost_ -= last.size;
  last.sacked = last.lost = false;
  last.size += size;
  last.sent_at = now;
}

bool SentList::split(SentRun& run, SeqNum at, SentRunPool& pool) {
  CHECK(at.after(run.start) && at.before(run.end()));
  SentRun* rest = pool.create_more(at, static_cast<uint32_t>(run.end() - at), run.sent_at);
  if (rest == nullptr) return false;
  rest->sacked = run.sacked;
  rest->lost = run.lost;
  rest->retransmitted = run.retransmitted;
  run.size -= rest->size;
  runs_.insert_after(run, *rest);
  return true;
}

void SentList::mark_sacked(SentRun& run) {
  if (run.sacked) return;
  mark_not_lost(run);
  run.sacked = true;
  sacked_ += run.size;
}

void SentList::mark_lost(SentRun& run) {
  if (!run.in_flight()) return;
  run.lost = true;
  lost_ += run.size;
}

void SentList::mark_not_lost(SentRun& run) {
  if (run.lost) lost_ -= run.size;
  run.lost = false;
}

void SentList::mark_retransmitted(SentRun& run, Time now) {
  mark_not_lost(run);
  run.retransmitted = true;
  run.sent_at = now;
}

void SentList::mark_all_lost() {
  for (SentRun& run : runs_) mark_lost(run);
}

void SentList::forget_sacks() {
  for (SentRun& run : runs_) run.sacked = false;
  sacked_ = 0;
}

void SentList::acknowledge_front(SeqNum ack, SentRunPool& pool) {
  SentRun& run = runs_.front();
  bool whole = run.end().at_or_before(ack);
  uint32_t n = whole ? run.size : static_cast<uint32_t>(ack - run.start);
  total_ -= n;
  if (run.sacked) sacked_ -= n;
  if (run.lost) lost_ -= n;
  if (whole) {
    runs_.pop_front();
    pool.destroy(&run);
  } else {
    run.start = ack;
    run.size -= n;
  }
}

void SentList::clear(SentRunPool& pool) {
  while (!runs_.empty()) {
    SentRun& run = runs_.front();
    runs_.pop_front();
    pool.destroy(&run);
  }
  total_ = sacked_ = lost_ = 0;
}

SentRun* SentList::first_lost() {
  if (lost_ == 0) return nullptr;
  for (SentRun& run : runs_) {
    if (run.lost) return &run;
  }
  return nullptr;
}

}  // namespace fairlead::host
