// What a Switch is told to do, as plain values: the configuration's meaning without its text.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "host/config.h"
#include "service/switch/balance/pool.h"
#include "service/switch/balance/routing.h"
#include "service/switch/core/records.h"
#include "service/switch/protocol/proxy_protocol.h"
#include "wire/address.h"

namespace fairlead::l7 {

/// What a server is chosen by.
enum class Protocol : uint8_t {
  kHttp,  // the head of a request
  kTls,   // the ClientHello; nothing is decrypted
  kTcp,   // nothing: at once
};

/// How long a choice holds.
enum class Balance : uint8_t {
  kConnection,  // a connection stays with the server of its first request
  kRequest,     // each request is given a server
};

/// When the two connections of a session become one. Never with Balance::kRequest or
/// add_forwarded_for, for which each request is looked at.
enum class Splicing : uint8_t {
  kOff,
  kAnswered,  // protocol http: when the first answer begins; until then one can be given in the
              // server's place. Other protocols: at once
  kEarly,     // as soon as the server has taken the connection
};

/// What may last how long; doc/configuration.md says what is measured from when.
struct Timeouts {
  Duration listen = seconds(30);
  Duration synrecv = seconds(60);
  Duration synsent = seconds(5);
  Duration synack = seconds(60);
  Duration established = seconds(900);
  Duration closewait = seconds(60);
  Duration finwait = seconds(120);
  Duration lastack = seconds(30);
  Duration timewait = seconds(60);
  Duration close{};
};

struct HealthCheck {
  enum class Kind : uint8_t { kNone, kTcp, kHttp };

  Kind kind = Kind::kNone;
  std::string path;             // kHttp
  uint16_t expect_first = 200;  // good statuses, both ends included
  uint16_t expect_last = 399;
  Duration interval = seconds(2);  // start to start
  Duration timeout = seconds(1);   // of one check as a whole
};

struct PoolOptions {
  balance::Pool::Options pool;             // its name is unique within a SwitchOptions
  std::vector<HealthCheck> health_checks;  // of pool.servers, in their order
};

struct RuleOptions {
  std::vector<balance::Condition> conditions;
  std::string pool;
};

struct VirtualServerOptions {
  std::vector<Endpoint> listen;  // the first one is its name
  host::ListenOptions tcp;
  Protocol protocol = Protocol::kHttp;
  Balance balance = Balance::kConnection;
  std::vector<RuleOptions> rules;
  std::string pool;  // takes what no rule does; empty: that is refused
  Timeouts timeouts;
  uint32_t max_connections = 0;  // of this shard; 0: no bound but the stack's
  uint32_t max_request_head = 16u << 10;
  std::optional<protocol::ProxyVersion> send_proxy;
  bool accept_proxy = false;
  bool add_forwarded_for = false;
  Splicing splicing = Splicing::kAnswered;
  uint64_t splice_after = 0;        // segments both ways before a splice goes down to the kernel
  AccessLog* access_log = nullptr;  // outlives the switch; nullptr: none

  bool splices() const {
    return splicing != Splicing::kOff && balance == Balance::kConnection && !add_forwarded_for;
  }
  /// Before an answer was seen.
  bool splices_early() const {
    return splices() && (splicing == Splicing::kEarly || protocol != Protocol::kHttp);
  }
};

struct SwitchOptions {
  std::vector<PoolOptions> pools;
  std::vector<VirtualServerOptions> virtual_servers;
  host::SocketOptions server_socket;  // of connections to servers
  EventLog* events = nullptr;         // outlives the switch; nullptr: none
};

}  // namespace fairlead::l7
