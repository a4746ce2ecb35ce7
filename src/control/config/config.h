// Config: a whole configuration file as typed values, checked and with defaults filled in.
//
// The file's directives and their meaning are described in doc/configuration.md; directives.cc is
// the table of them.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "control/config/diagnostics.h"
#include "control/config/switch_config.h"
#include "host/config.h"
#include "nic/aggregate/aggregate_config.h"
#include "nic/splice/splice.h"
#include "wire/address.h"

namespace fairlead::control {

enum class LogLevel : uint8_t { kDebug, kInfo, kWarning, kError };

/// `interface NAME { … }`: packets come and go here.
struct InterfaceConfig {
  enum class ReceiveMode : uint8_t {
    kSocket,  // a system call per burst
    kRing,    // memory shared with the kernel, for what is short
  };

  enum class SendMode : uint8_t {
    kSocket,  // a message for each packet
    kBurst,   // one for many, where they are short
  };

  std::string name;
  ReceiveMode receive_mode = ReceiveMode::kRing;
  SendMode send_mode = SendMode::kBurst;
  nic::SeatChoice seat = nic::SeatChoice::kAutomatic;  // where its connections are spliced
  uint32_t receive_buffer = 32u << 20;  // bytes of kernel memory that may wait, per shard
  enum class Aggregate : uint8_t {
    kAutomatic,  // where the interface has generic receive offload off
    kOn,
    kOff,
  };
  Aggregate aggregate = Aggregate::kAutomatic;  // packets of one connection become one
  Position at;
};

/// `aggregator { … }`: receive aggregation between two interfaces.
struct AggregatorConfig {
  std::string from;  // the network's side
  std::string to;    // the side of the host behind
  nic::AggregateConfig aggregate;
  Position at;
};

/// `echo_server ADDRESS PORT { … }`
struct EchoServerConfig {
  enum class Mode : uint8_t {
    kEcho,     // what comes is sent back (RFC 862)
    kDiscard,  // what comes is thrown away (RFC 863)
    kChargen,  // bytes are sent for as long as the peer takes them (RFC 864)
  };

  Endpoint endpoint;
  Mode mode = Mode::kEcho;
  uint32_t backlog = host::ListenOptions{}.backlog;
  std::optional<SetupOffload> setup_offload;  // not said: where the client speaks first
  std::optional<bool> teardown_offload;       // not said: as tcp says
  std::optional<uint64_t> limit;  // bytes sent back before the server closes; not said: none
  Position at;
};

struct Config {
  static constexpr size_t kMaxPools = 1024;

  std::vector<InterfaceConfig> interfaces;  // none: all that are up, as the original switch has it
  std::vector<AggregatorConfig> aggregators;
  std::vector<EchoServerConfig> echo_servers;
  std::vector<VirtualServerConfig> virtual_servers;
  std::vector<PoolConfig> pools;                              // named ones; a name stands once
  std::optional<ListenerConfig> metrics;                      // on a kernel socket
  std::string event_log;                                      // empty: none
  std::string control_socket = "/run/fairlead/control.sock";  // empty: none
  LogLevel log_level = LogLevel::kInfo;
  uint32_t shards = 1;                   // host stacks, one thread each
  Duration coalesce = Duration::zero();  // ShardOptions::coalesce
  uint32_t splice_rules = 1u << 20;      // room for so many in the kernel; two a spliced connection
  bool reserve_local_ports = false;      // `local_ports` was given: the kernel may not use them
  host::StackConfig stack;  // for the machine; with several shards, bounds are divided among them
  host::ListenOptions listen;  // what `tcp { … }` says about every listener and its connections
};

/// Reads a configuration text. `name` is what errors call it, usually the file's name.
std::expected<Config, Diagnostics> parse_config(std::string_view text, std::string name);

/// Reads the configuration file at `path`. One that can't be read is a Diagnostics too.
std::expected<Config, Diagnostics> load_config(const std::string& path);

}  // namespace fairlead::control
