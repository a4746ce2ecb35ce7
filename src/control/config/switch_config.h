// What the configuration says about the layer-7 switch: virtual servers, pools, real servers.
//
//   virtual_server ── listens on ──▶ addresses
//        │  match … ──────────────▶ pool NAME ──▶ real_server …
//        └─ what no match takes ──▶ its own pool ──▶ real_server …
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "control/config/diagnostics.h"
#include "host/config.h"
#include "wire/address.h"

namespace fairlead::control {

/// `ADDRESS PORT` where somebody listens.
struct ListenerConfig {
  Endpoint endpoint;
  Position at;
};

/// Who does a server's handshakes.
enum class SetupOffload : uint8_t {
  kOff,       // the host
  kOn,        // the NIC stack
  kDeferred,  // the same, and a connection begins with the client's first data
};
/// Not said: the NIC stack, but where the server may speak first.
inline void apply(std::optional<SetupOffload> said, bool may_speak_first, host::ListenOptions& to) {
  const auto who = said.value_or(may_speak_first ? SetupOffload::kOff : SetupOffload::kOn);
  to.setup_offload = who != SetupOffload::kOff;
  to.defer_accept = who == SetupOffload::kDeferred;
}

/// `health_check http PATH { … }` or `health_check tcp { … }`
struct HealthCheckConfig {
  enum class Kind : uint8_t {
    kNone,  // always up
    kTcp,   // a connection can be made
    kHttp,  // GET PATH is answered with an expected status
  };

  Kind kind = Kind::kNone;
  std::string path;             // kHttp
  uint16_t expect_first = 200;  // statuses that are good, both ends included
  uint16_t expect_last = 399;
  Duration interval = seconds(2);  // from the start of one check to that of the next
  Duration timeout = seconds(1);   // for a check as a whole; at most the interval
  uint32_t rise = 2;               // good checks in a row that make it up
  uint32_t fall = 3;               // bad checks in a row that make it down
};

/// `real_server ADDRESS PORT { … }`
struct RealServerConfig {
  Endpoint endpoint;
  uint32_t weight = 1;
  uint32_t max_connections = 0;  // 0: no bound
  bool backup = false;
  HealthCheckConfig health_check;
  Position at;
};

/// `schedule_…`
struct ScheduleConfig {
  enum class Algorithm : uint8_t { kRr, kWrr, kLc, kWlc, kP2c, kHash };
  enum class HashInput : uint8_t { kSource, kUri, kHeader, kCookie };

  Algorithm algorithm = Algorithm::kRr;
  HashInput hash_input = HashInput::kSource;
  std::string hash_name;  // of the header or cookie
  Position at;            // line 0: none was given
};

/// `pool NAME { … }`, and what a virtual server has of its own.
struct PoolConfig {
  static constexpr size_t kMaxServers = 512;
  /// With schedule_hash: with more, too many requests would move when a server leaves.
  static constexpr size_t kMaxHashedServers = 64;

  std::string name;  // empty for a virtual server's own
  ScheduleConfig schedule;
  std::vector<RealServerConfig> servers;
  Position at;
};

/// `match CONDITION … pool NAME`
struct MatchConfig {
  struct Condition {
    enum class Kind : uint8_t { kHost, kPath, kPathPrefix, kHeader, kSni, kAlpn };

    Kind kind = Kind::kHost;
    std::string value;
    std::string header;  // kHeader: the field's name
    Position at;
  };

  std::vector<Condition> conditions;  // all have to hold
  std::string pool;
  Position at;  // of the pool's name
};

/// What may last how long, under the names of the original's tcp_splice variables. Where a value
/// differs from theirs, doc/configuration.md says why.
struct SwitchTimeouts {
  Duration listen = seconds(30);        // a client's head; later ones from their first byte
  Duration synrecv = seconds(60);       // a client's handshake
  Duration synsent = seconds(5);        // a real server's handshake
  Duration synack = seconds(60);        // from the request passed on to the answer's first byte
  Duration established = seconds(900);  // nothing in either direction
  Duration closewait = seconds(60);     // one side has closed: nothing in the other direction
  Duration finwait = seconds(120);      // our FIN is not answered by the peer's
  Duration lastack = seconds(30);       // our FIN, sent after the peer's, is not acknowledged
  std::optional<Duration> timewait;     // addresses rest after an orderly end; none: as tcp says
  Duration close{};                     // ours rest after a reset
};

/// `virtual_server ADDRESS PORT { … }`
struct VirtualServerConfig {
  enum class Protocol : uint8_t { kHttp, kTls, kTcp };
  enum class Balance : uint8_t { kConnection, kRequest };
  enum class Splicing : uint8_t { kOff, kAnswered, kEarly };
  enum class SendProxy : uint8_t { kNo, kV1, kV2 };
  enum class LogFormat : uint8_t { kJson, kCommon };

  static constexpr size_t kMaxListeners = 256;
  static constexpr size_t kMaxMatches = 1024;  // they are tried in turn

  std::vector<ListenerConfig> listeners;  // the first is that of the first line
  Protocol protocol = Protocol::kHttp;
  Balance balance = Balance::kConnection;
  Splicing splicing = Splicing::kAnswered;
  uint64_t splice_after = 0;  // segments
  PoolConfig pool;            // takes what no match does; without servers that is refused
  std::vector<MatchConfig> matches;
  SwitchTimeouts timeouts;
  uint32_t backlog = host::ListenOptions{}.backlog;
  std::optional<SetupOffload> setup_offload;  // not said: where the client always speaks first
  std::optional<bool> teardown_offload;       // not said: as tcp says
  uint32_t max_connections = 0;               // 0: no bound but the machine's
  uint32_t max_request_head = 16u << 10;      // bytes
  SendProxy send_proxy = SendProxy::kNo;
  bool accept_proxy = false;
  bool add_forwarded_for = false;
  std::string access_log;  // empty: none
  LogFormat access_log_format = LogFormat::kJson;
  Position at;
};

}  // namespace fairlead::control
