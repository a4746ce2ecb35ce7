// What a Switch reports: a record per request for the access log, events, and what it shows when
// asked.
//
// Logs are interfaces: whoever implements one must not block and must not fail. A log that can't
// keep up drops records and counts them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/time.h"
#include "service/switch/balance/server.h"
#include "wire/address.h"

namespace fairlead::l7 {

/// One request, or for protocols tls and tcp, and behind the first request of `balance connection`,
/// one connection. Views are valid during the call.
struct AccessRecord {
  Endpoint client;
  Endpoint virtual_server;
  std::string_view server;  // "ADDRESS:PORT"; empty: none was chosen
  std::string_view method;
  std::string_view target;
  std::string_view version;  // "HTTP/1.1"
  std::string_view host;
  std::string_view referer;
  std::string_view user_agent;
  std::string_view server_name;  // SNI
  uint16_t status = 0;           // 0: no answer, or none that was looked at
  uint64_t bytes_from_client = 0;
  uint64_t bytes_to_client = 0;
  Duration wait{};       // request passed on to the answer's first byte
  Duration total{};      // first byte of the request to the end
  std::string_view end;  // "done", or why it ended otherwise: "client_aborted", "no_server", …
};

class AccessLog {
 public:
  virtual void write(const AccessRecord& record) = 0;

 protected:
  ~AccessLog() = default;
};

class EventLog {
 public:
  /// "server_up", "server_down", "server_enabled", "server_draining", "server_disabled".
  virtual void server_changed(std::string_view pool, std::string_view server,
                              std::string_view event, std::string_view reason) = 0;

 protected:
  ~EventLog() = default;
};

/// One connection through the switch: what /proc/net/tcp_splice_conn showed, and bytes.
struct SessionSnapshot {
  Endpoint client;
  Endpoint virtual_server;
  Endpoint local;          // our end of the connection to the server; port 0: there is none yet
  Endpoint server;         // likewise
  std::string_view state;  // "LISTEN", "SYN-SENT", "ESTABLISHED", "CLOSE-WAIT", "CLOSE"
  std::string_view seat = "host";  // where it runs: host, or spliced: user, tc, xdp
  Duration expires{};              // until it is ended if nothing happens
  uint64_t bytes_from_client = 0;
  uint64_t bytes_to_client = 0;
};

struct ServerSnapshot {
  std::string virtual_servers;  // that use its pool, "ADDRESS:PORT" separated by blanks
  std::string pool;             // empty: the virtual server's own
  std::string server;           // "ADDRESS:PORT"
  balance::AdminState admin{};
  bool up = true;
  bool backup = false;
  uint32_t weight = 1;
  uint32_t max_connections = 0;
  uint32_t active = 0;
  balance::Server::Counters counters;
};

}  // namespace fairlead::l7
