// SplicedSession: what is remembered of a session whose two connections have become one. Its place
// among the virtual server's and the server's connections, and its line for the access log, until
// the splice ends; then it is gone by itself.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/intrusive_list.h"
#include "nic/splice/splice.h"
#include "service/switch/core/records.h"
#include "service/switch/core/shared_state.h"
#include "service/switch/core/virtual_server.h"

namespace fairlead::l7 {

class SplicedSession final : public ListHook<SplicedTag>, private nic::SpliceObserver {
 public:
  struct Parts {
    VirtualServer::Slot slot;
    balance::Server::Connection link;
    const AccessRecord& record;  // of the request that began it
    Time began;                  // that request
  };

  /// Makes one connection of the two and remembers the rest; false when they can't become one, and
  /// then nothing has changed.
  static bool begin(SharedState& shared, TcpSocket& client, TcpSocket& server, Parts& parts);
  /// A splice that an earlier process began: among the connections of the virtual server and of its
  /// server that are there now, if they are.
  static void adopt(SharedState& shared, nic::Splice& splice,
                    const std::shared_ptr<VirtualServer>& virtual_server);
  ~SplicedSession();

  /// nullptr: one that this configuration does not have.
  const balance::Server* server() const { return link_ ? &link_->server() : nullptr; }
  /// Its server was disabled.
  void end_by_command();
  SessionSnapshot snapshot() const;
  /// Brings the counters of server and switch up to date with what has passed. Asks the kernel.
  void count();

 private:
  /// An AccessRecord that keeps what it refers to.
  struct Record {
    explicit Record(const AccessRecord& from);
    std::string method, target, version, host, referer, user_agent, server_name;
    AccessRecord record;
  };

  explicit SplicedSession(SharedState& shared);
  void on_splice_end(const nic::SpliceReport& report) override;
  void count(uint64_t up, uint64_t down);

  SharedState& shared_;
  std::optional<VirtualServer::Slot> slot_;
  std::optional<balance::Server::Connection> link_;
  Endpoint client_;  // as accept_proxy may have told
  Time began_{};
  uint64_t bytes_from_client_ = 0;  // until it was spliced
  uint64_t bytes_to_client_ = 0;
  uint64_t counted_up_ = 0;  // bytes of the splice that the counters have
  uint64_t counted_down_ = 0;
  std::unique_ptr<Record> record_;  // nullptr: no access log, or the request is not known
  nic::Splice* splice_ = nullptr;
};

}  // namespace fairlead::l7
