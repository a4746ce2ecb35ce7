// The directives of a configuration file: the tables read_block() works by.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "control/config/config.h"
#include "control/config/schema.h"

namespace fairlead::control {

/// What may stand outside any block.
std::span<const Directive<Config>> top_directives();
/// Inside `interface NAME { … }`.
std::span<const Directive<InterfaceConfig>> interface_directives();
/// Inside `aggregator { … }`.
std::span<const Directive<AggregatorConfig>> aggregator_directives();
/// Inside `echo_server ADDRESS PORT { … }`.
std::span<const Directive<EchoServerConfig>> echo_server_directives();
/// Inside `virtual_server ADDRESS PORT { … }`.
std::span<const Directive<VirtualServerConfig>> virtual_server_directives();
/// Inside `pool NAME { … }`.
std::span<const Directive<PoolConfig>> pool_directives();
/// Inside `tcp { … }`; it speaks about stack and listen of the Config.
std::span<const Directive<Config>> tcp_directives();

/// `aggregator` with its block.
void read_aggregator(DirectiveInput& in, Config& out);
/// `virtual_server`, `pool`, `match` and `health_check` with what is in their blocks.
void read_virtual_server(DirectiveInput& in, Config& out);
void read_pool(DirectiveInput& in, Config& out);
void read_match(DirectiveInput& in, VirtualServerConfig& out);
void read_health_check(DirectiveInput& in, HealthCheckConfig& out);

/// The name of an interface.
void read_interface_name(Arguments& in, std::string_view name, std::string& out);
/// `ADDRESS PORT` to listen on: unicast, or 0.0.0.0 or :: for all of the machine's.
void read_listener(Arguments& in, Endpoint& out);
/// `setup_offload` of a server.
void read_setup_offload(Arguments& in, std::optional<SetupOffload>& out);
/// `PATH` of a file.
void read_absolute_path(Arguments& in, std::string& out);

/// In the order of VirtualServerConfig::Protocol.
inline constexpr std::string_view kProtocolNames[] = {"http", "tls", "tcp"};
/// In the order of MatchConfig::Condition::Kind, and what ends the conditions.
inline constexpr std::string_view kConditionNames[] = {"host", "path", "path_prefix", "header",
                                                       "sni",  "alpn", "pool"};

/// What can only be said of the file as a whole: listeners given twice, pools that are not there,
/// rules and schedules that look at what a protocol does not have.
void check_whole(const Config& config, Diagnostics& diagnostics);

}  // namespace fairlead::control
