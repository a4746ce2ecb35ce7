// DataPath: the interfaces with the kernel's programs on them, and the shards behind: what the
// daemon's services and the C API's sockets stand on.
//
// Connections are reset while the kernel still can't see their packets, and only then is steering
// detached: otherwise the kernel would answer for them.
#pragma once

#include <memory>

#include "app/kernel_splicing.h"
#include "app/log.h"
#include "app/setup_seats.h"
#include "app/shard_group.h"
#include "app/steered_interfaces.h"
#include "base/result.h"
#include "base/time.h"
#include "control/config/config.h"
#include "nic/setup/secrets.h"

namespace fairlead::app {

class DataPath {
 public:
  /// process() wants to be called at least that often.
  static constexpr Duration kProcessInterval = milliseconds(500);

  /// Attached, and shards made but not started. An error has a message and leaves nothing attached.
  /// The log outlives this.
  static Result<std::unique_ptr<DataPath>> open(const control::Config& config, Log& log);
  /// Stops the shards, detaches. Connections spliced in the kernel go on.
  ~DataPath();
  DataPath(const DataPath&) = delete;
  DataPath& operator=(const DataPath&) = delete;

  ShardGroup& shards() { return *shards_; }
  const ShardGroup& shards() const { return *shards_; }
  SteeredInterfaces& interfaces() { return *interfaces_; }
  /// To the log: where splices are, on which interface.
  void report() const { splicing_->report(); }

  int poll_fd() const { return interfaces_->poll_fd(); }
  /// Takes in changes of this machine's addresses, and rotates secrets. Also when poll_fd() is
  /// readable.
  void process(Time now);
  /// Ends the shards and resets connections; those spliced in the kernel go on or end, too.
  void stop(nic::SunkSplices sunk);

 private:
  explicit DataPath(Log& log) : log_(log) {}
  Result<void> open_interfaces(const control::Config& config);
  Result<void> open_shards(const control::Config& config);
  void follow_addresses(Time now);
  void rotate_secrets(Time now);

  Log& log_;
  bool addresses_current_ = true;
  nic::SetupSecrets setup_secrets_;
  bool secrets_told_ = true;  // to every shard
  // Destroyed from the last to the first.
  std::unique_ptr<KernelSplicing> splicing_;
  std::unique_ptr<SteeredInterfaces> interfaces_;
  std::unique_ptr<SetupSeats> setup_seats_;
  std::unique_ptr<ShardGroup> shards_;
};

}  // namespace fairlead::app
