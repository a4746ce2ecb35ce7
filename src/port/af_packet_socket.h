// SocketReceiver: frames by recvmmsg() into a few 68 KiB buffers.
//
// The kernel queues sk_buffs on the socket; recvmmsg() copies each once, here. The buffers are few
// so that, in bulk traffic, what was just copied is still in the processor's cache when the host
// stack reads it: with 8 super-packets at a time the working set is 512 KiB. The reader is woken by
// the first packet, at once.
#pragma once

#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <memory>

#include "base/result.h"
#include "port/frame_receiver.h"
#include "port/vnet_header.h"

namespace fairlead::port {

class SocketReceiver final : public FrameReceiver {
 public:
  /// `fd`: an AF_PACKET socket with PACKET_VNET_HDR, non-blocking; borrowed.
  explicit SocketReceiver(int fd);

  size_t receive(std::span<RxPacket> burst, PortCounters& counters) override;
  void release() override {}

 private:
  static constexpr size_t kBatch = 16;  // frames per system call
  /// Ethernet 14, 802.1Q 4, IP packet 65,535, rounded up to pages.
  static constexpr size_t kBufferSize = 68 * 1024;

  int fd_;
  std::unique_ptr<uint8_t[]> buffers_;
  std::array<VnetHeader, kBatch> vnet_headers_{};
  std::array<std::array<iovec, 2>, kBatch> parts_{};
  std::array<mmsghdr, kBatch> messages_{};
};

}  // namespace fairlead::port
