// KernelSeat: the rules that the kernel's programs apply (bpf/splice.bpf.c), for all shards. The
// calls are the kernel's own and may come from any thread.
#pragma once

#include <cstdint>
#include <functional>

#include "base/result.h"
#include "nic/splice/rule.h"
#include "nic/splice/splice.h"

namespace fairlead::nic {

class KernelSeat {
 public:
  virtual ~KernelSeat() = default;

  virtual SpliceSeat seat() const = 0;
  /// Both rules or neither. ENOBUFS: the table is full. ENOTSUP: the way out is not one this seat
  /// can send by.
  virtual Result<void> install(const SpliceRecords& records) = 0;
  /// Gives both rules the way out and the shard that `records` have, in place: what packets change
  /// in them stays. Takes back send_up(). ENOENT: one of the rules is gone. ENOTSUP as install().
  virtual Result<void> rewire(const SpliceRecords& records) = 0;
  /// From now on packets of both rules come to the process, to the shard that `records` have. What
  /// the programs have seen of the end before is in the next read() or remove(): what they see
  /// later has no effect.
  virtual void send_up(const SpliceRecords& records) = 0;
  /// Brings the records' counters and state up to date; false: one of the rules is gone, and has
  /// counted nothing.
  virtual bool read(SpliceRecords& records) = 0;
  /// read(), and takes both rules out.
  virtual bool remove(SpliceRecords& records) = 0;
  /// Calls handle with what was told about the rules of `shard` since.
  virtual void poll_events(unsigned shard,
                           const std::function<void(const fl_splice_event&)>& handle) = 0;
  /// Readable when poll_events(shard) has something.
  virtual int event_fd(unsigned shard) const = 0;
  /// Events of all shards that had no room and will never be told.
  virtual uint64_t events_lost() const = 0;
};

}  // namespace fairlead::nic
