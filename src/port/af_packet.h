// The AF_PACKET ports: raw frames in and out of a kernel interface, one socket per shard.
//
//                    ┌─ fan-out: flow_hash(packet) ──▶ socket of shard 0 ──▶ filter ──▶ receiver
//     interface ─────┤                                 socket of shard 1 ──▶ filter ──▶ receiver
//     (tap, before   └─ ...
//      tc ingress)
//
// PACKET_VNET_HDR keeps super-packets and checksum state intact in both directions. The socket is a
// tap: it sees its copy before the tc program (nic/steering) keeps the kernel from seeing it too.
// The filter (an eBPF program of nic/steering) rejects what is not ours before anything is queued.
//
// Short frames are received from a TPACKET_V2 ring, long ones by recvmmsg(); with
// ReceiveMode::kSocket all by recvmmsg(). doc/af_packet.md has the measurements.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "port/port.h"
#include "port/send_burst.h"

namespace fairlead::port {

enum class ReceiveMode : uint8_t {
  kRing,    // memory shared with the kernel for frames of up to 1,900 bytes: no system call
  kSocket,  // recvmmsg(): no memory but for packets that wait
};

struct AfPacketOptions {
  std::string interface;
  unsigned shards = 1;
  ReceiveMode receive = ReceiveMode::kRing;
  /// Frames for others are received, too, and VLAN tags are in the frames, as on the wire.
  bool transparent = false;
  int filter_fd = -1;            // BPF socket filter; -1: every frame
  int fanout_fd = -1;            // BPF program giving the shard; required with shards > 1
  std::span<fl_burst> bursts{};  // one for each shard, which outlive the ports; none: no bursts
  /// Bound of what waits to be received, per shard, bytes of kernel memory. At the bound the kernel
  /// drops the newest packet: rx_dropped. kRing: a quarter of it is the ring, taken from the start.
  size_t receive_bytes = size_t{32} << 20;
  /// Bound of what was sent and is still held by the interface, bytes of kernel memory. At the
  /// bound transmit() takes less than it is offered. Of a burst the last frame counts: what bounds
  /// the others is the interface's queue.
  size_t send_bytes = size_t{8} << 20;
};

/// One port per shard, in order; shard i gets the packets for which the fan-out program returns i
/// (modulo shards). Sockets belong to the calling thread's network namespace for good. ENODEV: no
/// such interface. EPERM: no CAP_NET_RAW. EOPNOTSUPP: not an Ethernet interface.
Result<std::vector<std::unique_ptr<Port>>> open_af_packet(const AfPacketOptions& options);

}  // namespace fairlead::port
