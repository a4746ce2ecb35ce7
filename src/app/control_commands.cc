#include "app/control_commands.h"

#include <fmt/format.h>
#include <unistd.h>

#include <utility>

#include "app/ask_shards.h"
#include "app/version.h"
#include "control/show/snapshot.h"

namespace fairlead::app {
namespace {

using control::Json;

// A busy shard answers within a burst, far below a millisecond; this is for one that hangs.
constexpr Duration kAnswerTimeout = seconds(2);
constexpr uint64_t kDefaultLimit = 1000;
constexpr uint64_t kMaxLimit = 10000;  // connections in one reply: about 4 MB of JSON

uint64_t uptime_seconds(const DaemonView& view) {
  return static_cast<uint64_t>((monotonic_now() - view.started) / seconds(1));
}

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
  auto answers = ask_shards(
      view.shards.shards(),
      [limit = *limit](Shard& s) { return control::snapshot_connections(s.stack(), limit); },
      kAnswerTimeout);
  if (!answers) return std::unexpected(answers.error());
  return control::connections_json(*answers, *limit);
}

Result<Json> show_listeners(const DaemonView& view) {
  auto answers = ask_shards(
      view.shards.shards(), [](Shard& s) { return control::snapshot_listeners(s.stack()); },
      kAnswerTimeout);
  if (!answers) return std::unexpected(answers.error());
  return control::listeners_json(*answers);
}

Result<Json> show_stats(const DaemonView& view) {
  auto answers = ask_shards(
      view.shards.shards(), [](Shard& s) { return control::snapshot_stats(s.stack(), s.ports()); },
      kAnswerTimeout);
  if (!answers) return std::unexpected(answers.error());
  Json json = control::stats_json(*answers);
  json["uptime_seconds"] = uptime_seconds(view);
  json["interfaces"] = view.interfaces.describe();
  return json;
}

}  // namespace

control::CommandTable daemon_commands(const DaemonView& view) {
  control::CommandTable commands;
  commands.add("version", [view](const Json&) -> Result<Json> {
    return Json{
        {"version", kVersion}, {"pid", ::getpid()}, {"uptime_seconds", uptime_seconds(view)}};
  });
  commands.add("show connections",
               [view](const Json& arguments) { return show_connections(view, arguments); });
  commands.add("show listeners", [view](const Json&) { return show_listeners(view); });
  commands.add("show stats", [view](const Json&) { return show_stats(view); });
  return commands;
}

}  // namespace fairlead::app
