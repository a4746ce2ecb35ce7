// SteeredInterfaces: the interfaces of the configuration with everything the kernel has to know:
// whose packets are ours, and which addresses are this machine's.
//
// Belongs to the control thread. It follows address changes with a router of its own; the shards
// have theirs. Destroying it detaches from every interface, so it has to outlive the shards: a
// packet of ours that reaches the kernel is answered by a reset.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "app/kernel_splicing.h"
#include "base/result.h"
#include "base/time.h"
#include "control/config/config.h"
#include "control/socket/protocol.h"
#include "nic/channel/channel.h"
#include "nic/steering/send_bursts.h"
#include "nic/steering/steering.h"
#include "nic/teardown/teardown_map.h"
#include "port/netlink_router.h"
#include "port/port.h"

namespace fairlead::app {

/// True when the configuration needs local ports that are ours and not the kernel's: the switch
/// connects to its real servers.
bool opens_connections(const control::Config& config);
nic::LocalPorts local_ports_of(const control::Config& config);

class SteeredInterfaces {
 public:
  /// Attaches to every interface of `config`, behind `splicing`, which outlives this. ENODEV,
  /// EADDRINUSE, EPERM, EOPNOTSUPP, each with a message that names the interface; then none is
  /// attached.
  static Result<std::unique_ptr<SteeredInterfaces>> attach(const control::Config& config,
                                                           const KernelSplicing& splicing,
                                                           Time now);

  /// A port for every interface and shard: element s holds those of shard s, in the order of the
  /// configuration, which is the order of port indexes.
  Result<std::vector<std::vector<std::unique_ptr<port::Port>>>> open_ports() const;
  /// The interfaces by name and port index, for a shard's router.
  std::vector<port::NetlinkRouter::Interface> interfaces() const;

  /// From here on packets for `endpoint` are ours, on every interface. After an error on none.
  Result<void> add_listener(const Endpoint& endpoint);
  /// From here on they are the kernel's. ENOENT: they were before.
  Result<void> remove_listener(const Endpoint& endpoint);
  /// From here on packets for these ports of this machine are ours.
  Result<void> set_local_ports(nic::LocalPorts ports);

  /// Handshakes with this endpoint are done by the kernel's programs, or no longer. From any
  /// thread. Where there is no room for it the host does them.
  void set_setup(const nic::ListenMessage& message);
  /// Before the first listen(), and at each rotation.
  Result<void> set_setup_secrets(const fl_setup_secrets& secrets);

  /// Of connections in teardown, for which the kernel's programs decide. nullptr: none does.
  nic::TeardownMap* teardowns() const { return teardowns_.get(); }

  int poll_fd() const { return router_->poll_fd(); }
  /// Takes in address changes. Call when poll_fd() is readable and at least once a second. An error
  /// has a message; what could be taken in was.
  Result<void> process(Time now);

  /// Per interface: name, how it is attached, where it splices, answers SYNs and FINs, counters.
  control::Json describe() const;
  /// By the kernel's programs.
  uint64_t syns_answered() const;
  /// What the kernel's splice programs counted.
  control::Json splice_counters() const { return splicing_.counters(); }
  /// Interfaces on which something left behind by a crash was replaced.
  std::vector<std::string> replaced_leftovers() const;

 private:
  struct Interface {
    control::InterfaceConfig config;
    std::unique_ptr<nic::Steering> steering;
    std::unique_ptr<nic::SendBursts> bursts{};  // nullptr: none
    std::string no_bursts{};                    // why there are none, where there were to be
    std::vector<IpAddress> addresses{};         // those the steering knows, sorted
  };

  explicit SteeredInterfaces(const KernelSplicing& splicing) : splicing_(splicing) {}
  void open_teardowns(const control::Config& config);
  void open_bursts(Interface& interface) const;
  Result<void> sync_addresses(Interface& interface, uint8_t port_index);

  const KernelSplicing& splicing_;
  std::unique_ptr<nic::TeardownMap> teardowns_;
  std::string no_teardowns_;  // why there are none
  std::vector<Interface> interfaces_;
  std::unique_ptr<port::NetlinkRouter> router_;
  uint64_t synced_generation_ = 0;
};

}  // namespace fairlead::app
