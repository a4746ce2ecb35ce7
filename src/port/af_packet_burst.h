// BurstSender: short TxPackets out of an AF_PACKET socket, many with one system call, by memory
// shared with a kernel program (send_burst.h).
#pragma once

#include <cstddef>
#include <span>

#include "port/packet.h"
#include "port/port.h"
#include "port/send_burst.h"

namespace fairlead::port {

class BurstSender {
 public:
  static constexpr size_t kMax = FL_BURST_FRAMES;

  /// `fd`: as PacketSender's. `burst`: of this socket alone, and outlives this; nullptr: none.
  BurstSender(int fd, fl_burst* burst);
  BurstSender(const BurstSender&) = delete;
  BurstSender& operator=(const BurstSender&) = delete;
  ~BurstSender();

  /// How many of the first packets can leave in a burst: 0 where fewer than two can.
  size_t run(std::span<const TxPacket> packets) const;
  /// Sends such packets, and counts them as sent or dropped. False: none, there is no room now, or
  /// the program is gone or declines: then there are no bursts from here on, and the last packet
  /// has left once already, uncounted.
  bool send(std::span<const TxPacket> packets, PortCounters& counters);

 private:
  int fd_;
  fl_burst* burst_;
};

}  // namespace fairlead::port
