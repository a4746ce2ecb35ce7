// SocketReceiver: frames by recvmmsg() into a few 68 KiB buffers, which readers may take.
//
// The kernel queues sk_buffs on the socket; recvmmsg() copies each once, here. How many frames one
// call takes follows their size, so that in bulk traffic what was just copied, and what the
// services do with it, still is in the processor's cache when it is sent: kCacheBytes at a time, in
// the same few buffers. The reader is woken by the first packet, at once.
#pragma once

#include <linux/if_packet.h>
#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <memory>

#include "base/result.h"
#include "port/frame_receiver.h"
#include "port/vlan_tag.h"
#include "port/vnet_header.h"

namespace fairlead::port {

class SocketReceiver final : public FrameReceiver {
 public:
  /// `fd`: an AF_PACKET socket with PACKET_VNET_HDR, for kInFrame with PACKET_AUXDATA,
  /// non-blocking; borrowed.
  SocketReceiver(int fd, VlanTags tags);
  ~SocketReceiver() override;

  size_t receive(std::span<RxPacket> burst, PortCounters& counters) override {
    return read(burst, counters).filled;
  }
  void release() override {}

  struct Batch {
    size_t taken = 0;   // off the queue
    size_t filled = 0;  // the same without those that were too long
  };
  /// receive() for one who knows what is in the queue.
  Batch read(std::span<RxPacket> burst, PortCounters& counters);

 private:
  static constexpr size_t kBatch = 32;  // most frames per system call
  static constexpr size_t kMinBatch = 4;
  static constexpr size_t kCacheBytes = 256 * 1024;  // an eighth to a half of today's L2 caches
  /// Buffers that readers may keep, 32 MiB; what connections hold beyond that is copied.
  static constexpr size_t kMaxTaken = 480;

  /// For which the bytes before `frame` were left free. Returns the frame.
  ByteSpan put_tag_back(size_t slot, MutableByteSpan frame);

  int fd_;
  VlanTags tags_;
  size_t batch_ = kBatch;  // frames the next call takes
  RxBufferPool pool_{kBatch + kMaxTaken};
  std::array<RxBuffer*, kBatch> buffers_{};
  std::array<VnetHeader, kBatch> vnet_headers_{};
  std::array<std::array<iovec, 2>, kBatch> parts_{};
  std::array<mmsghdr, kBatch> messages_{};
  struct alignas(cmsghdr) Control {
    std::array<uint8_t, CMSG_SPACE(sizeof(tpacket_auxdata))> bytes;
  };
  std::array<Control, kBatch> controls_{};
};

}  // namespace fairlead::port
