// RingReceiver: short frames from a TPACKET_V2 ring shared with the kernel, long ones by
// recvmmsg().
//
//     ring    [frame][frame][ long ][frame][     ][     ]      2 KiB each, in the order of arrival
//              ours, being    │              the kernel's,
//              read           │              to be filled
//     queue                 [ 64 KB ][ ... ]  ──▶ SocketReceiver
//
// The kernel copies a frame into the next slot in its receive interrupt: no system call and no copy
// of ours, and the reader is woken by the first one, at once. A frame that is longer than a slot is
// put on the socket's queue, whole (PACKET_COPY_THRESH), and its slot says so (TP_STATUS_COPY).
// doc/af_packet.md has the measurements.
#pragma once

#include <linux/if_packet.h>

#include <cstddef>
#include <cstdint>
#include <memory>

#include "base/result.h"
#include "port/af_packet_socket.h"
#include "port/frame_receiver.h"

namespace fairlead::port {

class RingReceiver final : public FrameReceiver {
 public:
  /// Sets the ring up on `fd`, as SocketReceiver takes it, not bound yet. ENOBUFS: the kernel has
  /// no memory for it.
  static Result<std::unique_ptr<RingReceiver>> create(int fd, size_t ring_bytes, VlanTags tags);
  RingReceiver(const RingReceiver&) = delete;
  RingReceiver& operator=(const RingReceiver&) = delete;
  ~RingReceiver() override;

  /// A burst never reaches over the end of a run of long frames.
  size_t receive(std::span<RxPacket> burst, PortCounters& counters) override;
  void release() override;

 private:
  static constexpr size_t kSlotSize = 2048;
  static constexpr size_t kBlockSize = 64 * 1024;

  RingReceiver(int fd, VlanTags tags, uint8_t* ring, size_t slots)
      : fd_(fd), tags_(tags), long_frames_(fd, tags), ring_(ring), slots_(slots) {}
  tpacket2_hdr& slot(size_t index) const {
    return *reinterpret_cast<tpacket2_hdr*>(ring_ + index * kSlotSize);
  }
  size_t after(size_t index) const { return index + 1 == slots_ ? 0 : index + 1; }
  uint32_t status(size_t index) const;
  /// The short frame in the slot, whole.
  RxPacket packet_in(tpacket2_hdr& header) const;
  /// Slots from next_ on that stand for a frame in the queue, at most `most`.
  size_t long_run(size_t most) const;
  void clear_socket_error();

  int fd_;
  VlanTags tags_;
  SocketReceiver long_frames_;
  uint8_t* ring_;
  size_t slots_;
  size_t first_ = 0;    // of those to be given back by release()
  size_t next_ = 0;     // to be looked at
  unsigned empty_ = 0;  // calls that found nothing
};

}  // namespace fairlead::port
