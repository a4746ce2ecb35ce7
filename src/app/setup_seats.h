// SetupSeats: the kernel's programs as each shard's setup seat.
//
// The programs do not know whose shard a SYN is. They answer those of a listener while every shard
// leaves them to it; when one shard is full, all SYNs come up, and each shard answers or drops its
// own.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <vector>

#include "nic/channel/nic_link.h"
#include "nic/setup/setup_tables.h"
#include "wire/address.h"

namespace fairlead::app {

class SetupSeats {
 public:
  /// Tells the programs; called by one thread at a time.
  using Tell = std::function<void(const nic::ListenMessage&)>;

  SetupSeats(size_t shards, Tell tell);

  /// For that shard's thread. Lives as long as this.
  nic::SetupSeat& of(size_t shard) { return seats_.at(shard); }

 private:
  class Seat final : public nic::SetupSeat {
   public:
    Seat(SetupSeats& all, size_t shard) : all_(all), shard_(shard) {}
    void listen(const nic::ListenMessage& message) override { all_.listen(shard_, message); }

   private:
    SetupSeats& all_;
    size_t shard_;
  };
  using Entries = std::vector<std::optional<fl_setup_listener>>;  // by shard

  void listen(size_t shard, const nic::ListenMessage& message);

  Tell tell_;
  std::vector<Seat> seats_;
  std::mutex mutex_;
  std::map<Endpoint, Entries> listeners_;  // guarded by mutex_; those that some shard leaves
};

}  // namespace fairlead::app
