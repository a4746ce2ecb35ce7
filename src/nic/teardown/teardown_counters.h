// What happened to connections in teardown, counted under its real name.
#pragma once

#include <cstdint>
#include <string_view>

namespace fairlead::nic {

// X(name): one line per counter.
#define FAIRLEAD_TEARDOWN_COUNTERS(X)                                           \
  X(taken)          /* handed over by the host */                               \
  X(refused_full)   /* max_flows are closing, none is in TIME-WAIT */           \
  X(refused_bytes)  /* max_held_bytes */                                        \
  X(refused_window) /* more data than the send window takes */                  \
  X(refused_in_use) /* a flow has these addresses */                            \
  X(refused_invalid)                                                            \
  X(closed) /* ended in good order */                                           \
  X(reset_by_peer)                                                              \
  X(reset_for_data) /* the peer sent to an application that had closed */       \
  X(timed_out)                                                                  \
  X(fin_wait_2_ended) /* the peer never closed */                               \
  X(removed)                                                                    \
  X(segments_received)                                                          \
  X(segments_sent)                                                              \
  X(retransmitted_segments)                                                     \
  X(retransmission_timeouts)                                                    \
  X(fast_retransmits)                                                           \
  X(resets_sent)                                                                \
  X(challenge_acks_sent)                                                        \
  X(challenge_acks_limited) /* challenge_acks_per_second */                     \
  X(drop_reply_queue_full)  /* a RST not sent: more in a burst than are kept */ \
  X(drop_paws)                                                                  \
  X(drop_out_of_window)                                                         \
  X(drop_no_ack_flag)                                                           \
  X(drop_bad_ack)                                                               \
  X(given_to_kernel)   /* its programs decide what is ordinary */               \
  X(kernel_table_full) /* and for these they don't */                           \
  X(acked_in_kernel)   /* our FIN's acknowledgement did not come up */          \
  X(closed_in_kernel)  /* nor the peer's FIN, which was answered */             \
  X(time_wait_entered)                                                          \
  X(time_wait_recycled)      /* ended early: max_flows reached */               \
  X(time_wait_reused)        /* by a new SYN, theirs or ours, RFC 6191 */       \
  X(time_wait_reset_ignored) /* RFC 1337 */

struct TeardownCounters {
#define FAIRLEAD_DECLARE(name) uint64_t name = 0;
  FAIRLEAD_TEARDOWN_COUNTERS(FAIRLEAD_DECLARE)
#undef FAIRLEAD_DECLARE

  /// Calls handle(std::string_view name, uint64_t value) for each, in the order above.
  template <typename Handle>
  void for_each(Handle&& handle) const {
#define FAIRLEAD_HANDLE(name) handle(std::string_view(#name), name);
    FAIRLEAD_TEARDOWN_COUNTERS(FAIRLEAD_HANDLE)
#undef FAIRLEAD_HANDLE
  }
};

}  // namespace fairlead::nic
