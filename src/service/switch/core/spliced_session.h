// SplicedSession: what is remembered of a session whose two connections have become one. Its place
// among the virtual server's and the server's connections, and its line for the access log, until
// the splice ends; then it is gone by itself.
#pragma once

#include <memory>
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
  ~SplicedSession();

  const balance::Server& server() const { return link_.server(); }
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

  SplicedSession(SharedState& shared, Parts& parts);
  void on_splice_end(const nic::SpliceReport& report) override;
  void count(uint64_t up, uint64_t down);

  SharedState& shared_;
  VirtualServer::Slot slot_;
  balance::Server::Connection link_;
  Endpoint client_;  // as accept_proxy may have told
  Time began_;
  uint64_t bytes_from_client_;  // until it was spliced
  uint64_t bytes_to_client_;
  uint64_t counted_up_ = 0;  // bytes of the splice that the counters have
  uint64_t counted_down_ = 0;
  std::unique_ptr<Record> record_;  // nullptr: there is no access log
  nic::Splice* splice_ = nullptr;
};

}  // namespace fairlead::l7
