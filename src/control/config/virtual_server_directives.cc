// Inside `virtual_server ADDRESS PORT { … }`: its own directives, the timeouts, and those of a
// pool.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string>

#include "control/config/directives.h"
#include "control/config/pool_directives.h"

namespace fairlead::control {
namespace {

using Server = VirtualServerConfig;

void read_access_log(DirectiveInput& in, Server& out) {
  read_absolute_path(in.arguments, out.access_log);
  if (!in.arguments.more()) return;
  static constexpr std::string_view kFormats[] = {"json", "common"};
  in.arguments.choice("FORMAT", kFormats, out.access_log_format);
}

void read_listen(DirectiveInput& in, Server& out) {
  ListenerConfig listener;
  read_listener(in.arguments, listener.endpoint);
  listener.at = in.arguments.last_at();
  if (in.arguments.ok() && out.listeners.size() == Server::kMaxListeners) {
    in.arguments.reject(
        fmt::format("found more than {} addresses to listen on", Server::kMaxListeners));
  }
  if (in.arguments.ok()) out.listeners.push_back(listener);
}

void read_splice(DirectiveInput& in, Server& out) {
  static constexpr std::string_view kModes[] = {"off", "on", "early"};
  in.arguments.choice("MODE", kModes, out.splicing);
}

constexpr std::array kOwn = {
    Directive<Server>{.keyword = "accept_proxy",
                      .usage = "accept_proxy",
                      .read = [](DirectiveInput&, Server& out) { out.accept_proxy = true; }},
    Directive<Server>{
        .keyword = "access_log", .usage = "access_log PATH [json|common]", .read = read_access_log},
    Directive<Server>{.keyword = "add_header",
                      .usage = "add_header X-Forwarded-For",
                      .read =
                          [](DirectiveInput& in, Server& out) {
                            static constexpr std::string_view kNames[] = {"X-Forwarded-For"};
                            size_t index = 0;
                            in.arguments.choice("NAME", kNames, index);
                            out.add_forwarded_for = true;
                          }},
    Directive<Server>{.keyword = "balance",
                      .usage = "balance connection|request",
                      .read =
                          [](DirectiveInput& in, Server& out) {
                            static constexpr std::string_view kUnits[] = {"connection", "request"};
                            in.arguments.choice("UNIT", kUnits, out.balance);
                          }},
    Directive<Server>{.keyword = "listen",
                      .usage = "listen ADDRESS PORT",
                      .occurs = Occurs::kRepeatedly,
                      .read = read_listen},
    Directive<Server>{.keyword = "listen_backlog",
                      .usage = "listen_backlog CONNECTIONS",
                      .read =
                          [](DirectiveInput& in, Server& out) {
                            in.arguments.number("CONNECTIONS", {.min = 1, .max = 1u << 20},
                                                out.backlog);
                          }},
    Directive<Server>{.keyword = "match",
                      .usage = "match CONDITION ... pool NAME",
                      .occurs = Occurs::kRepeatedly,
                      .read = read_match},
    Directive<Server>{.keyword = "max_connections",
                      .usage = "max_connections CONNECTIONS",
                      .read =
                          [](DirectiveInput& in, Server& out) {
                            in.arguments.number("CONNECTIONS", {.min = 1, .max = 1u << 24},
                                                out.max_connections);
                          }},
    Directive<Server>{.keyword = "max_request_head",
                      .usage = "max_request_head SIZE",
                      .read =
                          [](DirectiveInput& in, Server& out) {
                            // A request line alone should be allowed 8,000 bytes (RFC 9112 §3);
                            // less than 1k would refuse every browser.
                            in.arguments.size("SIZE", {.min = 1u << 10, .max = 1u << 20},
                                              out.max_request_head);
                          }},
    Directive<Server>{
        .keyword = "protocol",
        .usage = "protocol http|tls|tcp",
        .read = [](DirectiveInput& in,
                   Server& out) { in.arguments.choice("PROTOCOL", kProtocolNames, out.protocol); }},
    Directive<Server>{.keyword = "send_proxy",
                      .usage = "send_proxy v1|v2",
                      .read =
                          [](DirectiveInput& in, Server& out) {
                            static constexpr std::string_view kVersions[] = {"v1", "v2"};
                            size_t index = 0;
                            in.arguments.choice("VERSION", kVersions, index);
                            out.send_proxy =
                                index == 0 ? Server::SendProxy::kV1 : Server::SendProxy::kV2;
                          }},
    Directive<Server>{
        .keyword = "setup_offload",
        .usage = "setup_offload off|on|deferred",
        .read = [](DirectiveInput& in,
                   Server& out) { read_setup_offload(in.arguments, out.setup_offload); }},
    Directive<Server>{.keyword = "splice", .usage = "splice on|off|early", .read = read_splice},
    Directive<Server>{.keyword = "splice_after",
                      .usage = "splice_after PACKETS",
                      .read =
                          [](DirectiveInput& in, Server& out) {
                            in.arguments.number("PACKETS", {.min = 0, .max = 1u << 30},
                                                out.splice_after);
                          }},
    Directive<Server>{
        .keyword = "teardown_offload",
        .usage = "teardown_offload on|off",
        .read = [](DirectiveInput& in,
                   Server& out) { in.arguments.on_off(out.teardown_offload.emplace()); }},
};

template <auto timeout>
constexpr Directive<Server> timeout_row(std::string_view keyword, std::string_view usage) {
  return {.keyword = keyword, .usage = usage, .read = [](DirectiveInput& in, Server& out) {
            Duration duration{};
            in.arguments.duration("DURATION", {.min = milliseconds(1), .max = hours(24)}, duration);
            out.timeouts.*timeout = duration;
          }};
}

constexpr std::array kTimeouts = {
    timeout_row<&SwitchTimeouts::close>("timeout_close", "timeout_close DURATION"),
    timeout_row<&SwitchTimeouts::closewait>("timeout_closewait", "timeout_closewait DURATION"),
    timeout_row<&SwitchTimeouts::established>("timeout_established",
                                              "timeout_established DURATION"),
    timeout_row<&SwitchTimeouts::finwait>("timeout_finwait", "timeout_finwait DURATION"),
    timeout_row<&SwitchTimeouts::lastack>("timeout_lastack", "timeout_lastack DURATION"),
    timeout_row<&SwitchTimeouts::listen>("timeout_listen", "timeout_listen DURATION"),
    timeout_row<&SwitchTimeouts::synack>("timeout_synack", "timeout_synack DURATION"),
    timeout_row<&SwitchTimeouts::synrecv>("timeout_synrecv", "timeout_synrecv DURATION"),
    timeout_row<&SwitchTimeouts::synsent>("timeout_synsent", "timeout_synsent DURATION"),
    timeout_row<&SwitchTimeouts::timewait>("timeout_timewait", "timeout_timewait DURATION"),
};

PoolConfig& own_pool(Server& server) { return server.pool; }
constexpr auto kPoolRows = pool_rows<Server, own_pool>();

// All of them in order of the alphabet, as messages list them.
constexpr auto kVirtualServer = [] {
  std::array<Directive<Server>, kOwn.size() + kTimeouts.size() + kPoolRows.size()> rows;
  auto end = std::ranges::copy(kOwn, rows.begin()).out;
  end = std::ranges::copy(kTimeouts, end).out;
  std::ranges::copy(kPoolRows, end);
  std::ranges::sort(rows, {}, &Directive<Server>::keyword);
  return rows;
}();

}  // namespace

std::span<const Directive<Server>> virtual_server_directives() { return kVirtualServer; }

}  // namespace fairlead::control
