// HostCore: the host's side of the measurement, a shard with an echo service on a thread of its
// own. Sums up the cycles in which the thread does not only wait for frames.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <thread>

#include "bench/short_connections/echo_service.h"
#include "bench/short_connections/frame_pipe.h"
#include "bench/short_connections/ring_port.h"
#include "host/counters.h"
#include "host/stack.h"
#include "port/path.h"

namespace fairlead::bench {

/// Everything goes to the NIC.
class OneHop final : public port::Router {
 public:
  explicit OneHop(port::Path path) : path_(std::move(path)) {}
  Result<port::Path> resolve(const IpAddress&) override { return path_; }
  std::optional<IpAddress> source_for(const IpAddress&) override { return path_.source; }
  std::optional<uint16_t> mtu_for(const IpAddress&) const override { return path_.mtu; }
  uint64_t generation() const override { return 1; }
  bool is_local(const IpAddress& address) const override { return address == path_.source; }

 private:
  port::Path path_;
};

/// Keys of both cores, the same at each run.
host::Secrets shared_secrets();

class HostCore {
 public:
  struct Options {
    int processor = 0;
    port::PortInfo port;
    port::Path path;
    host::StackConfig stack;
    EchoService::Options service;
  };
  /// Since the start.
  struct Reading {
    uint64_t busy = 0;   // cycles of the time stamp counter
    uint64_t turns = 0;  // of the shard's loop
    uint64_t rx_frames = 0;
    uint64_t tx_frames = 0;
    double cpu_seconds = 0;
  };

  /// Starts the thread. The pipes outlive it.
  HostCore(const Options& options, FramePipe& in, FramePipe& out);
  ~HostCore() { stop(); }

  Reading read();
  /// Ends the thread.
  void stop();
  /// What the stack has counted; after stop().
  const host::Counters& counters() const { return counters_; }

 private:
  void run(FramePipe& in, FramePipe& out);

  Options options_;
  std::atomic<bool> stopping_ = false;
  std::atomic<uint64_t> busy_ = 0;
  std::atomic<uint64_t> turns_ = 0;
  std::atomic<uint64_t> rx_frames_ = 0;
  std::atomic<uint64_t> tx_frames_ = 0;
  host::Counters counters_;
  std::thread thread_;  // last: it uses the rest
};

}  // namespace fairlead::bench
