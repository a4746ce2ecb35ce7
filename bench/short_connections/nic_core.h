// NicCore: the other side of the measurement, the NIC with its NIC stack and behind it the clients,
// on a thread of its own.
//
//     ClientGenerator ── wire ── NIC ══ pipes ══ HostCore
#pragma once

#include <atomic>
#include <cstdint>
#include <thread>

#include "bench/short_connections/client_generator.h"
#include "bench/short_connections/frame_pipe.h"
#include "port/path.h"

namespace fairlead::bench {

class NicCore {
 public:
  struct Options {
    int processor = 1;
    ClientOptions clients;
    port::Path path;  // the host's
  };
  /// Since the start.
  struct Reading {
    uint64_t transactions = 0;
    uint64_t connections = 0;
    double cpu_seconds = 0;
  };

  /// Starts the thread. The pipes outlive it.
  NicCore(const Options& options, FramePipe& to_host, FramePipe& from_host);
  ~NicCore() { stop(); }

  Reading read();
  /// Ends the thread.
  void stop();
  /// After stop().
  const ClientCounters& counters() const { return counters_; }

 private:
  void run(FramePipe& to_host, FramePipe& from_host);

  Options options_;
  std::atomic<bool> stopping_ = false;
  std::atomic<uint64_t> transactions_ = 0;
  std::atomic<uint64_t> connections_ = 0;
  ClientCounters counters_;
  std::thread thread_;  // last: it uses the rest
};

}  // namespace fairlead::bench
