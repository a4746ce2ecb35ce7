// The two kinds of run of the client: streams, and requests. Bounded in time: what is not over at
// the deadline is reported as failed.
#pragma once

#include "lab/peers/content.h"
#include "lab/peers/report.h"
#include "lab/peers/request_load.h"
#include "lab/peers/stream_transfer.h"

namespace fairlead::lab {

struct StreamRun {
  Endpoint server;
  uint32_t connections = 1;
  StreamTransfer::Options transfer;
  std::optional<Content> content;  // else connection i has pseudo-random content of seed + i
  uint64_t seed = 1;
};

/// Opens all connections first; then the clock starts and all transfers with it.
Report run_streams(const StreamRun& run, Duration timeout);

Report run_requests(const RequestOptions& options, Duration timeout);

}  // namespace fairlead::lab
