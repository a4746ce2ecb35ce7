// Session: one client's connection through the switch, and the server's at its other end.
//
// What all protocols have in common is here: choosing a server and connecting to it, waiting with a
// bound, relaying bytes, ending. http_session.h and stream_session.h say what happens in between.
//
// Silence is measured for both directions together: every wait ends when nothing has moved in
// either for the time it is given.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/intrusive_list.h"
#include "service/switch/core/records.h"
#include "service/switch/core/shared_state.h"
#include "service/switch/core/virtual_server.h"
#include "socket/tcp_socket.h"

namespace fairlead::l7 {

/// Tells what is known of a request whenever a server is to be chosen: views that hold until the
/// next suspension.
class FactsSource {
 public:
  virtual balance::RequestFacts facts() = 0;

 protected:
  ~FactsSource() = default;
};

class Session : public ListHook<SessionTag> {
 public:
  /// How an attempt to get a connection to a server ended.
  enum class Outcome : uint8_t { kConnected, kNoServer, kRefused, kTimedOut };

  Session(SharedState& shared, VirtualServer::Slot slot, TcpSocket client,
          const Endpoint& listener);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  SharedState& shared() { return shared_; }
  const VirtualServerOptions& options() const { return virtual_server_->options; }
  TcpSocket& client() { return client_; }
  TcpSocket& server() { return server_; }
  /// Who the client is: the other end, or what accept_proxy told.
  const Endpoint& client_endpoint() const { return record_.client; }
  AccessRecord& record() { return record_; }
  Time now() const { return shared_.runtime.scheduler.now(); }

  /// accept_proxy: reads the header. False: none came, or a wrong one; the session is over.
  Task<bool> read_proxy_header();

  /// Chooses a server, connects to it, and tries others while there are some. The connection it has
  /// is kept if the choice falls on its server.
  Task<Outcome> connect(FactsSource& source);
  /// Ready for the next request of this or another session.
  bool server_is_reusable() const;
  /// The connection to the server was used before this request.
  bool server_was_reused() const { return reused_; }
  /// The next request goes there, too.
  void reuse_server() { reused_ = true; }
  /// It said that it will close the connection.
  void server_will_close() { server_keeps_ = false; }
  /// Gives it back for others to use, or closes it.
  void leave_server(bool reusable);
  balance::Server* chosen() const { return link_ ? &link_->server() : nullptr; }

  /// Waits for more than `beyond` unread bytes, or the end of the stream. False: the connection
  /// broke, or nothing moved for `patience`; wait_error() says which.
  Task<bool> wait_readable(TcpSocket& socket, size_t beyond, Duration patience);
  /// Likewise, but whatever moves, the wait ends then.
  Task<bool> wait_readable_until(TcpSocket& socket, size_t beyond, Time until);
  /// Of the last wait that failed.
  Errc wait_error() const { return wait_error_; }
  /// Forwards exactly `n` unread bytes. False: `to` broke, or took nothing for too long.
  Task<bool> pass(TcpSocket& from, TcpSocket& to, size_t n);
  /// Relays bytes both ways until both have ended, or either broke; then the other is reset.
  Task<void> relay();

  /// The rest is the splice's, if there is to be one and there can be; then this session is over.
  /// `began`: the first request.
  bool splice(Time began);
  bool splices() const { return options().splices(); }

  /// The end of an orderly conversation: FIN, and what the client still sends is thrown away for a
  /// moment, so that no RST overtakes the last answer.
  Task<void> finish();
  /// RST to both.
  void abort();
  /// Its server was disabled.
  void end_by_command();
  /// Why it ended, for the access log. The first word counts.
  void end(std::string_view why);
  /// `n` bytes that `from` received were passed on.
  void count(const TcpSocket& from, size_t n);
  /// Writes the record to the access log, if there is one, and begins the next.
  void log();

  SessionSnapshot snapshot() const;

 private:
  static constexpr size_t kMaxTries = 4;  // servers for one request
  static constexpr Duration kLinger = seconds(2);
  static constexpr size_t kMaxLinger = 256u << 10;  // bytes

  Task<bool> pump(TcpSocket& from, TcpSocket& to);
  /// From now on silence counts from here.
  void touch() { moved_at_ = now(); }
  Duration patience() const;
  Outcome note_failure(balance::Server& server, Errc error);

  SharedState& shared_;
  VirtualServer::Slot virtual_server_;
  TcpSocket client_;
  std::optional<balance::Server::Connection> link_;
  TcpSocket server_;
  Time moved_at_;
  Errc wait_error_ = Errc::kOk;
  uint64_t bytes_from_client_ = 0;
  uint64_t bytes_to_client_ = 0;
  bool half_closed_ = false;
  bool reused_ = false;
  bool server_keeps_ = true;  // the connection, after the answer
  AccessRecord record_;
};

}  // namespace fairlead::l7
