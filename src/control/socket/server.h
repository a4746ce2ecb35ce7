// ControlServer: the daemon's end of the control socket.
//
// It belongs to the control thread's loop, which also waits for signals; packets are moved by other
// threads (shards), so nothing a client does can hold up the data path. The server itself never
// blocks: requests and replies are bounded, the number of clients is bounded, and one that does not
// read its reply is dropped.
//
//   poll(server.poll_fd() readable, until server.next_deadline()); server.on_ready(now);
//
// Access is the file's: mode 0600, the daemon's user and root.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "base/unique_fd.h"
#include "control/socket/commands.h"
#include "control/socket/session.h"

namespace fairlead::control {

class ControlServer {
 public:
  static constexpr size_t kMaxClients = 16;

  struct Counters {
    uint64_t clients_accepted = 0;
    uint64_t clients_refused = 0;    // kMaxClients were there already
    uint64_t clients_timed_out = 0;  // did not read a reply, or idle
    uint64_t requests_too_long = 0;
    uint64_t accept_failed = 0;  // out of descriptors or memory; tried again kAcceptPause later
  };

  /// Listens at `path`; makes its directory when only the last part is missing, and replaces a
  /// socket left behind by a crash. EADDRINUSE: another daemon answers there, or the file is no
  /// socket. Other errors carry a message, too.
  static Result<std::unique_ptr<ControlServer>> open(const std::string& path,
                                                     CommandTable commands);
  /// Removes the socket file, unless somebody else has put another in its place.
  ~ControlServer();
  ControlServer(const ControlServer&) = delete;
  ControlServer& operator=(const ControlServer&) = delete;

  int poll_fd() const { return epoll_.get(); }
  std::optional<Time> next_deadline() const;
  void on_ready(Time now);

  const Counters& counters() const { return counters_; }
  size_t client_count() const { return sessions_.size(); }

 private:
  static constexpr Duration kAcceptPause = milliseconds(200);

  ControlServer(std::string path, CommandTable commands)
      : path_(std::move(path)), commands_(std::move(commands)) {}

  Result<void> listen();
  Result<void> bind_socket();
  void accept_clients(Time now);
  void pause_accepting(Time now);
  void serve(Session& session, Time now);
  void drop(const Session& session);
  void drop_late(Time now);

  std::string path_;
  CommandTable commands_;
  UniqueFd epoll_;
  UniqueFd listener_;
  dev_t device_ = 0;  // with inode_: which file is ours to remove
  ino_t inode_ = 0;
  std::optional<Time> accept_again_;
  std::vector<std::unique_ptr<Session>> sessions_;
  Counters counters_;
};

}  // namespace fairlead::control
