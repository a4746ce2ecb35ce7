#include "lab/peers/client_loop.h"

#include <algorithm>
#include <deque>

namespace fairlead::lab {
namespace {

constexpr size_t kBuffer = 256 * 1024;          // like kernel_echo's
constexpr size_t kVerifyingBuffer = 64 * 1024;  // what a full socket does not take is made again

using Transfers = std::deque<StreamTransfer>;

bool any_in(const Transfers& transfers, StreamTransfer::Phase phase) {
  return std::ranges::any_of(transfers, [&](const auto& t) { return t.phase() == phase; });
}

// One hash for a run: of its connections' hashes, in their order.
std::string combined(Transfers& transfers, StreamHash& (StreamTransfer::*which)()) {
  if (transfers.size() == 1) return (transfers.front().*which)().hex();
  StreamHash all;
  for (StreamTransfer& transfer : transfers) {
    const std::string hex = (transfer.*which)().hex();
    all.update(std::as_bytes(std::span(hex)));
  }
  return all.hex();
}

void add_outcome(Transfers& transfers, const StreamRun& run, Report& report) {
  for (const StreamTransfer& transfer : transfers) {
    report.bytes_sent += transfer.sent();
    report.bytes_received += transfer.received();
    if (transfer.failure().empty()) {
      ++report.connections;
    } else {
      report.add_failure(transfer.failure());
    }
  }
  if (!run.transfer.verify) return;
  if (run.transfer.mode != StreamMode::kDownload) {
    report.hash_sent = combined(transfers, &StreamTransfer::sent_hash);
  }
  if (run.transfer.mode != StreamMode::kUpload) {
    report.hash_received = combined(transfers, &StreamTransfer::received_hash);
    report.verified = report.failures.empty();
  }
}

}  // namespace

Report run_streams(const StreamRun& run, Duration timeout) {
  const Time deadline = monotonic_now() + timeout;
  Poller poller;
  TransferBuffers buffers;
  buffers.out.resize(run.transfer.verify ? kVerifyingBuffer : kBuffer);
  buffers.in.resize(kBuffer);
  Content::pseudo_random(run.seed).fill(0, buffers.out);

  Transfers transfers;
  for (uint32_t i = 0; i < run.connections; ++i) {
    transfers.emplace_back(run.server, run.transfer,
                           run.content ? *run.content : Content::pseudo_random(run.seed + i),
                           buffers, poller);
  }
  const auto wait_while = [&](StreamTransfer::Phase phase) {
    while (any_in(transfers, phase) && monotonic_now() < deadline) {
      poller.wait(deadline - monotonic_now());
    }
  };
  wait_while(StreamTransfer::Phase::kConnecting);
  const Time begin = monotonic_now();
  for (StreamTransfer& transfer : transfers) {
    if (transfer.phase() == StreamTransfer::Phase::kConnected) transfer.start();
  }
  wait_while(StreamTransfer::Phase::kMoving);

  Report report;
  report.elapsed = monotonic_now() - begin;
  for (StreamTransfer& transfer : transfers) transfer.give_up("timeout");
  add_outcome(transfers, run, report);
  return report;
}

Report run_requests(const RequestOptions& options, Duration timeout) {
  const Time begin = monotonic_now();
  const Time deadline = begin + timeout;
  Poller poller;
  Report report;
  report.mode = "requests";
  RequestLoad load(options, poller, report);
  load.start();
  while (!load.done() && monotonic_now() < deadline) poller.wait(deadline - monotonic_now());
  report.elapsed = monotonic_now() - begin;
  load.give_up("timeout");
  report.verified = report.failures.empty();
  return report;
}

}  // namespace fairlead::lab
