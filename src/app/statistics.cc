#include "app/statistics.h"

#include <utility>
#include <vector>

#include "app/ask_shards.h"
#include "control/metrics/metrics_text.h"
#include "control/show/snapshot.h"
#include "control/show/switch_snapshot.h"

namespace fairlead::app {
namespace {

using control::Json;

template <typename Question>
auto ask(const StatisticsView& view, Question question) {
  return ask_shards(view.shards.members(), std::move(question));
}

struct BothStats {
  control::StatsSnapshot stack;
  control::SwitchSnapshot layer7;
};

}  // namespace

uint64_t StatisticsView::uptime_seconds() const {
  return static_cast<uint64_t>((monotonic_now() - started) / seconds(1));
}

Result<Json> show_tcp(const StatisticsView& view, uint64_t limit) {
  auto answers = ask(view, [limit](ShardMember& member) {
    return control::snapshot_connections(member.shard->stack(), limit);
  });
  if (!answers) return std::unexpected(answers.error());
  return control::connections_json(*answers, limit);
}

Result<Json> show_sessions(const StatisticsView& view, uint64_t limit) {
  auto answers = ask(view, [limit](ShardMember& member) {
    return control::SessionsSnapshot{.total = member.layer7->session_count(),
                                     .sessions = member.layer7->sessions(limit)};
  });
  if (!answers) return std::unexpected(answers.error());
  return control::sessions_json(*answers, limit);
}

Result<Json> show_listeners(const StatisticsView& view) {
  auto answers = ask(
      view, [](ShardMember& member) { return control::snapshot_listeners(member.shard->stack()); });
  if (!answers) return std::unexpected(answers.error());
  return control::listeners_json(*answers);
}

Result<Json> show_servers(const StatisticsView& view) {
  auto answers = ask(view, [](ShardMember& member) { return member.layer7->servers(); });
  if (!answers) return std::unexpected(answers.error());
  return control::servers_json(*answers);
}

Result<Json> show_stats(const StatisticsView& view) {
  auto answers = ask(view, [](ShardMember& member) {
    member.shard->stack().catch_up_teardowns(monotonic_now());
    return BothStats{.stack = control::snapshot_stats(*member.shard),
                     .layer7 = {.sessions = member.layer7->session_count(),
                                .counters = member.layer7->counters()}};
  });
  if (!answers) return std::unexpected(answers.error());
  std::vector<control::StatsSnapshot> stacks;
  std::vector<control::SwitchSnapshot> switches;
  for (BothStats& both : *answers) {
    stacks.push_back(std::move(both.stack));
    switches.push_back(both.layer7);
  }
  const control::LogWriter::Counters logs = view.logs.counters();
  Json json = control::stats_json(stacks);
  json["uptime_seconds"] = view.uptime_seconds();
  json["interfaces"] = view.interfaces.describe();
  json["setup"]["answered"] =
      json["setup"]["answered"].get<uint64_t>() + view.interfaces.syns_answered();
  json["aggregators"] = view.aggregators.describe();
  json["splices"]["kernel"] = view.interfaces.splice_counters();
  json["switch"] = control::switch_stats_json(switches);
  json["logs"] = {{"lines_written", logs.lines_written},
                  {"lines_dropped", logs.lines_dropped},
                  {"lines_failed", logs.lines_failed}};
  return json;
}

Result<std::string> collect_metrics(const StatisticsView& view) {
  const auto stats = show_stats(view);
  if (!stats) return std::unexpected(stats.error());
  const auto servers = show_servers(view);
  if (!servers) return std::unexpected(servers.error());
  return control::metrics_text(*stats, *servers);
}

}  // namespace fairlead::app
