// Bump: receive aggregation as a bump in the wire between two ports, for a host behind it.
//
//                  ┌──────────────────────────────────────────┐
//     network ─── from ── AggregatingPort ── aggregates ──▶ to ─── host
//                  │  ◀────────────── as it is ─────────────  │
//                  └──────────────────────────────────────────┘
//
// Every frame goes through: what is no TCP, ARP, what is tagged. The other way frames pass as they
// are, since the network would have aggregates cut again. An aggregate leaves with its segment size
// and its checksum to be completed: an interface that can't keep it whole cuts it into the very
// segments that came.
//
// Where the sending side has no room (a send buffer) the bump waits, and packets wait in the other
// port's receive buffer, up to its bound; at the bound of waiting they are dropped and counted.
// What the interface's own queue drops the port counts (tx_dropped).
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>

#include "base/unique_fd.h"
#include "nic/aggregate/aggregating_port.h"

namespace fairlead {

class Bump {
 public:
  struct Ports {
    std::unique_ptr<port::Port> from;
    std::unique_ptr<port::Port> to;
  };
  struct Statistics {
    nic::AggregateCounters aggregate;
    nic::AggregateDelay delay;
    size_t contexts = 0;
    port::PortCounters from;
    port::PortCounters to;
    uint64_t dropped = 0;  // there was no room to send it
  };

  /// `config` has been checked, but for what `to` can carry: it is limited to that, and checksums
  /// are left to it.
  Bump(Ports ports, nic::AggregateConfig config, nic::AggregatingPort::ReadClock clock);

  /// Until stop(); on a thread of its own.
  void run();
  /// Any thread.
  void stop();
  /// Any thread.
  Statistics statistics();

  /// One turn of run(): a burst each way. False when there was nothing to do.
  bool turn();
  /// When turn() has something to do even if nothing comes.
  std::optional<Time> next_deadline() const { return from_.next_deadline(); }

 private:
  bool carry(port::Port& in, port::Port& out);
  void send(port::Port& out);
  void wait();

  nic::AggregatingPort from_;
  std::unique_ptr<port::Port> to_;
  nic::AggregatingPort::ReadClock clock_;
  port::PacketBurst burst_;
  uint64_t dropped_ = 0;
  UniqueFd wake_;
  std::atomic<bool> stopping_ = false;
  std::mutex mutex_;  // held in a turn, for statistics()
};

}  // namespace fairlead
