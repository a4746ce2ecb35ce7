// What may stand outside any block, and how the blocks are entered.
#include "control/config/directives.h"

#include <fmt/format.h>
#include <sys/un.h>

#include <algorithm>
#include <string>

namespace fairlead::control {
namespace {

void read_interface(DirectiveInput& in, Config& out) {
  InterfaceConfig interface;
  read_interface_name(in.arguments, "NAME", interface.name);
  if (!in.arguments.ok()) return;
  interface.at = in.arguments.last_at();
  const auto same = std::ranges::find(out.interfaces, interface.name, &InterfaceConfig::name);
  if (same != out.interfaces.end()) {
    in.arguments.reject(fmt::format("found interface {} a second time; it is already in line {}",
                                    in_quotes(interface.name), same->at.line));
    return;
  }
  read_block("interface", in.statement.children, interface_directives(), in.diagnostics, interface);
  out.interfaces.push_back(std::move(interface));
}

void read_echo_server(DirectiveInput& in, Config& out) {
  EchoServerConfig server;
  read_listener(in.arguments, server.endpoint);
  server.at = in.arguments.last_at();
  read_block("echo_server", in.statement.children, echo_server_directives(), in.diagnostics,
             server);
  if (in.arguments.ok()) out.echo_servers.push_back(server);
}

void read_control_socket(DirectiveInput& in, Config& out) {
  in.arguments.text("PATH", out.control_socket);
  if (!in.arguments.ok()) return;
  if (out.control_socket == "off") {
    out.control_socket.clear();
    return;
  }
  constexpr size_t kMaxPath = sizeof(sockaddr_un::sun_path) - 1;
  if (!out.control_socket.starts_with('/') || out.control_socket.size() > kMaxPath) {
    in.arguments.reject(
        fmt::format("found {}; expected an absolute path of at most {} bytes, or off",
                    in_quotes(out.control_socket), kMaxPath));
  }
}

void read_local_ports(DirectiveInput& in, Config& out) {
  constexpr Range<uint64_t> kPorts{.min = 1024, .max = 65535};
  out.reserve_local_ports = true;
  in.arguments.number("FIRST", kPorts, out.stack.local_port_first);
  in.arguments.number("LAST", kPorts, out.stack.local_port_last);
  if (in.arguments.ok() && out.stack.local_port_first > out.stack.local_port_last) {
    in.arguments.reject(
        fmt::format("found LAST {} below FIRST {}; expected FIRST to be at most LAST",
                    out.stack.local_port_last, out.stack.local_port_first));
  }
}

void read_log_level(DirectiveInput& in, Config& out) {
  static constexpr std::string_view kLevels[] = {"debug", "info", "warning", "error"};
  in.arguments.choice("LEVEL", kLevels, out.log_level);
}

void read_metrics(DirectiveInput& in, Config& out) {
  ListenerConfig listener;
  read_listener(in.arguments, listener.endpoint);
  listener.at = in.arguments.last_at();
  if (in.arguments.ok()) out.metrics = listener;
}

void read_tcp(DirectiveInput& in, Config& out) {
  read_block("tcp", in.statement.children, tcp_directives(), in.diagnostics, out);
}

constexpr Directive<Config> kTop[] = {
    {.keyword = "aggregator",
     .usage = "aggregator { ... }",
     .occurs = Occurs::kRepeatedly,
     .block = HasBlock::kMayHave,
     .read = read_aggregator},
    {.keyword = "coalesce",
     .usage = "coalesce DURATION",
     .read =
         [](DirectiveInput& in, Config& out) {
           in.arguments.duration("DURATION", {.min = microseconds(1), .max = milliseconds(10)},
                                 out.coalesce);
         }},
    {.keyword = "control_socket", .usage = "control_socket PATH|off", .read = read_control_socket},
    {.keyword = "echo_server",
     .usage = "echo_server ADDRESS PORT { ... }",
     .occurs = Occurs::kRepeatedly,
     .block = HasBlock::kMayHave,
     .read = read_echo_server},
    {.keyword = "event_log",
     .usage = "event_log PATH",
     .read = [](DirectiveInput& in,
                Config& out) { read_absolute_path(in.arguments, out.event_log); }},
    {.keyword = "interface",
     .usage = "interface NAME { ... }",
     .occurs = Occurs::kRepeatedly,
     .block = HasBlock::kMayHave,
     .read = read_interface},
    {.keyword = "local_ports", .usage = "local_ports FIRST LAST", .read = read_local_ports},
    {.keyword = "log_level", .usage = "log_level debug|info|warning|error", .read = read_log_level},
    {.keyword = "max_buffer_memory",
     .usage = "max_buffer_memory SIZE",
     .read =
         [](DirectiveInput& in, Config& out) {
           in.arguments.size("SIZE", {.min = 1u << 20, .max = uint64_t{1} << 40},
                             out.stack.max_buffer_bytes);
         }},
    {.keyword = "max_connections",
     .usage = "max_connections CONNECTIONS",
     .read =
         [](DirectiveInput& in, Config& out) {
           in.arguments.number("CONNECTIONS", {.min = 1, .max = 1u << 24},
                               out.stack.max_connections);
         }},
    {.keyword = "metrics", .usage = "metrics ADDRESS PORT", .read = read_metrics},
    {.keyword = "pool",
     .usage = "pool NAME { ... }",
     .occurs = Occurs::kRepeatedly,
     .block = HasBlock::kMayHave,
     .read = read_pool},
    {.keyword = "shards",
     .usage = "shards THREADS",
     .read =
         [](DirectiveInput& in, Config& out) {
           in.arguments.number("THREADS", {.min = 1, .max = 64}, out.shards);
         }},
    {.keyword = "splice_rules",
     .usage = "splice_rules RULES",
     .read =
         [](DirectiveInput& in, Config& out) {
           in.arguments.number("RULES", {.min = 2, .max = 1u << 24}, out.splice_rules);
           out.stack.max_splices = out.splice_rules / 2;
         }},
    {.keyword = "tcp", .usage = "tcp { ... }", .block = HasBlock::kMayHave, .read = read_tcp},
    {.keyword = "virtual_server",
     .usage = "virtual_server ADDRESS PORT { ... }",
     .occurs = Occurs::kRepeatedly,
     .block = HasBlock::kMayHave,
     .read = read_virtual_server},
};

}  // namespace

std::span<const Directive<Config>> top_directives() { return kTop; }

void read_setup_offload(Arguments& in, std::optional<SetupOffload>& out) {
  static constexpr std::string_view kNames[] = {"off", "on", "deferred"};
  size_t index = 0;
  in.choice("SETUP", kNames, index);
  out = static_cast<SetupOffload>(index);
}

}  // namespace fairlead::control
