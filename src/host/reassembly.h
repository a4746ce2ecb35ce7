// Reassembly: bytes that arrived ahead of a gap, as a sorted list of disjoint ranges.
//
//   rcv.nxt        range        range
//      |   (gap)   [#####]  (gap) [####]
//
// Each range holds its own chain of chunks; ranges that touch are joined without copying, and when
// the gap before the first one closes its chain moves to the receive queue as it is.
//
// Bounds: kMaxRanges per connection (a segment that would need one more is dropped and counted),
// the receive window, and the stack's pools.
#pragma once

#include <cstdint>
#include <span>

#include "base/object_pool.h"
#include "base/seq_num.h"
#include "host/byte_chain.h"
#include "wire/tcp_options.h"

namespace fairlead::host {

struct Range {
  explicit Range(SeqNum s) : start(s) {}

  SeqNum end() const { return start + bytes.size(); }

  Range* next = nullptr;
  SeqNum start;
  uint32_t touched = 0;  // larger: more recently extended
  ByteChain bytes;
};

using RangePool = ObjectPool<Range>;

class Reassembly {
 public:
  static constexpr uint16_t kMaxRanges = 256;

  enum class Outcome : uint8_t { kStored, kDuplicate, kFull, kNoBuffer };

  bool empty() const { return head_ == nullptr; }
  uint32_t size() const { return size_; }
  uint16_t ranges() const { return count_; }

  /// Stores payload that begins at `seq`, after rcv.nxt. Bytes that are there already are not
  /// replaced. kDuplicate: nothing was new.
  Outcome insert(SeqNum seq, ByteSpan payload, RangePool& ranges, ChunkPool& chunks);

  /// rcv.nxt moved to `nxt`: appends what is now in order to `queue`; returns the new rcv.nxt.
  SeqNum take_ready(SeqNum nxt, ByteChain& queue, RangePool& ranges, ChunkPool& chunks);

  /// RFC 2018 §4: the most recently extended range first, then the next most recent.
  /// Fills `blocks`, returns how many.
  unsigned sack_blocks(std::span<wire::SackBlock> blocks) const;

  void clear(RangePool& ranges, ChunkPool& chunks);

 private:
  Range* head_ = nullptr;
  uint32_t size_ = 0;   // bytes in all ranges
  uint32_t stamp_ = 0;  // of the last insert
  uint16_t count_ = 0;
};

}  // namespace fairlead::host
