// A packet that was read, as nic::Teardown takes it.
#pragma once

#include "nic/teardown/teardown.h"
#include "tests/setup_packets.h"

namespace fairlead::test {

inline nic::TeardownSegment as_teardown_segment(const ReadSegment& read) {
  nic::TeardownSegment out;
  out.tuple = {.local = read.tuple.remote, .remote = read.tuple.local};
  out.seq = SeqNum(read.seq);
  out.ack = SeqNum(read.ack);
  out.window = read.window;
  out.flags = read.flags;
  out.payload = static_cast<uint32_t>(read.payload.size());
  out.timestamps = read.options.timestamps;
  return out;
}

}  // namespace fairlead::test
