// BorrowedSpans: in-order payload that still lies in the packets of the current receive burst.
//
// When nothing is queued before it, payload is handed to the reader where it is. What the reader
// has not taken by the end of the burst is kept (Stack::settle()): large payload with its buffer,
// small payload by a copy. So a fast reader of small packets costs no copy. The table is one per
// stack and lives for one burst; each connection holds the head and tail of its list in it.
//
// Bound: kCapacity spans; beyond it payload is copied at once.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "base/bytes.h"
#include "base/check.h"
#include "port/rx_buffer.h"

namespace fairlead::host {

class BorrowedSpans {
 public:
  static constexpr uint16_t kNone = 0xffff;
  static constexpr size_t kCapacity = 1024;

  /// A connection's list. Empty when head is kNone.
  struct List {
    uint16_t head = kNone;
    uint16_t tail = kNone;
    uint32_t size = 0;      // bytes
    uint32_t promised = 0;  // chunks for what of them is not read by the end of the burst
  };

  BorrowedSpans() { entries_.reserve(kCapacity); }

  bool full() const { return entries_.size() == kCapacity; }

  /// `buffer`: where the bytes lie, if it may be taken.
  void push(List& list, ByteSpan bytes, port::RxBuffer** buffer) {
    CHECK(!full());
    auto at = static_cast<uint16_t>(entries_.size());
    entries_.push_back({bytes, buffer, kNone});
    (list.tail == kNone ? list.head : entries_[list.tail].next) = at;
    list.tail = at;
    list.size += static_cast<uint32_t>(bytes.size());
  }

  ByteSpan front(const List& list) const {
    return list.head == kNone ? ByteSpan() : entries_[list.head].bytes;
  }

  /// Copies the first bytes, as many as there are or `into` takes.
  size_t copy_front(const List& list, MutableByteSpan into) const {
    size_t copied = 0;
    for (uint16_t at = list.head; at != kNone && copied < into.size(); at = entries_[at].next) {
      const ByteSpan bytes = entries_[at].bytes;
      const size_t n = std::min(bytes.size(), into.size() - copied);
      std::copy_n(bytes.begin(), n, into.begin() + static_cast<ptrdiff_t>(copied));
      copied += n;
    }
    return copied;
  }

  /// The first run, if it has at most `limit` bytes, as a buffer of its own, which leaves the list;
  /// nullptr when it must be copied.
  port::Buffer* take_front(List& list, size_t limit) {
    if (list.head == kNone) return nullptr;
    const Entry& entry = entries_[list.head];
    if (entry.bytes.size() > limit) return nullptr;
    port::Buffer* taken = port::take_buffer(entry.buffer, entry.bytes);
    if (taken != nullptr) drop_front(list, taken->size());
    return taken;
  }

  /// n <= list.size
  void drop_front(List& list, uint32_t n) {
    CHECK(n <= list.size);
    list.size -= n;
    while (n > 0) {
      Entry& entry = entries_[list.head];
      size_t here = n < entry.bytes.size() ? n : entry.bytes.size();
      entry.bytes = entry.bytes.subspan(here);
      n -= static_cast<uint32_t>(here);
      if (entry.bytes.empty()) list.head = entry.next;
    }
    if (list.head == kNone) list.tail = kNone;
  }

  /// The burst is over and every list was emptied.
  void reset() { entries_.clear(); }

 private:
  struct Entry {
    ByteSpan bytes;
    port::RxBuffer** buffer;
    uint16_t next;
  };
  std::vector<Entry> entries_;
};

}  // namespace fairlead::host
