// What all connections of a stack draw from: bounded pools, counters, configuration. Passed by
// reference into the calls that need it; a connection does not own any of it.
#pragma once

#include "host/borrowed.h"
#include "host/byte_chain.h"
#include "host/config.h"
#include "host/counters.h"
#include "host/flight.h"
#include "host/reassembly.h"
#include "host/sent_list.h"

namespace fairlead::host {

struct Resources {
  const StackConfig& config;
  ChunkPool chunks;
  FlightPool flights;
  SentRunPool runs;
  RangePool ranges;
  BorrowedSpans borrowed;
  Counters counters;
};

}  // namespace fairlead::host
