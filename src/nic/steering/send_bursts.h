// SendBursts: short frames leave an interface in bursts, one system call each, by a kernel program
// at its egress (bpf/send_burst.bpf.c) and memory that it shares with the packet sockets.
//
// Nothing is pinned: with the process goes all of it.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "base/result.h"
#include "port/send_burst.h"

namespace fairlead::nic {

class SendBursts {
 public:
  /// Attaches to the interface, in the calling thread's network namespace, for up to
  /// FL_BURST_SHARDS sockets. ENODEV: no such interface. EPERM: no CAP_BPF or CAP_NET_ADMIN.
  /// EOPNOTSUPP: the kernel lacks a feature; the message names it.
  static Result<std::unique_ptr<SendBursts>> attach(const std::string& interface, unsigned shards);
  virtual ~SendBursts() = default;

  /// One for each shard's packet socket (AfPacketOptions); this outlives the sockets.
  virtual std::span<fl_burst> memory() = 0;
};

}  // namespace fairlead::nic
