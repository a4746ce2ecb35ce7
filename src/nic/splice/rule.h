// The splice rule for C++: a pair of spliced connections as the host knows it, the two records that
// stand for it in the rules' table, and the translation of a packet in this process.
//
//     client C ──[C → V]──▶ from_client ──[L → D]──▶ server D
//     client C ◀──[V → C]── from_server ◀──[D → L]── server D
//
// What a rule does to a packet is written once, in splice_rule.h.
#pragma once

#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "nic/splice/splice_packet.h"
#include "nic/splice/splice_tables.h"
#include "wire/address.h"

namespace fairlead::nic {

/// Where packets of one direction leave.
struct SpliceWay {
  uint32_t interface = 0;  // index
  IpAddress next_hop;      // the gateway, or the destination itself
  uint16_t mtu = 1500;     // bytes, IP header included

  friend bool operator==(const SpliceWay&, const SpliceWay&) = default;
};

/// A shift count of the window scale option (RFC 7323 §2.2), 0 where it was not agreed on.
struct SpliceScales {
  uint8_t announced_by_client = 0;
  uint8_t announced_to_client = 0;
  uint8_t announced_by_server = 0;
  uint8_t announced_to_server = 0;

  friend bool operator==(const SpliceScales&, const SpliceScales&) = default;
};

struct SplicePair {
  FourTuple client{};  // local V, remote C
  FourTuple server{};  // local L, remote D
  /// Added to numbers in packets from client to server, subtracted the other way (SEQ from ACK and
  /// ACK from SEQ, TSval from TSecr and TSecr from TSval).
  uint32_t seq_offset = 0;
  uint32_t ack_offset = 0;
  uint32_t ts_value_offset = 0;  // both 0 unless `timestamps`
  uint32_t ts_echo_offset = 0;
  SpliceScales scales{};
  bool timestamps = false;  // agreed on with both ends
  bool sack = false;        // agreed on with both ends
  SpliceWay to_server{};
  SpliceWay to_client{};
  uint16_t shard = 0;
  uint32_t generation = 0;  // of the owner's choice; comes back in events
  uint64_t spliced_at = 0;  // CLOCK_MONOTONIC, ns

  friend bool operator==(const SplicePair&, const SplicePair&) = default;
};

/// An entry of the rules' table.
struct SpliceRecord {
  fl_splice_key key;
  fl_splice_rule rule;
};

struct SpliceRecords {
  SpliceRecord from_client;
  SpliceRecord from_server;
};

/// The records of a pair of which no packet has passed yet. Both connections are of one family, and
/// each scale is at most 14, as
/// TCP's option parser guarantees.
SpliceRecords records_of(const SplicePair& pair);

/// The pair that two records, in any order, stand for; nullopt when they are no pair's.
std::optional<SplicePair> pair_of(const SpliceRecord& one, const SpliceRecord& other);

SpliceWay way_of(const fl_splice_rule& rule);
void set_way(fl_splice_rule& rule, const SpliceWay& way);

/// Of the rule for packets that arrive from tuple.remote for tuple.local.
fl_splice_key key_of(const FourTuple& tuple);
/// The other way round.
FourTuple tuple_of(const fl_splice_key& key);

/// The rule's key for a packet that splicing may translate: TCP in IPv4 without options or IPv6
/// without extension headers, no fragment. nullopt for any other.
std::optional<fl_splice_key> key_of(ByteSpan packet);

/// What the headers don't say of a packet.
struct SplicePacket {
  uint32_t size = 0;              // bytes of the IP packet there are, payload elsewhere included
  uint32_t gso_size = 0;          // payload of each segment of a super-packet; 0: none
  bool checksum_partial = false;  // TCP's holds the pseudo header's sum: completed behind us
};

struct SpliceOutcome {
  fl_splice_verdict verdict;
  fl_splice_segment segment;  // as it came, when translated: for splice_track.h
};

/// Judges the packet whose IP and TCP headers are `headers`, options included, and translates it in
/// place, checksums included, when that is the verdict; it is untouched otherwise. The headers may
/// reach into the payload. Any bytes are allowed; FL_SPLICE_NO_RULE for a packet that has no key.
SpliceOutcome translate(const fl_splice_rule& rule, MutableByteSpan headers,
                        const SplicePacket& packet);

/// The other way, for the packet that an ICMP error quotes: writes to `headers` the IP and TCP
/// headers, as far as they are quoted, of what `rule` made it of, which had arrived as `tuple`. A
/// quote that ends within the headers is turned back as far as whole fields go; TTL stays what the
/// reporter saw. Returns how many bytes that are, at most 100 (`headers` has room for them); 0: not
/// a packet that the rule has made. Any bytes are allowed.
size_t untranslate(const FourTuple& tuple, const fl_splice_rule& rule, ByteSpan quote,
                   MutableByteSpan headers);

}  // namespace fairlead::nic
