// KernelSplicing: the kernel's seat in the daemon. Opened before steering, which sits behind it and
// shares its rules; closed after it.
//
// Spliced connections found in the kernel's table go to the shard that has them now. When the
// number of shards has changed, a connection's two 4-tuples may hash to two shards: the rules then
// decide where its packets come up (SteeringOptions::shard_by_rule), and its 4-tuples are kept from
// new connections until it ends.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "app/log.h"
#include "app/shard_group.h"
#include "control/config/config.h"
#include "control/socket/protocol.h"
#include "nic/splice/bpf_seat.h"
#include "nic/steering/steering.h"

namespace fairlead::app {

class KernelSplicing {
 public:
  /// Never fails: where it can't be had, splices stay in the process; report() says so.
  KernelSplicing(const control::Config& config, Log& log);
  /// After remove_at_end() nothing is left in the kernel; otherwise what is spliced there goes on
  /// for the next start, as after a start that failed.
  ~KernelSplicing();
  KernelSplicing(const KernelSplicing&) = delete;
  KernelSplicing& operator=(const KernelSplicing&) = delete;

  /// To the log: which interface has what, and why.
  void report() const;
  /// nullptr: none.
  nic::BpfSeat* seat() const { return opened_.seat.get(); }
  /// How packets are spread over shards.
  const nic::SteeringOptions& spreading() const { return spreading_; }
  /// Of the n-th interface of the configuration.
  nic::SteeringOptions steering_of(size_t interface) const;

  /// Hands what an earlier process has spliced to its shards; before they start.
  void adopt(ShardGroup& shards);
  void remove_at_end() { remove_at_end_ = true; }

  /// Of the n-th interface: where splices are, how, and why not where they were asked to be.
  void describe_interface(size_t interface, control::Json& row) const;
  /// The kernel's counters; empty without a seat.
  control::Json counters() const;

 private:
  Log& log_;
  nic::BpfSeat::Opened opened_;
  nic::SteeringOptions spreading_;
  bool remove_at_end_ = false;
};

}  // namespace fairlead::app
