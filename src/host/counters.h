// What happened in a host stack, counted under its real name. Every packet that is dropped and
// every bound that was reached is here; nothing is lost silently.
#pragma once

#include <cstdint>
#include <string_view>

namespace fairlead::host {

// X(name): one line per counter, grouped by who counts.
#define FAIRLEAD_HOST_COUNTERS(X)                                                     \
  /* Segments */                                                                      \
  X(segments_received)                                                                \
  X(segments_sent)                                                                    \
  X(bytes_received) /* payload handed to the receive side, in order */                \
  X(bytes_sent)     /* payload sent the first time */                                 \
  /* Packets refused before a connection was looked up */                             \
  X(drop_not_for_us)                                                                  \
  X(drop_malformed_ethernet)                                                          \
  X(drop_malformed_ip)                                                                \
  X(drop_malformed_tcp)                                                               \
  X(drop_bad_ip_checksum)                                                             \
  X(drop_bad_tcp_checksum)                                                            \
  X(drop_fragment)                                                                    \
  X(drop_bad_address) /* source is multicast, broadcast, unspecified or ourselves */  \
  /* Segments refused by a connection (RFC 9293 §3.10.7.4, RFC 5961, RFC 7323) */     \
  X(drop_out_of_window)                                                               \
  X(drop_paws)                                                                        \
  X(drop_no_ack_flag)                                                                 \
  X(drop_bad_flags)                                                                   \
  X(drop_bad_ack)                                                                     \
  X(drop_after_close)                                                                 \
  X(drop_window_full)     /* data beyond the receive window or buffer */              \
  X(drop_reassembly_full) /* too many out-of-order ranges */                          \
  X(drop_no_buffer)       /* max_buffer_bytes reached */                              \
  X(drop_bad_icmp)                                                                    \
  /* Connections */                                                                   \
  X(connections_accepted)                                                             \
  X(connections_opened)                                                               \
  X(connections_established)                                                          \
  X(connections_reset_by_peer)                                                        \
  X(connections_aborted)                                                              \
  X(connections_timed_out)                                                            \
  X(connections_refused)                                                              \
  X(connections_superseded) /* their peer has opened anew, and proved it */           \
  X(teardowns_kept)         /* closed by the host: the NIC stack has many to close */ \
  X(teardowns_reported)     /* ends that a NIC stack elsewhere has told of */         \
  X(drop_handed_over)       /* on its way when a NIC stack elsewhere got the rest */  \
  X(drop_bad_message)       /* of a NIC stack elsewhere */                            \
  X(setup_pauses)           /* a full listener was not left to the NIC stack */       \
  X(drop_forged_handshake)                                                            \
  X(drop_syn_queue_full)                                                              \
  X(drop_accept_queue_full)                                                           \
  X(drop_no_connection_slot)                                                          \
  X(drop_no_path) /* no route to the peer, or its link address is being resolved */   \
  X(drop_reply_queue_full)                                                            \
  X(drop_forward_queue_full) /* a splice's packets: more in a burst than are kept */  \
  X(drop_forward_unsent)     /* a splice's packets: the interface had no room */      \
  X(time_wait_entered)       /* or resting after a reset */                           \
  X(time_wait_recycled)      /* ended early: max_time_wait reached */                 \
  X(time_wait_reused)        /* by a new SYN, theirs or ours, RFC 6191 */             \
  X(resets_sent)                                                                      \
  X(resets_limited)                                                                   \
  X(challenge_acks_sent)                                                              \
  X(challenge_acks_limited)                                                           \
  /* Loss recovery */                                                                 \
  X(retransmitted_segments)                                                           \
  X(retransmission_timeouts)                                                          \
  X(recoveries)                                                                       \
  X(tail_loss_probes)                                                                 \
  X(spurious_recoveries_undone)                                                       \
  X(dsacks_received)                                                                  \
  X(dsacks_sent)                                                                      \
  X(out_of_order_segments)                                                            \
  X(duplicate_segments)                                                               \
  X(zero_window_probes)                                                               \
  X(keepalive_probes)                                                                 \
  X(delayed_acks)                                                                     \
  X(ack_holds_ended) /* by a bound: time, size, FIN, a gap */                         \
  X(ecn_reductions)                                                                   \
  X(ce_marks_received)                                                                \
  X(path_mtu_reductions)                                                              \
  X(black_holes_detected)                                                             \
  X(paths_evicted)                                                                    \
  X(drop_path_table_full)

struct Counters {
#define FAIRLEAD_DECLARE(name) uint64_t name = 0;
  FAIRLEAD_HOST_COUNTERS(FAIRLEAD_DECLARE)
#undef FAIRLEAD_DECLARE

  /// Calls visit(std::string_view name, uint64_t value) for every counter, in the order above.
  template <typename Visit>
  void for_each(Visit&& visit) const {
#define FAIRLEAD_VISIT(name) visit(std::string_view(#name), name);
    FAIRLEAD_HOST_COUNTERS(FAIRLEAD_VISIT)
#undef FAIRLEAD_VISIT
  }
};

}  // namespace fairlead::host
