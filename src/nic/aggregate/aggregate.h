// Aggregate: what has been gathered of one connection and not been sent yet, in one buffer.
//
//              base                    base + run.size
//   ┌─────────┬──────────────────────────┬───────┬────────────┬───┬──────┐
//   │ headers │ run: segment, segment ...│  hole │ held, held │   │ held │
//   └─────────┴──────────────────────────┴───────┴────────────┴───┴──────┘
//   of the first segment                  payload lies where its sequence number says
//
// The run is in order and leaves as one packet, for which the headers are brought up to date. Held
// segments came early: they are already where they belong, so when the hole before them is filled
// they join the run without a copy. When the run has left, rebase() moves what is held to the
// front, so that a late segment is waited for across packets, too.
//
// Headers are gathered beside it, and copied before the payload when it leaves. Chained, payload
// stays in the frames it came in: there is nothing in the buffer, and the run is a list of
// fragments.
//
// An aggregate knows what may follow what; when to send, the Aggregator decides.
#pragma once

#include <array>
#include <bit>
#include <cstring>
#include <optional>

#include "base/check.h"
#include "base/intrusive_list.h"
#include "nic/aggregate/aggregate_config.h"
#include "nic/aggregate/run_headers.h"
#include "nic/aggregate/segment.h"
#include "port/rx_buffer.h"

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
  static_assert(kHeadroom + AggregateConfig::kMaxAggregate <= port::RxBuffer::kCapacity);

  /// Of a chained aggregate, segments. 64 KiB are 45 of 1448 bytes.
  static constexpr size_t kMaxFragments = 64;

  struct Memory {
    port::RxBuffer* buffer = nullptr;
    size_t max_size = 0;  // of an IP packet, bytes
    bool chained = false;
  };
  /// Once. The buffer outlives this, unless it is taken out of the slot.
  void use(const Memory& memory);
  port::RxBuffer* buffer() const { return buffer_; }

  /// Begins with the headers of `segment` and no payload; `base` is where the buffer begins.
  void open(Context& context, const Segment& segment, SeqNum base, Time deadline);

  Context& context() const { return *context_; }
  Time deadline() const { return deadline_; }
  const RunHeaders& headers() const { return headers_; }
  const Run& run() const { return run_; }
  size_t held() const { return held_count_; }
  bool empty() const { return run_.count == 0 && held_count_ == 0; }
  /// Of the run as an IP packet, bytes.
  size_t ip_size() const { return size_t{layout().payload} - layout().l3 + run_.size; }

  /// Does its payload have a place in the buffer?
  bool has_place(const SegmentFields& fields) const;
  bool overlaps_held(const SegmentFields& fields) const;
  /// Why the run cannot go on with a segment which is next in sequence; the headers are equal.
  std::optional<FlushReason> obstacle(const SegmentFields& fields) const;

  /// Copies payload to where it belongs, unless chained; it has a place.
  void place(const SegmentFields& fields);
  /// The run goes on with `fields`, which are next in sequence and placed.
  void append(const SegmentFields& fields);
  /// A placed segment waits for what precedes it; held() < kMaxHeld, and it overlaps no other.
  void hold(const SegmentFields& fields);
  /// The earliest of what is held, in sequence; held() > 0.
  const SegmentFields& first_held() const { return held_[0]; }
  SegmentFields take_held();

  /// The run as a frame with lengths and checksums; the TCP checksum field has the pseudo header's
  /// folded sum if `partial`. Chained, the frame is headers and the payload is fragments(). Valid
  /// until the next call of any other function.
  ByteSpan finish(bool partial);
  std::span<const ByteSpan> fragments() const {
    return std::span(fragments_).first(chained_ ? run_.count : 0);
  }
  /// Chained, with a run of one segment: the frame as it came.
  ByteSpan only_frame() const {
    return {run_.first.payload - layout().payload, layout().payload + run_.size};
  }
  /// Where whoever gets the run may take its buffer from, leaving another; nullptr when something
  /// is in it that has not left.
  port::RxBuffer** buffer_slot() { return held_count_ == 0 && !chained_ ? &buffer_ : nullptr; }
  /// The run has left: the buffer begins at `base`, at or before what is held.
  void rebase(SeqNum base);

 private:
  const HeaderLayout& layout() const { return headers_.layout(); }
  uint32_t offset_of(SeqNum seq) const { return seq.value() - base_.value(); }
  bool ip_id_follows(uint16_t id) const;
  void write_ip();
  void write_tcp(bool partial);

  RunHeaders headers_;
  Context* context_ = nullptr;
  port::RxBuffer* buffer_ = nullptr;
  uint8_t* payload_ = nullptr;  // in the buffer, behind the headroom
  uint32_t capacity_ = 0;       // of the buffer behind the headroom, bytes; also of an IP packet
  SeqNum base_;
  Time deadline_;  // AgTimer
  bool dont_fragment_ = false;
  bool chained_ = false;
  uint16_t held_count_ = 0;
  Run run_;
  std::array<ByteSpan, kMaxFragments> fragments_;  // of the run, when chained
  std::array<SegmentFields, kMaxHeld> held_;       // in sequence
};

// ---- for every packet ----

inline bool Aggregate::has_place(const SegmentFields& fields) const {
  const uint32_t offset = offset_of(fields.seq);
  return offset <= capacity_ && fields.size <= capacity_ - offset;
}

inline bool Aggregate::overlaps_held(const SegmentFields& fields) const {
  for (size_t i = 0; i < held_count_; ++i) {
    if (held_[i].seq.before(fields.end()) && fields.seq.before(held_[i].end())) return true;
  }
  return false;
}

inline bool Aggregate::ip_id_follows(uint16_t id) const {
  // inet_gro_flush() of Linux: with the second packet it shows whether IDs count or, where nobody
  // will ever need them (DF, RFC 6864 §4.1), stay.
  const auto distance = static_cast<uint16_t>(id - run_.first.ip_id);
  if (run_.count == 1 && dont_fragment_ && distance == 0) return true;
  return distance == (run_.same_ip_id ? 0 : static_cast<uint16_t>(run_.count));
}

inline std::optional<FlushReason> Aggregate::obstacle(const SegmentFields& fields) const {
  if (run_.count == 0) return std::nullopt;
  if (fields.size > run_.first.size) return FlushReason::kLongerSegment;
  if (ip_size() + fields.size > capacity_) return FlushReason::kFull;
  if (chained_ && run_.count == kMaxFragments) return FlushReason::kFull;
  if (!layout().ipv6 && !ip_id_follows(fields.ip_id)) return FlushReason::kIpId;
  if (fields.ack.before(run_.last.ack)) return FlushReason::kAck;
  // RFC 7323 §4.3: TSval does not go back.
  const SeqNum value(fields.timestamps.value), last_value(run_.last.timestamps.value);
  if (layout().timestamps && value.before(last_value)) return FlushReason::kTimestamp;
  return std::nullopt;
}

inline void Aggregate::place(const SegmentFields& fields) {
  CHECK(has_place(fields));
  if (!chained_) std::memcpy(payload_ + offset_of(fields.seq), fields.payload, fields.size);
}

inline void Aggregate::append(const SegmentFields& fields) {
  CHECK(offset_of(fields.seq) == run_.size);
  if (chained_) fragments_[run_.count] = {fields.payload, fields.size};
  if (run_.count == 0) {
    run_.first = fields;
    run_.earliest = fields.arrived;
  } else if (run_.count == 1) {
    run_.same_ip_id = fields.ip_id == run_.first.ip_id;
  }
  if (fields.arrived < run_.earliest) {
    run_.arrived_later += run_.count * (run_.earliest - fields.arrived);
    run_.earliest = fields.arrived;
  }
  run_.arrived_later += fields.arrived - run_.earliest;
  // Behind an odd number of bytes a folded sum counts swapped (RFC 1071 §2(B)).
  run_.sum += run_.size % 2 == 0 ? fields.sum : std::byteswap(fields.sum);
  run_.flags |= fields.flags;
  run_.last = fields;
  run_.size += fields.size;
  ++run_.count;
}

}  // namespace fairlead::nic
