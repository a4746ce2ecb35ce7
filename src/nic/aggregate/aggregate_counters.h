// What happened in an Aggregator, counted under its real name: every packet that took the simple
// path has a reason there, and every packet that was sent has the reason why it was sent then.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace fairlead::nic {

// X(kName, name): why a packet is no candidate, or finds no room. It passes by unchanged.
#define FAIRLEAD_SIMPLE_REASONS(X)                                                             \
  X(kNotIp, not_ip) /* ARP, LLDP, more than two VLAN tags ... */                               \
  X(kNotTcp, not_tcp)                                                                          \
  X(kMalformed, malformed) /* a length contradicts another, or the frame */                    \
  X(kFragment, fragment)                                                                       \
  X(kIpOptions, ip_options)     /* or IPv6 extension headers */                                \
  X(kBadChecksum, bad_checksum) /* IP's or TCP's */                                            \
  X(kNoContext, no_context)     /* of no known connection, and nothing that could be merged */ \
  X(kTableFull, table_full)

// X(kName, name): why what was gathered of a connection was sent. "Of what came" is about the
// packet that came then and was not merged.
#define FAIRLEAD_FLUSH_REASONS(X)                                                               \
  X(kFull, full)   /* longer than the threshold, or the next would not fit */                   \
  X(kTimer, timer) /* AgTimer */                                                                \
  X(kIdle, idle)   /* DelTimer */                                                               \
  X(kPush, push)   /* PSH */                                                                    \
  X(kFin, fin)                                                                                  \
  X(kShortSegment, short_segment)   /* none may follow one below the segment size */            \
  X(kLongerSegment, longer_segment) /* of what came: longer than the segment size */            \
  X(kLinkHeader, link_header)       /* of what came: other addresses or tags than the first */  \
  X(kTos, tos)                      /* of what came: DSCP or ECN */                             \
  X(kTtl, ttl)                      /* of what came: TTL or hop limit */                        \
  X(kIpId, ip_id) /* of what came: neither the next IP ID nor, with DF, the same */             \
  X(kDontFragment, dont_fragment) /* of what came: DF */                                        \
  X(kFlowLabel, flow_label)       /* of what came: IPv6 flow label */                           \
  X(kFlags, flags)                /* of what came: SYN, RST, URG, ECE, CWR, reserved, no ACK */ \
  X(kOptions, options)            /* of what came: others than timestamps, or other layout */   \
  X(kTimestamp, timestamp)        /* of what came: TSval went back */                           \
  X(kAck, ack)                    /* of what came: ACK went back */                             \
  X(kNoPayload, no_payload)       /* of what came */                                            \
  X(kSuperPacket, super_packet)   /* of what came: already aggregated */                        \
  X(kOldData, old_data)           /* of what came: sent again, or a duplicate */                \
  X(kGap, gap)                    /* of what came: too far ahead, or too many are held */       \
  X(kSparse, sparse)              /* of what came: long after those that waited in vain */      \
  X(kNoBuffer, no_buffer)         /* the oldest gave way to another connection */               \
  X(kEnd, end)                    /* flush() */

#define FAIRLEAD_ENUMERATE(enumerator, name) enumerator,
enum class SimpleReason : uint8_t { FAIRLEAD_SIMPLE_REASONS(FAIRLEAD_ENUMERATE) kCount };
enum class FlushReason : uint8_t { FAIRLEAD_FLUSH_REASONS(FAIRLEAD_ENUMERATE) kCount };
#undef FAIRLEAD_ENUMERATE

struct AggregateCounters {
  uint64_t packets_in = 0;
  uint64_t packets_out = 0;
  uint64_t aggregates = 0;  // of packets_out: made of at least two
  uint64_t merged = 0;      // of packets_in: they are in aggregates
  uint64_t recognised = 0;  // of packets_in: merged without parsing and look-up
  uint64_t held = 0;        // came before what precedes them, and waited
  uint64_t contexts_created = 0;
  uint64_t contexts_ended = 0;                                  // by FIN, RST or SYN
  uint64_t contexts_idle = 0;                                   // by DelTimer
  std::array<uint64_t, size_t(SimpleReason::kCount)> simple{};  // packets
  std::array<uint64_t, size_t(FlushReason::kCount)> flush{};    // packets sent

  uint64_t& operator[](SimpleReason reason) { return simple[size_t(reason)]; }
  uint64_t& operator[](FlushReason reason) { return flush[size_t(reason)]; }
  uint64_t operator[](SimpleReason reason) const { return simple[size_t(reason)]; }
  uint64_t operator[](FlushReason reason) const { return flush[size_t(reason)]; }

  uint64_t simple_packets() const {
    uint64_t sum = 0;
    for (const uint64_t count : simple) sum += count;
    return sum;
  }

  /// Calls visit(std::string_view name, uint64_t value) for every counter, in the order above.
  template <typename Visit>
  void for_each(Visit&& visit) const {
    visit("packets_in", packets_in);
    visit("packets_out", packets_out);
    visit("aggregates", aggregates);
    visit("merged", merged);
    visit("recognised", recognised);
    visit("held", held);
    visit("contexts_created", contexts_created);
    visit("contexts_ended", contexts_ended);
    visit("contexts_idle", contexts_idle);
#define FAIRLEAD_VISIT(enumerator, name) visit("simple_" #name, (*this)[SimpleReason::enumerator]);
    FAIRLEAD_SIMPLE_REASONS(FAIRLEAD_VISIT)
#undef FAIRLEAD_VISIT
#define FAIRLEAD_VISIT(enumerator, name) visit("flush_" #name, (*this)[FlushReason::enumerator]);
    FAIRLEAD_FLUSH_REASONS(FAIRLEAD_VISIT)
#undef FAIRLEAD_VISIT
  }
};

}  // namespace fairlead::nic
