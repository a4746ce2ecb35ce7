// Offer: what a SYN of ours promises. The SYN-ACK decides which of it is used.
//
// A connection that is to take another's place in front of the same peer offers what that peer has
// offered (Connection::peer_offer()): then segments of the one make sense on the other.
#pragma once

#include <cstdint>
#include <optional>

#include "base/seq_num.h"
#include "host/config.h"

namespace fairlead::host {

struct Offer {
  bool timestamps = true;                 // RFC 7323 §3
  bool sack = true;                       // RFC 2018 §2
  bool ecn = true;                        // RFC 3168 §6.1.1
  std::optional<uint8_t> window_shift{};  // RFC 7323 §2.2, 14 at most; nullopt: no scaling
  uint16_t mss_max = 0;         // our MSS option says no more; 0: what the interface takes
  std::optional<SeqNum> isn{};  // nullopt: chosen as in RFC 6528
};

/// All we can do, as far as these options allow it.
Offer full_offer(const SocketOptions& options);

/// The smallest shift with which the largest window we may offer fits 16 bits (RFC 7323 §2.2).
uint8_t window_shift_for(const SocketOptions& options);

}  // namespace fairlead::host
