#include "host/reassembly.h"

#include <algorithm>

namespace fairlead::host {

Reassembly::Outcome Reassembly::insert(SeqNum seq, ByteSpan payload, RangePool& ranges,
                                       ChunkPool& chunks) {
  SeqNum end = seq + static_cast<uint32_t>(payload.size());
  bool stored = false;
  ++stamp_;
  // `link` is where the pointer to the next range is kept; `before` is the range it belongs to.
  Range* before = nullptr;
  Range** link = &head_;
  while (*link != nullptr && (*link)->start.at_or_before(seq)) {
    before = *link;
    link = &before->next;
  }
  while (seq.before(end)) {
    if (before != nullptr && seq.before(before->end())) {  // already there
      before->touched = stamp_;
      seq = min(before->end(), end);
    }
    Range* after = *link;
    SeqNum stop = after != nullptr ? min(after->start, end) : end;
    if (seq.before(stop)) {
      if (before == nullptr || before->end() != seq) {
        if (count_ == kMaxRanges) return Outcome::kFull;
        Range* range = ranges.create(seq);
        if (range == nullptr) return Outcome::kNoBuffer;
        range->next = after;
        *link = range;
        before = range;
        ++count_;
      }
      auto offset = payload.size() - static_cast<size_t>(end - seq);
      auto want = static_cast<uint32_t>(stop - seq);
      uint32_t got = before->bytes.append(payload.subspan(offset, want), chunks);
      size_ += got;
      before->touched = stamp_;
      stored = stored || got > 0;
      seq += got;
      if (got < want) {
        if (before->bytes.empty()) {
          Range** at = &head_;
          while (*at != before) at = &(*at)->next;
          *at = before->next;
          ranges.destroy(before);
          --count_;
        }
        return Outcome::kNoBuffer;
      }
    }
    if (after == nullptr || seq != after->start) break;
    if (before != nullptr && before->end() == seq) {  // they touch: one range from here on
      before->bytes.join(std::move(after->bytes));
      before->next = after->next;
      before->touched = stamp_;
      ranges.destroy(after);
      --count_;
    } else {
      before = after;
    }
    link = &before->next;
  }
  return stored ? Outcome::kStored : Outcome::kDuplicate;
}

SeqNum Reassembly::take_ready(SeqNum nxt, ByteChain& queue, RangePool& ranges, ChunkPool& chunks) {
  while (head_ != nullptr && head_->start.at_or_before(nxt)) {
    Range* range = head_;
    uint32_t old = std::min(static_cast<uint32_t>(nxt - range->start), range->bytes.size());
    size_ -= range->bytes.size();
    range->bytes.drop_front(old, chunks);
    nxt += range->bytes.size();
    queue.join(std::move(range->bytes));
    head_ = range->next;
    ranges.destroy(range);
    --count_;
  }
  return nxt;
}

unsigned Reassembly::sack_blocks(std::span<wire::SackBlock> blocks) const {
  unsigned n = 0;
  uint32_t below = UINT32_MAX;  // stamps are unique but for ranges extended by one segment
  const Range* last = nullptr;
  while (n < blocks.size()) {
    const Range* best = nullptr;
    bool past_last = last == nullptr;
    for (const Range* range = head_; range != nullptr; range = range->next) {
      bool candidate = range->touched < below || (range->touched == below && past_last);
      if (range == last) past_last = true;
      if (candidate && range != last && (best == nullptr || range->touched > best->touched)) {
        best = range;
      }
    }
    if (best == nullptr) break;
    blocks[n++] = {best->start, best->end()};
    below = best->touched;
    last = best;
  }
  return n;
}

void Reassembly::clear(RangePool& ranges, ChunkPool& chunks) {
  while (Range* range = head_) {
    head_ = range->next;
    range->bytes.clear(chunks);
    ranges.destroy(range);
  }
  size_ = 0;
  count_ = 0;
}

}  // namespace fairlead::host
