// RunHeaders: the headers of an aggregate's first segment, and a short way to read the next one.
//
// Nearly every packet is the next in sequence of a run, and its headers are the first one's but for
// a few fields:
//
//   Ethernet, tags     all the same
//   IPv4               total length, ID, checksum             IPv6   payload length
//   TCP                seq, ACK, PSH, window, checksum        timestamps   TSval, TSecr
//
// The first segment went through read_segment() and has no obstacle. So in a frame that equals it
// everywhere else, which one masked comparison tells, all that read_segment() and
// header_mismatch() look at there is as it should be, and what is left are the fields above. Other
// frames are theirs.
#pragma once

#include <array>

#include "nic/aggregate/segment.h"

namespace fairlead::nic {

class RunHeaders {
 public:
  /// Segment::kMaxHeaders in whole words. A shorter frame is not compared.
  static constexpr size_t kCompared = 96;
  static_assert(kCompared >= Segment::kMaxHeaders && kCompared % sizeof(uint64_t) == 0);
  using Mask = std::array<uint64_t, kCompared / sizeof(uint64_t)>;

  /// `first` has no obstacle.
  void set(const Segment& first);

  const HeaderLayout& layout() const { return layout_; }
  ByteSpan bytes() const { return ByteSpan(bytes_).first(layout_.payload); }
  /// To be changed only where the next segment's may differ.
  MutableByteSpan bytes() { return MutableByteSpan(bytes_).first(layout_.payload); }

  /// True: `packet` is a segment without obstacle of the same connection whose headers match and
  /// whose sequence number is `next`, and `out` is what read_segment() makes of it, without
  /// fields.arrived. False says nothing.
  bool read_next(const port::RxPacket& packet, PayloadSum wanted, SeqNum next,
                 SegmentFields& out) const;

 private:
  bool same_but_for_fields(ByteSpan frame) const;

  alignas(16) std::array<uint8_t, kCompared> bytes_{};
  const Mask* mask_ = nullptr;
  HeaderLayout layout_;
  uint16_t ip_sum_ = 0;  // IPv4: of the fields that may differ, folded: the same for all
};

}  // namespace fairlead::nic
