// Switch: the layer-7 switch of one shard. Virtual servers take connections, choose a server for
// each (or for each request), and relay.
//
//   client ──▶ VirtualServer ──▶ Session ──▶ Router ──▶ Pool ──▶ Server
//                                   └───────── relay ◀────────────┘
//
// One thread, that of the shard, for everything here.
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "service/switch/core/options.h"
#include "service/switch/core/records.h"
#include "service/switch/core/switch_counters.h"
#include "socket/tcp_socket.h"

namespace fairlead::l7 {

struct VirtualServer;

class Switch {
 public:
  /// Listens on every address, and serves until it is destroyed. An error names the address.
  /// `seed` is for schedules that draw lots. Sessions are tasks of the scheduler: they must have
  /// been cancelled (Scheduler::cancel_all()) before the switch is destroyed.
  static Result<std::unique_ptr<Switch>> start(Runtime runtime, SwitchOptions options,
                                               uint64_t seed);
  ~Switch();

  /// From now on new connections are served by `options`; those there are go on as they began.
  /// Servers that stay keep their health, counters and administrative state; listeners that stay
  /// lose no connection and take the new options for new ones. An error names the address that
  /// could not be listened on, and nothing has changed.
  Result<void> reconfigure(SwitchOptions options);

  /// Sets the state of every server of that name ("ADDRESS:PORT"), in all pools. Returns how many
  /// there are. kDisabled also ends the connections they have.
  size_t set_admin(std::string_view server, balance::AdminState state);

  std::vector<ServerSnapshot> servers() const;
  /// At most `limit`; the number there are is session_count().
  std::vector<SessionSnapshot> sessions(size_t limit) const;
  size_t session_count() const;
  const SwitchCounters& counters() const;

 private:
  struct Parts;

  Switch(Runtime runtime, uint64_t seed);
  /// nullptr: none listens there.
  std::shared_ptr<VirtualServer> virtual_server_at(const Endpoint& endpoint) const;
  /// Splices that are there already, of an earlier process, are sessions from now on.
  void adopt_spliced();
  void end_sessions_of(const balance::Server& server);

  std::unique_ptr<Parts> parts_;
  uint64_t seed_;
};

}  // namespace fairlead::l7
