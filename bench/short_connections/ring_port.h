// RingPort: the host's end of a pair of pipes to a NIC on another core. Like a NIC it verifies and
// completes checksums and cuts super-packets; frames it sends are copied once.
#pragma once

#include <array>
#include <cstddef>
#include <span>

#include "bench/short_connections/frame_pipe.h"
#include "port/port.h"

namespace fairlead::bench {

class RingPort final : public port::Port {
 public:
  /// Both pipes outlive it. PortInfo's name and MAC address are the caller's.
  RingPort(port::PortInfo info, FramePipe& in, FramePipe& out);

  const port::PortInfo& info() const override { return info_; }
  const port::PortCounters& counters() override { return counters_; }
  size_t receive(std::span<port::RxPacket> burst) override;
  void release() override;
  size_t transmit(std::span<const port::TxPacket> packets) override;
  int poll_fd() const override { return -1; }

  /// receive() has something.
  bool waiting() const { return in_.waiting(); }

 private:
  port::PortInfo info_;
  port::PortCounters counters_;
  FramePipe& in_;
  FramePipe& out_;
  std::array<Frame*, FramePipe::kBurst> lent_{};
  size_t lent_count_ = 0;
};

}  // namespace fairlead::bench
