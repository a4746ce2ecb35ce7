#include "app/control_commands.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <span>
#include <string>
#include <vector>

#include "app/ask_shards.h"
#include "app/version.h"
#include "control/config/diagnostics.h"
#include "control/show/switch_snapshot.h"

namespace fairlead::app {
namespace {

using control::Json;

constexpr uint64_t kDefaultLimit = 1000;
constexpr uint64_t kMaxLimit = 10000;  // connections in one reply: about 4 MB of JSON
constexpr size_t kMaxNamed = 20;       // servers in an error message

Result<uint64_t> limit_argument(const Json& arguments) {
  const auto found = arguments.find("limit");
  if (found == arguments.end()) return kDefaultLimit;
  const uint64_t limit = found->is_number_unsigned() ? found->get<uint64_t>() : 0;
  if (limit < 1 || limit > kMaxLimit) {
    return fail(Errc::kInvalidArgument,
                fmt::format("expected \"limit\" to be a whole number from 1 to {}", kMaxLimit));
  }
  return limit;
}

Result<Json> show_connections(const DaemonView& view, const Json& arguments) {
  const Result<uint64_t> limit = limit_argument(arguments);
  if (!limit) return std::unexpected(limit.error());
  Result<Json> sessions = show_sessions(view.statistics, *limit);
  // While it drains, virtual servers are gone and their sessions are not.
  const bool is_switch = !view.config.virtual_servers.empty();
  if (is_switch || !sessions || sessions->at("total") > 0) return sessions;
  return show_tcp(view.statistics, *limit);
}

// "192.0.2.11:80, 192.0.2.12:80, and 3 more"
std::string names_of_servers(const StatisticsView& view) {
  const auto servers = show_servers(view);
  std::vector<std::string> names;
  if (servers) {
    for (const Json& row : servers->at("servers")) {
      const auto name = row.at("server").get<std::string>();
      if (std::ranges::find(names, name) == names.end()) names.push_back(name);
    }
  }
  if (names.empty()) return "there are none";
  const auto shown = std::span(names).first(std::min(names.size(), kMaxNamed));
  std::string out = fmt::format("expected one of: {}", fmt::join(shown, ", "));
  if (names.size() > shown.size()) {
    out += fmt::format(", and {} more", names.size() - shown.size());
  }
  return out;
}

Result<Json> set_admin(const DaemonView& view, const Json& arguments, balance::AdminState state) {
  const auto server = arguments.find("server");
  if (server == arguments.end() || !server->is_string()) {
    return fail(Errc::kInvalidArgument, R"(expected a string "server", such as "192.0.2.11:80")");
  }
  const auto name = server->get<std::string>();
  const auto found = ask_shards(
      view.statistics.shards.members(),
      [name, state](ShardMember& member) { return member.layer7->set_admin(name, state); });
  if (!found) return std::unexpected(found.error());
  if (found->front() == 0) {
    return fail(Errc::kNoEntry, fmt::format("found no real_server {}; {}", control::in_quotes(name),
                                            names_of_servers(view.statistics)));
  }
  const std::string_view admin = control::admin_name(state);
  view.logs.admin_event(view.config, fmt::format("server_{}", admin), name);
  return Json{{"server", name}, {"admin", admin}, {"pools", found->front()}};
}

void add_show_commands(control::CommandTable& commands, const DaemonView& view) {
  commands.add("show connections",
               [view](const Json& arguments) { return show_connections(view, arguments); });
  commands.add("show tcp", [view](const Json& arguments) -> Result<Json> {
    const Result<uint64_t> limit = limit_argument(arguments);
    if (!limit) return std::unexpected(limit.error());
    return show_tcp(view.statistics, *limit);
  });
  commands.add("show listeners", [view](const Json&) { return show_listeners(view.statistics); });
  commands.add("show servers", [view](const Json&) { return show_servers(view.statistics); });
  commands.add("show stats", [view](const Json&) { return show_stats(view.statistics); });
}

}  // namespace

control::CommandTable daemon_commands(const DaemonView& view) {
  control::CommandTable commands;
  commands.add("version", [view](const Json&) -> Result<Json> {
    return Json{{"version", kVersion},
                {"pid", ::getpid()},
                {"uptime_seconds", view.statistics.uptime_seconds()}};
  });
  add_show_commands(commands, view);
  const auto add_admin = [&](const char* name, balance::AdminState state) {
    commands.add(
        name, [view, state](const Json& arguments) { return set_admin(view, arguments, state); });
  };
  add_admin("enable", balance::AdminState::kEnabled);
  add_admin("drain", balance::AdminState::kDraining);
  add_admin("disable", balance::AdminState::kDisabled);
  commands.add("stop", [view](const Json& arguments) -> Result<Json> {
    const Result<StopRequest> request = stop_request(arguments);
    if (!request) return std::unexpected(request.error());
    if (auto stopping = view.stop(*request); !stopping) return std::unexpected(stopping.error());
    return Json{
        {"stopping", stop_mode_name(request->mode)},
        {"milliseconds", request->mode == StopMode::kDrain ? request->drain / milliseconds(1) : 0}};
  });
  commands.add("reload", [view](const Json&) { return view.reload(); });
  return commands;
}

}  // namespace fairlead::app
