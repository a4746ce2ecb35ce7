// What a NIC stack's teardown wants to know of a segment.
#pragma once

#include "host/segment.h"
#include "nic/teardown/teardown.h"

namespace fairlead::host {

/// to_listener: somebody would take it if it opened a connection.
inline nic::TeardownSegment teardown_segment(const Segment& segment, bool to_listener) {
  return {.tuple = segment.tuple,
          .seq = segment.seq,
          .ack = segment.ack,
          .window = segment.window,
          .flags = segment.flags,
          .payload = static_cast<uint32_t>(segment.payload.size()),
          .timestamps = segment.options.timestamps,
          .to_listener = to_listener};
}

}  // namespace fairlead::host
