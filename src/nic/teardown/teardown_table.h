// TeardownTable: one shard's part of the table by which the kernel's programs decide for flows in
// teardown, and the process's side of it (teardown_tables.h).
//
// The buckets are all shards'; a flow's is found by the hash that spreads packets over shards, so
// that a shard's are its own, and nobody else in the process writes there. Nothing here makes a
// system call.
//
// Bound: FL_TEARDOWN_WAYS flows a bucket; reserve() refuses beyond it, and the flow's packets go
// on coming up.
#pragma once

#include <cstdint>
#include <span>

#include "base/time.h"
#include "nic/teardown/flow_state.h"
#include "nic/teardown/teardown_tables.h"
#include "wire/address.h"

namespace fairlead::nic {

/// A flow that is given to the programs: what they need of it beside its state.
struct TeardownGift {
  FourTuple tuple;
  SeqNum end;      // behind our FIN
  SeqNum fin_seq;  // of the peer's FIN, whether it has come or not
  uint32_t ts_offset = 0;
  uint16_t window = 0;  // the header's field
  bool timestamps = false;
};

/// What has become of it: fl_teardown_entry.word, read.
struct TeardownNews {
  uint64_t word = 0;  // without FL_TEARDOWN_AGAIN
  uint32_t ts_recent = 0;
  bool fin_acked = false;     // ours
  bool peer_closed = false;   // its FIN has come, and was answered
  bool closed_again = false;  // in TIME-WAIT, another, since this was last read
};

class TeardownTable {
 public:
  struct Options {
    std::span<fl_teardown_bucket> buckets;  // of all shards, as many for each; outlives this
    unsigned shard = 0;
    unsigned shards = 1;
    uint64_t hash_seed = 0;
  };
  explicit TeardownTable(const Options& options) : options_(options) {}

  /// An entry for the flow, held: the programs let its packets pass. nullptr: there is no room, or
  /// its packets come to another shard.
  fl_teardown_entry* reserve(const TeardownGift& gift);
  /// From here on the programs decide, until `until` at the latest. Returns the word.
  static uint64_t give(fl_teardown_entry& entry, const FlowState& state, Time until);
  static TeardownNews read(fl_teardown_entry& entry);
  /// They no longer do: held, as after reserve().
  static TeardownNews take_back(fl_teardown_entry& entry);
  /// The entry is no flow's any more.
  static void release(fl_teardown_entry& entry);

 private:
  Options options_;
};

}  // namespace fairlead::nic
