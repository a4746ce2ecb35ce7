#include "app/reload_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>

#include "app/switch_options.h"

namespace fairlead::app {
namespace {

using control::Config;

bool same(const control::InterfaceConfig& a, const control::InterfaceConfig& b) {
  return a.name == b.name && a.receive_mode == b.receive_mode && a.send_mode == b.send_mode &&
         a.receive_buffer == b.receive_buffer && a.seat == b.seat && a.aggregate == b.aggregate;
}

bool same(const control::AggregatorConfig& a, const control::AggregatorConfig& b) {
  return a.from == b.from && a.to == b.to && a.aggregate == b.aggregate;
}

bool same(const control::EchoServerConfig& a, const control::EchoServerConfig& b) {
  return a.endpoint == b.endpoint && a.mode == b.mode && a.backlog == b.backlog &&
         a.setup_offload == b.setup_offload && a.teardown_offload == b.teardown_offload &&
         a.limit == b.limit;
}

template <typename T>
bool same(const std::vector<T>& a, const std::vector<T>& b) {
  return std::ranges::equal(a, b, [](const T& x, const T& y) { return same(x, y); });
}

bool same(const std::optional<control::ListenerConfig>& a,
          const std::optional<control::ListenerConfig>& b) {
  return a.has_value() == b.has_value() && (!a || a->endpoint == b->endpoint);
}

template <typename T>
  requires std::is_arithmetic_v<T> || std::is_enum_v<T> || std::is_same_v<T, Duration> ||
           std::is_same_v<T, std::string>
bool same(const T& a, const T& b) {
  return a == b;
}

// Puts back what runs, and says so when something else was wanted.
template <typename T>
void keep(const T& running, T& wanted, std::string_view directive,
          std::vector<std::string>& warnings) {
  if (!same(running, wanted)) {
    warnings.push_back(fmt::format("{} can't change while running; restart for it", directive));
  }
  wanted = running;
}

void keep_stack(const Config& running, Config& wanted, std::vector<std::string>& warnings) {
  const host::StackConfig& from = running.stack;
  host::StackConfig& to = wanted.stack;
  keep(from.max_connections, to.max_connections, "max_connections", warnings);
  keep(from.max_buffer_bytes, to.max_buffer_bytes, "max_buffer_memory", warnings);
  keep(from.max_time_wait, to.max_time_wait, "max_time_wait", warnings);
  if (running.reserve_local_ports != wanted.reserve_local_ports ||
      from.local_port_first != to.local_port_first || from.local_port_last != to.local_port_last) {
    warnings.emplace_back("local_ports can't change while running; restart for it");
  }
  wanted.reserve_local_ports = running.reserve_local_ports;
  to = from;
}

// Echo servers stay as they are, and with them how their connections behave.
void compare_tcp(const Config& running, const Config& wanted, std::vector<std::string>& warnings) {
  const bool same = running.listen.socket == wanted.listen.socket &&
                    running.listen.syn_queue == wanted.listen.syn_queue;
  if (!same && !running.echo_servers.empty()) {
    warnings.emplace_back("tcp can't change for echo servers while running; restart for it");
  }
}

}  // namespace

ReloadPlan plan_reload(const Config& running, Config wanted) {
  ReloadPlan plan;
  // None means "all there are", and those were taken at the start.
  if (wanted.interfaces.empty()) wanted.interfaces = running.interfaces;
  keep(running.interfaces, wanted.interfaces, "interface", plan.warnings);
  keep(running.aggregators, wanted.aggregators, "aggregator", plan.warnings);
  keep(running.shards, wanted.shards, "shards", plan.warnings);
  keep(running.coalesce, wanted.coalesce, "coalesce", plan.warnings);
  keep(running.splice_rules, wanted.splice_rules, "splice_rules", plan.warnings);
  keep(running.control_socket, wanted.control_socket, "control_socket", plan.warnings);
  keep(running.log_level, wanted.log_level, "log_level", plan.warnings);
  keep(running.metrics, wanted.metrics, "metrics", plan.warnings);
  keep(running.echo_servers, wanted.echo_servers, "echo_server", plan.warnings);
  keep_stack(running, wanted, plan.warnings);
  compare_tcp(running, wanted, plan.warnings);

  const std::vector<Endpoint> before = listened_by_switch(running);
  const std::vector<Endpoint> after = listened_by_switch(wanted);
  std::ranges::set_difference(after, before, std::back_inserter(plan.added));
  std::ranges::set_difference(before, after, std::back_inserter(plan.removed));
  plan.config = std::move(wanted);
  return plan;
}

}  // namespace fairlead::app
