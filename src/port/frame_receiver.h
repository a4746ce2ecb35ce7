// FrameReceiver: one way of taking frames from an AF_PACKET socket. There are two: SocketReceiver
// (recvmmsg) and RingReceiver (TPACKET_V2, and the other for what is long). doc/af_packet.md has
// the measurements.
#pragma once

#include <cstddef>
#include <span>

#include "port/packet.h"
#include "port/port.h"

namespace fairlead::port {

class FrameReceiver {
 public:
  virtual ~FrameReceiver() = default;

  /// As Port::receive(); counts rx_packets, rx_bytes and rx_truncated.
  virtual size_t receive(std::span<RxPacket> burst, PortCounters& counters) = 0;
  /// As Port::release().
  virtual void release() = 0;
};

}  // namespace fairlead::port
