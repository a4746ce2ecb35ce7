// The bounds and defaults of a host stack. Every table and queue has its bound here; what happens
// at the bound stands beside it and is counted in Counters.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

#include "base/time.h"
#include "wire/address.h"

namespace fairlead::host {

enum class CongestionAlgorithm : uint8_t { kCubic, kNewReno };

/// Per-connection options. A listener's are inherited by what it accepts.
struct SocketOptions {
  bool nodelay = false;    // true: no Nagle (RFC 9293 §3.7.4)
  bool keepalive = false;  // RFC 9293 §3.8.4: off by default
  bool ecn = true;         // offer and accept ECN (RFC 3168)
  uint16_t mss_max = 0;    // our MSS option says no more; 0: what the interface takes
  CongestionAlgorithm congestion = CongestionAlgorithm::kCubic;
  Duration keepalive_idle = hours(2);
  Duration keepalive_interval = seconds(75);
  uint32_t keepalive_probes = 9;
  /// Released, the NIC stack closes it (nic/teardown/teardown.h) where what is left to send fits
  /// the send window. How a connection begins: Connection::set_teardown_offload().
  bool teardown_offload = false;
  /// A connection whose handshake the NIC stack has done has a full TCB when it needs one, not from
  /// the start.
  bool quasi_tcb = true;
  bool hold_first_acks = false;  // accepted connections begin with Connection::hold_acks(true)
  /// What is held back must be acknowledged before the peer takes it for lost: Linux waits for the
  /// round trip and at least 200 ms more.
  Duration ack_hold_max = milliseconds(150);
  Duration user_timeout = minutes(15);          // RFC 5482: unacknowledged this long: ETIMEDOUT
  Duration last_ack_timeout = Duration::max();  // likewise in LAST-ACK, if it is shorter
  Duration connect_timeout = seconds(127);      // SYN or SYN-ACK unanswered this long
  Duration linger_timeout = seconds(60);  // FIN-WAIT-2 of a released connection (never forever)
  Duration time_wait = seconds(60);       // 2 MSL; Linux has the same
  Duration reset_rest{};                 // so long after a reset we do not open the addresses again
  uint32_t send_buffer_min = 64 * 1024;  // bytes; the buffer autotunes between the two
  uint32_t send_buffer_max = 4 * 1024 * 1024;
  uint32_t unsent_max = 256 * 1024;  // of these, written and not sent though the peer has room:
                                     // what the processor's cache still holds when it is sent
  uint32_t receive_buffer_min = 128 * 1024;
  uint32_t receive_buffer_max = 6 * 1024 * 1024;

  friend bool operator==(const SocketOptions&, const SocketOptions&) = default;
};

struct ListenOptions {
  uint32_t backlog = 1024;    // established, not yet accepted; full: the final ACK is ignored
  uint32_t syn_queue = 4096;  // in SYN-RECEIVED; full: the SYN is dropped
  /// The NIC stack does handshakes (nic/setup/setup.h), but for clients without timestamps. Not for
  /// servers that speak first: a client whose ACK is lost sends nothing that would replace it.
  bool setup_offload = false;
  /// Of such a handshake the ACK is dropped, and the connection begins with the client's first data
  /// or FIN (as TCP_DEFER_ACCEPT): until then it costs nothing. A client that says nothing for 64 s
  /// has its first data answered by RST.
  bool defer_accept = false;
  SocketOptions socket;
};

struct StackConfig {
  uint16_t shard = 0;                // which of the machine's stacks this is
  size_t max_connections = 1 << 20;  // TCBs; at the bound SYNs are dropped, connect(): ENOBUFS
  size_t max_time_wait = 1 << 16;    // at the bound the first is ended early (RFC 9293 allows none)
  size_t max_paths = 1 << 18;        // cached destinations; at the bound unused ones are evicted
  size_t max_buffer_bytes = size_t{1}
                            << 30;  // stream bytes held, both directions, all connections;
                                    // at the bound windows close and writes would block
  size_t max_splices = 1 << 19;     // splice(): refused
  size_t max_splices_over =
      1 << 16;                       // ended, late packets still pass; at the bound the oldest goes
  uint32_t max_teardowns = 1 << 16;  // closed by the NIC stack, those in TIME-WAIT included; from
                                     // half of it on fewer are handed over, at the bound none
  size_t max_teardown_bytes = size_t{64} << 20;
  Duration teardown_time_wait = seconds(60);  // connections whose options want another are not
                                              // handed over
  size_t max_listeners = 4096;                // listen(): ENOBUFS
  size_t max_setup_replays = 1 << 18;  // handshakes remembered after they made a connection; at the
                                       // bound copies of their ACKs might make another (counted)
  uint16_t local_port_first = 61000;   // our outgoing connections (RFC 6056), host order
  uint16_t local_port_last = 65535;
  /// Of a connection about to be opened: will its peer's packets come to this stack? A local port
  /// is chosen for which they do. Empty: they all do, there is no other stack.
  std::function<bool(const FourTuple&)> comes_here{};
  uint32_t challenge_acks_per_second = 1000;  // RFC 5961 §7, whole stack
  uint32_t resets_per_second = 1000;          // RSTs to segments for no connection
};

}  // namespace fairlead::host
