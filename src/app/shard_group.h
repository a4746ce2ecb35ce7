// ShardGroup: the shards of a daemon, each with its router, its services and its thread.
//
// Everything of a shard is made by the thread that calls open() and serve(), runs on the shard's
// own thread between start() and stop(), and ends on the caller's again. In between only post() (by
// ask_shards()) reaches into it.
#pragma once

#include <memory>
#include <thread>
#include <vector>

#include "app/log.h"
#include "app/setup_seats.h"
#include "base/result.h"
#include "control/config/config.h"
#include "nic/splice/kernel_seat.h"
#include "nic/splice/split_tuples.h"
#include "nic/steering/steering.h"
#include "nic/teardown/teardown_map.h"
#include "port/netlink_router.h"
#include "port/port.h"
#include "service/echo/echo_server.h"
#include "service/switch/core/switch.h"
#include "socket/shard.h"

namespace fairlead::app {

/// One shard with what runs on it, as ask_shards() knows it.
struct ShardMember {
  size_t index = 0;
  std::unique_ptr<port::NetlinkRouter> router;
  std::unique_ptr<Shard> shard;
  std::vector<std::unique_ptr<EchoServer>> echo_servers;
  std::unique_ptr<l7::Switch> layer7;
  std::thread thread;

  bool post(Shard::Call call) { return shard->post(std::move(call)); }
};

class ShardGroup {
 public:
  using PortsByShard = std::vector<std::vector<std::unique_ptr<port::Port>>>;
  struct Options {
    const control::Config& config;
    std::vector<port::NetlinkRouter::Interface> interfaces;
    nic::SteeringOptions steering;      // how packets are spread over the shards
    nic::KernelSeat* seat = nullptr;    // for splices, outlives the group; nullptr: they stay here
    SetupSeats* setup_seats = nullptr;  // before the shards' own, outlives the group
    nic::TeardownMap* teardowns =
        nullptr;  // the kernel decides for those there; outlives the group
    fl_setup_secrets setup_secrets;
    Log& log;  // outlives the group
  };

  /// One shard for each element of `ports`. An error has a message.
  static Result<std::unique_ptr<ShardGroup>> open(const Options& options, PortsByShard ports);
  /// Stops.
  ~ShardGroup();
  ShardGroup(const ShardGroup&) = delete;
  ShardGroup& operator=(const ShardGroup&) = delete;

  /// Starts the server on every shard; before start(). An error names it.
  Result<void> serve(const control::EchoServerConfig& server, const host::ListenOptions& listen);
  /// Starts the layer-7 switch; once, before start(). One element for each shard.
  Result<void> serve(std::vector<l7::SwitchOptions> by_shard);

  struct Adoption {
    unsigned client_shard = 0;  // of the pair's two 4-tuples
    unsigned server_shard = 0;
    Time now{};
  };
  /// Hands a pair found in the kernel's table to the shard of its client; before start(). False:
  /// no room, and it is ended.
  bool adopt(const nic::SplicePair& pair, const Adoption& how);

  void start();
  /// In place of Options::setup_secrets, soon. False: not on every shard, call again.
  bool set_setup_secrets(const fl_setup_secrets& secrets);
  /// Ends the threads, closes listeners, resets connections and sends that. Idempotent.
  void stop(nic::SunkSplices sunk);

  /// For ask_shards(). They live as long as the group.
  std::vector<ShardMember*> members() const;

 private:
  ShardGroup() = default;
  static Result<void> follow_router(ShardMember& member, Log& log);
  void use_seat(ShardMember& member, nic::KernelSeat& seat);

  nic::SplitTuples split_;  // before members_, which use it to their end
  std::vector<std::unique_ptr<ShardMember>> members_;
  bool stopped_ = false;
};

}  // namespace fairlead::app
