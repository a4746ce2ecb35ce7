// Segment: a frame that is a candidate for aggregation, and what the aggregator wants to know of
// it.
//
// A candidate is one legal TCP segment in one legal IPv4 packet without options, or IPv6 packet
// without extension headers, that is no fragment, its checksums right, behind at most two VLAN
// tags. Whether it can be merged is another question (`obstacle`): one that cannot still belongs to
// a connection, and may not overtake what was gathered of it.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <optional>

#include "base/seq_num.h"
#include "base/time.h"
#include "nic/aggregate/aggregate_counters.h"
#include "port/packet.h"
#include "wire/address.h"
#include "wire/tcp_options.h"

namespace fairlead::nic {

/// One direction of one connection. No padding: it is hashed and compared as it is.
struct ConnectionKey {
  static constexpr uint16_t kNoTag = 0xffff;

  FourTuple tuple;  // local is the source
  uint16_t outer_vlan = kNoTag;
  uint16_t inner_vlan = kNoTag;

  friend bool operator==(const ConnectionKey& a, const ConnectionKey& b) {
    const auto x = std::bit_cast<Words>(a), y = std::bit_cast<Words>(b);
    return ((x[0] ^ y[0]) | (x[1] ^ y[1]) | (x[2] ^ y[2]) | (x[3] ^ y[3]) | (x[4] ^ y[4])) == 0;
  }

 private:
  using Words = std::array<uint64_t, 5>;
};
static_assert(std::has_unique_object_representations_v<ConnectionKey>);

/// Where in a frame which header begins, bytes.
struct HeaderLayout {
  uint8_t l3 = 0;
  uint8_t l4 = 0;
  uint8_t payload = 0;
  bool ipv6 = false;
  bool timestamps = false;  // the only option, laid out as RFC 7323 appendix A recommends

  friend bool operator==(const HeaderLayout&, const HeaderLayout&) = default;
};

/// The fields that differ from segment to segment of an aggregate.
struct SegmentFields {
  SeqNum seq;
  SeqNum ack;
  wire::Timestamps timestamps;
  uint16_t window = 0;
  uint16_t ip_id = 0;  // IPv4
  uint16_t size = 0;   // payload, bytes
  uint16_t sum = 0;    // of the payload, folded (wire/checksum.h); 0 where it is not wanted
  uint8_t flags = 0;
  bool partial = false;  // its checksum was never completed: port::ChecksumState::kPartial
  Time arrived;
  const uint8_t* payload = nullptr;  // in the frame

  SeqNum end() const { return seq + size; }
};

struct Segment {
  /// Ethernet, two tags, IPv6, TCP with timestamps.
  static constexpr size_t kMaxHeaders = 14 + 2 * 4 + 40 + 20 + 12;

  ByteSpan frame;  // without padding
  ConnectionKey key;
  HeaderLayout layout;
  SegmentFields fields;
  bool dont_fragment = false;           // IPv4
  std::optional<FlushReason> obstacle;  // why it can be merged with nothing before it or behind

  ByteSpan payload() const { return frame.subspan(layout.payload); }
  size_t ip_size() const { return frame.size() - layout.l3; }
};

/// Whether anybody will need SegmentFields::sum.
enum class PayloadSum : bool { kNotWanted, kWanted };

/// Reads a frame into `out`, which refers to it and keeps nothing of what it was before, or says
/// why it is no candidate: then `out` is of no use. Leaves fields.arrived to the caller. Looks at
/// every byte where the checksum was not verified by the interface.
std::optional<SimpleReason> read_segment(const port::RxPacket& packet, PayloadSum wanted,
                                         Segment& out);

/// Verifies the TCP checksum of a frame without padding, where nobody has yet, and sets `sum` to
/// the payload's, folded, or 0 where it is not wanted. False: it is wrong.
inline bool read_checksum(ByteSpan frame, const HeaderLayout& layout, port::ChecksumState state,
                          PayloadSum wanted, uint16_t& sum);

/// Why `segment` cannot be of an aggregate whose first headers are `headers`, of this layout;
/// nothing when all is equal that has to be. Linux GRO's rules (inet_gro_receive,
/// ipv6_gro_receive).
std::optional<FlushReason> header_mismatch(const Segment& segment, const HeaderLayout& layout,
                                           ByteSpan headers);

// ---- for every packet ----

namespace detail {
/// read_checksum() where somebody has to look at payload or headers.
bool read_whole_checksum(ByteSpan frame, const HeaderLayout& layout, port::ChecksumState state,
                         uint16_t& sum);
}  // namespace detail

inline bool read_checksum(ByteSpan frame, const HeaderLayout& layout, port::ChecksumState state,
                          PayloadSum wanted, uint16_t& sum) {
  sum = 0;
  if (state != port::ChecksumState::kUnknown && wanted == PayloadSum::kNotWanted) return true;
  return detail::read_whole_checksum(frame, layout, state, sum);
}

}  // namespace fairlead::nic
