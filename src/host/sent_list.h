// SentList: the SACK scoreboard (RFC 6675 §3) and RACK's transmission times (RFC 8985 §5.1) in one
// list: what has been sent and not cumulatively acknowledged, as runs of sequence space that share
// their fate.
//
//   una                                                    nxt
//   [run: in flight][run: sacked][run: lost][run: in flight]
//
// A run begins as one transmission (a super-packet is one run, however many segments) and is split
// where an acknowledgement or a retransmission cuts it. Sizes include the FIN's octet.
//
// Bound: runs come from the stack's pool, which keeps one run per connection in reserve. When the
// rest is used up nothing fails: a new transmission extends the last run, and a split that cannot
// be made is not made, so that a partial SACK is forgotten and the bytes are sent once more.
#pragma once

#include <cstdint>

#include "base/intrusive_list.h"
#include "base/object_pool.h"
#include "base/seq_num.h"
#include "base/time.h"

namespace fairlead::host {

struct SentTag {};

struct SentRun : ListHook<SentTag> {
  SentRun(SeqNum s, uint32_t n, Time at) : start(s), size(n), sent_at(at) {}

  SeqNum end() const { return start + size; }
  bool in_flight() const { return !sacked && !lost; }

  SeqNum start;
  uint32_t size;  // > 0
  Time sent_at;   // last transmission
  bool sacked = false;
  bool lost = false;           // judged lost and not sent again yet
  bool retransmitted = false;  // sent more than once: no RTT sample (Karn)
};

/// Runs for all connections of a stack: one each in reserve, `spare` more to share.
class SentRunPool {
 public:
  SentRunPool(size_t connections, size_t spare)
      : reserve_(connections), pool_(connections + spare) {}

  /// For a connection whose list is empty: cannot fail.
  SentRun* create_first(SeqNum start, uint32_t size, Time at) {
    return pool_.create(start, size, at);
  }
  /// For a list that has runs already; nullptr when only the reserve is left.
  SentRun* create_more(SeqNum start, uint32_t size, Time at) {
    return pool_.live() + reserve_ < pool_.capacity() ? pool_.create(start, size, at) : nullptr;
  }
  void destroy(SentRun* run) { pool_.destroy(run); }
  size_t live() const { return pool_.live(); }

 private:
  size_t reserve_;
  ObjectPool<SentRun> pool_;
};

class SentList {
 public:
  using Runs = IntrusiveList<SentRun, SentTag>;

  bool empty() const { return runs_.empty(); }
  Runs& runs() { return runs_; }
  const Runs& runs() const { return runs_; }

  /// Bytes, of all runs, of those SACKed, of those judged lost.
  uint32_t total() const { return total_; }
  uint32_t sacked() const { return sacked_; }
  uint32_t lost() const { return lost_; }
  /// RFC 6675's pipe: sent, and neither delivered nor judged lost.
  uint32_t in_flight() const { return total_ - sacked_ - lost_; }

  /// New data [start, start + size) was sent. start is the end of what was sent before.
  void append(SeqNum start, uint32_t size, Time now, SentRunPool& pool);

  /// Cuts `run` at `at` (inside it); the new run after it has the same state. False at the bound.
  bool split(SentRun& run, SeqNum at, SentRunPool& pool);

  void mark_sacked(SentRun& run);
  void mark_lost(SentRun& run);
  /// It was late, not lost.
  void mark_not_lost(SentRun& run);
  /// A lost or in-flight run was sent again.
  void mark_retransmitted(SentRun& run, Time now);
  /// Everything not SACKed becomes lost.
  void mark_all_lost();
  /// The peer threw away what it had SACKed (RFC 2018 §8: it may).
  void forget_sacks();

  /// Removes the run at the front, which `ack` covers wholly, or trims it if partly.
  void acknowledge_front(SeqNum ack, SentRunPool& pool);
  void clear(SentRunPool& pool);

  /// The first run judged lost; nullptr if none.
  SentRun* first_lost();

 private:
  Runs runs_;
  uint32_t total_ = 0;
  uint32_t sacked_ = 0;
  uint32_t lost_ = 0;
};

}  // namespace fairlead::host
