// Aggregate: what has been gathered of one connection and not been sent yet, in one buffer.
//
//              base                    base + run.size
//   ┌─────────┬──────────────────────────┬───────┬────────────┬───┬──────┐
//   │ headers │ run: segment, segment ...│  hole │ held, held │   │ held │
//   └─────────┴──────────────────────────┴───────┴────────────┴───┴──────┘
//   of the first segment                  payload lies where its sequence number says
//
// The run is in order and leaves as one packet, for which the headers are brought up to date in
// place. Held segments came early: they are already where they belong, so when the hole before them
// is filled they join the run without a copy. When the run has left, rebase() moves what is held to
// the front, so that a late segment is waited for across packets, too.
//
// An aggregate knows what may follow what; when to send, the Aggregator decides.
#pragma once

#include <array>
#include <optional>

#include "base/intrusive_list.h"
#include "nic/aggregate/segment.h"

namespace fairlead::nic {

struct Context;

/// The segments of a run, which will be one packet.
struct Run {
  SegmentFields first;
  SegmentFields last;
  uint32_t count = 0;        // segments
  uint32_t size = 0;         // payload, bytes
  uint64_t sum = 0;          // of the payload (wire/checksum.h)
  uint8_t flags = 0;         // ACK, and PSH and FIN of any
  bool same_ip_id = false;   // all have the first one's IP ID
  Time earliest{};           // arrival
  Duration arrived_later{};  // than `earliest`, sum over all segments
};

/// In the list of those that are open or of those that are free.
class Aggregate : public ListHook<Aggregate> {
 public:
  /// What one buffer can hold early. Of 1500-byte packets that is reordering across 48 KiB.
  static constexpr size_t kMaxHeld = 32;
  static constexpr size_t kHeadroom = 96;
  static_assert(kHeadroom >= Segment::kMaxHeaders);

  /// The buffer is of kHeadroom + max_size bytes and outlives this. max_size: of an IP packet.
  void use_buffer(MutableByteSpan buffer);

  /// Begins with the headers of `segment` and no payload; `base` is where the buffer begins.
  void open(Context& context, const Segment& segment, SeqNum base, Time deadline);

  Context& context() const { return *context_; }
  Time deadline() const { return deadline_; }
  const HeaderLayout& layout() const { return layout_; }
  ByteSpan headers() const { return {payload_ - layout_.payload, layout_.payload}; }
  const Run& run() const { return run_; }
  size_t held() const { return held_count_; }
  bool empty() const { return run_.count == 0 && held_count_ == 0; }
  /// Of the run as an IP packet, bytes.
  size_t ip_size() const { return size_t{layout_.payload} - layout_.l3 + run_.size; }

  /// Does its payload have a place in the buffer?
  bool has_place(const SegmentFields& fields) const;
  bool overlaps_held(const SegmentFields& fields) const;
  /// Why the run cannot go on with a segment which is next in sequence; the headers are equal.
  std::optional<FlushReason> obstacle(const SegmentFields& fields) const;

  /// Copies payload to where it belongs; it has a place.
  void place(const SegmentFields& fields, ByteSpan payload);
  /// The run goes on with `fields`, which are next in sequence and placed.
  void append(const SegmentFields& fields);
  /// A placed segment waits for what precedes it; held() < kMaxHeld, and it overlaps no other.
  void hold(const SegmentFields& fields);
  /// The earliest of what is held, in sequence; held() > 0.
  const SegmentFields& first_held() const { return held_[0]; }
  SegmentFields take_held();

  /// The run as a frame with lengths and checksums; the TCP checksum field has the pseudo header's
  /// folded sum if `partial`. Valid until the next call of any other function.
  ByteSpan finish(bool partial);
  /// The run has left: the buffer begins at `base`, at or before what is held.
  void rebase(SeqNum base);

 private:
  uint32_t offset_of(SeqNum seq) const { return seq.value() - base_.value(); }
  bool ip_id_follows(uint16_t id) const;
  void write_ip(MutableByteSpan frame) const;
  void write_tcp(MutableByteSpan frame, bool partial) const;

  Context* context_ = nullptr;
  uint8_t* payload_ = nullptr;  // behind the headroom
  uint32_t capacity_ = 0;       // of the buffer behind the headroom, bytes; also of an IP packet
  SeqNum base_;
  Time deadline_;  // AgTimer
  HeaderLayout layout_;
  bool dont_fragment_ = false;
  uint16_t held_count_ = 0;
  Run run_;
  std::array<SegmentFields, kMaxHeld> held_;  // in sequence
};

}  // namespace fairlead::nic
