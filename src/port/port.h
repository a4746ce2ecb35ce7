// Port: packet input and output, in bursts. One object per interface and shard; used by one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "base/result.h"
#include "port/packet.h"
#include "wire/address.h"

namespace fairlead::port {

struct PortInfo {
  std::string name;
  int interface_index = 0;  // the kernel's; 0: it has no such interface (memory, pcap)
  MacAddress mac;
  uint16_t mtu = 1500;            // largest IP packet, bytes
  bool checksum_offload = false;  // takes TxPackets with checksum_partial
  uint32_t max_gso_bytes = 0;     // largest TxPacket (headers included) it cuts itself; 0: none
};

/// Totals since the port was opened. Every packet a port loses is in one of the drop counters.
struct PortCounters {
  uint64_t rx_packets = 0;  // frames handed up; a super-packet is one
  uint64_t rx_bytes = 0;
  uint64_t rx_dropped = 0;    // lost before we saw them: ring or socket buffer full
  uint64_t rx_truncated = 0;  // longer than the receive buffer, dropped
  uint64_t tx_packets = 0;
  uint64_t tx_bytes = 0;
  uint64_t tx_bursts = 0;   // of short packets, which left with one system call each
  uint64_t tx_busy = 0;     // transmit() took less than it was offered
  uint64_t tx_dropped = 0;  // refused or dropped by the interface (down, too long, queue full)
};

class Port {
 public:
  virtual ~Port() = default;

  virtual const PortInfo& info() const = 0;
  virtual const PortCounters& counters() = 0;

  /// Fills at most burst.size() packets and returns how many. Never blocks. The frames stay valid
  /// until release(), which must come before the next receive().
  virtual size_t receive(std::span<RxPacket> burst) = 0;
  virtual void release() = 0;

  /// Sends packets from the front, returns how many it took; fewer than offered means "no room
  /// now, offer the rest again". Does not keep references to header or payload.
  virtual size_t transmit(std::span<const TxPacket> packets) = 0;

  /// Readable when receive() has something; -1 for a port without one (memory, pcap).
  virtual int poll_fd() const = 0;
};

}  // namespace fairlead::port
