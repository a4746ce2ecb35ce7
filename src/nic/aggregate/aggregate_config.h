// How an Aggregator gathers. Sizes are of IP packets, in bytes.
#pragma once

#include <cstddef>

#include "base/result.h"
#include "base/siphash.h"
#include "base/time.h"

namespace fairlead::nic {

struct AggregateConfig {
  /// The longest IPv4 packet there can be.
  static constexpr size_t kMaxAggregate = 65535;

  size_t max_aggregate = kMaxAggregate;
  size_t mtu = 1500;  // of what comes, as a rule: a longer packet is carried, too
  /// An aggregate longer than this is sent: the next packet might not fit.
  size_t threshold = kMaxAggregate - 1500;
  /// AgTimer: what comes is sent after at most this. 64 KiB at 1 Gbit/s take 524 us.
  Duration ag_timer = microseconds(500);
  /// DelTimer: what is known of a connection is deleted after this much silence.
  Duration del_timer = seconds(1);
  size_t contexts = 16384;       // connections known at the same time, per direction
  size_t open_aggregates = 512;  // of these, how many have something gathered: a buffer each
  size_t recent = 1024;          // slots of the short way to an open aggregate; 0: none
  size_t more_buffers = 0;       // that may be taken with what was sent in them
  size_t max_held = 32;          // early segments per aggregate; 0: in order only
  bool carry_push = false;       // PSH is carried in the aggregate instead of ending it
  bool leave_checksum = false;   // the consumer completes TCP checksums of aggregates
  bool chain = false;            // payload is delivered in the frames that it came in, not copied
  SipKey secret{};               // of the hash; random wherever packets are anybody's

  friend bool operator==(const AggregateConfig&, const AggregateConfig&) = default;

  /// EINVAL says which value is wrong and what would be right.
  Result<void> check() const;
};

}  // namespace fairlead::nic
