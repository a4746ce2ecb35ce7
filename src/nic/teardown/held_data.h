// HeldData: the bytes of a flow that its peer has not acknowledged, kept for retransmission in
// chunks from a pool that all flows share.
//
//   begin()          end()      bytes, not packets: a segment is built anew when it is sent, with
//     |                |        the acknowledgement and timestamps of that moment
//   [chunk] → [chunk] → [chunk]
//
// Bound: the pool's capacity; hold() refuses beyond it.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "base/bytes.h"
#include "base/object_pool.h"
#include "base/seq_num.h"
#include "port/packet.h"

namespace fairlead::nic {

struct HeldChunk {
  /// With the pointer 1 KiB: a short answer wastes little, a segment of 1,460 bytes lies in two or
  /// three.
  static constexpr uint32_t kCapacity = 1016;

  HeldChunk* next = nullptr;
  std::array<uint8_t, kCapacity> bytes;  // deliberately left as it is
};
using HeldPool = ObjectPool<HeldChunk>;

class HeldData {
 public:
  /// What a packet can refer to, wherever it begins, bytes.
  static constexpr uint32_t kMaxSegment =
      (port::TxPacket::kMaxPayloadSpans - 1) * HeldChunk::kCapacity;

  /// Copies `data`; its first byte has sequence number `begin`. Holds nothing yet. False: the pool
  /// has not enough chunks, and nothing is held.
  bool hold(SeqNum begin, std::span<const ByteSpan> data, HeldPool& pool);
  /// Gives back what lies before `until`, whole chunks. All of it: release().
  void trim(SeqNum until, HeldPool& pool);
  void release(HeldPool& pool);

  /// Appends the bytes [at, at + size), which are held, to the packet's payload; size is at most
  /// kMaxSegment.
  void append_to(port::TxPacket& packet, SeqNum at, uint32_t size) const;

 private:
  HeldChunk* first_ = nullptr;
  SeqNum begin_;  // of first_
};

}  // namespace fairlead::nic
