// RingReceiver: frames from a TPACKET_V3 ring shared with the kernel.
//
//     block 0          block 1          block 2 ...
//     [p p p p p p]    [p p p ......]   [...]
//      ours, being      the kernel's,    free
//      read             being filled
//
// The kernel copies packets into a block, one after the other, and hands the block over when it is
// full or its timer runs out: no system call per packet, but the reader hears of a packet up to one
// timer period (1 ms, rounded up to the kernel's tick) after it came. That makes it
// a mode for bulk receivers only; SocketReceiver is the default. doc/af_packet.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "base/result.h"
#include "port/frame_receiver.h"

namespace fairlead::port {

class RingReceiver final : public FrameReceiver {
 public:
  /// Sets the ring up on `fd`, an AF_PACKET socket with PACKET_VNET_HDR, not bound yet; borrowed.
  /// ENOBUFS: the kernel has no memory for it.
  static Result<std::unique_ptr<RingReceiver>> create(int fd, size_t ring_bytes);
  RingReceiver(const RingReceiver&) = delete;
  RingReceiver& operator=(const RingReceiver&) = delete;
  ~RingReceiver() override;

  /// A burst never reaches over the end of a block.
  size_t receive(std::span<RxPacket> burst, PortCounters& counters) override;
  void release() override;

 private:
  /// Holds at least 15 super-packets.
  static constexpr size_t kBlockSize = 1024 * 1024;

  RingReceiver(int fd, uint8_t* ring, size_t blocks) : fd_(fd), ring_(ring), blocks_(blocks) {}
  void clear_socket_error();
  uint8_t* block() { return ring_ + current_ * kBlockSize; }

  int fd_;
  uint8_t* ring_;
  size_t blocks_;
  size_t current_ = 0;         // the block being read, or the next one to come
  uint32_t packets_left_ = 0;  // in the current block, not handed up yet
  uint8_t* next_ = nullptr;    // the first of them
  bool block_is_ours_ = false;
};

}  // namespace fairlead::port
