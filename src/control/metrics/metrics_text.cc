#include "control/metrics/metrics_text.h"

#include <fmt/format.h>

#include <span>
#include <string_view>

#include "control/metrics/prometheus_text.h"
#include "service/switch/core/switch_counters.h"

namespace fairlead::control {
namespace {

using Type = PrometheusText::Type;

std::string text_of(const Json& row, const char* key) {
  const Json& value = row.at(key);
  return value.is_string() ? value.get<std::string>() : value.dump();
}

uint64_t number_of(const Json& row, const char* key) {
  const Json& value = row.at(key);
  return value.is_boolean() ? uint64_t{value.get<bool>()} : value.get<uint64_t>();
}

// What is counted per row of a table: a family each.
struct Column {
  const char* key;
  std::string_view name;
  Type type;
  std::string_view help;
};

// A member that tells the rows apart.
struct Label {
  const char* key;
  std::string_view name;
};

constexpr Label kShardLabels[] = {{"shard", "shard"}};
constexpr Column kShards[] = {
    {"connections", "fairlead_connections", Type::kGauge, "TCP connections that exist."},
    {"time_wait", "fairlead_time_wait", Type::kGauge, "Connections in TIME-WAIT."},
    {"buffer_bytes", "fairlead_buffer_bytes", Type::kGauge, "Stream bytes held."},
    {"sleeps", "fairlead_sleeps_total", Type::kCounter,
     "Times a shard slept until something came."},
    {"pauses", "fairlead_pauses_total", Type::kCounter, "Times a shard waited for more to come."},
};

constexpr Label kPortLabels[] = {{"name", "interface"}, {"shard", "shard"}};
constexpr Column kPorts[] = {
    {"rx_packets", "fairlead_port_receive_packets_total", Type::kCounter, "Packets received."},
    {"rx_bytes", "fairlead_port_receive_bytes_total", Type::kCounter, "Bytes received."},
    {"rx_dropped", "fairlead_port_receive_dropped_total", Type::kCounter,
     "Packets for which there was no room."},
    {"tx_packets", "fairlead_port_transmit_packets_total", Type::kCounter, "Packets sent."},
    {"tx_bytes", "fairlead_port_transmit_bytes_total", Type::kCounter, "Bytes sent."},
    {"tx_dropped", "fairlead_port_transmit_dropped_total", Type::kCounter,
     "Packets the interface did not take."},
};

constexpr Label kAggregatorLabels[] = {{"from", "from"}, {"to", "to"}};
constexpr Column kAggregators[] = {
    {"contexts", "fairlead_aggregator_contexts", Type::kGauge, "Connections it knows now."},
    {"back_packets", "fairlead_aggregator_back_packets_total", Type::kCounter,
     "Packets from the host behind it, passed on as they are."},
    {"rx_dropped", "fairlead_aggregator_rx_dropped_total", Type::kCounter,
     "Packets lost before it could take them, either way."}};

constexpr Label kServerLabels[] = {{"pool", "pool"}, {"server", "server"}};
constexpr Column kServers[] = {
    {"up", "fairlead_server_up", Type::kGauge, "1 when health checks say so, on every shard."},
    {"weight", "fairlead_server_weight", Type::kGauge, "Share beside the others of its pool."},
    {"active", "fairlead_server_active_connections", Type::kGauge, "Connections it has."},
    {"connections", "fairlead_server_connections_total", Type::kCounter, "Connections made to it."},
    {"requests", "fairlead_server_requests_total", Type::kCounter, "Requests passed on to it."},
    {"failures", "fairlead_server_failures_total", Type::kCounter,
     "Connections or requests that ended without an answer."},
    {"bytes_to_server", "fairlead_server_sent_bytes_total", Type::kCounter, "Bytes sent to it."},
    {"bytes_to_client", "fairlead_server_received_bytes_total", Type::kCounter,
     "Bytes of it sent to clients."},
};

// Counters that differ in kind only are one family, the rest of the name being a label.
struct Kind {
  std::string_view prefix;
  std::string_view family;
  std::string_view label;
  std::string_view help;
};
constexpr Kind kKinds[] = {
    {"responses_", "fairlead_switch_responses_total", "code", "Answers passed on, by status."},
    {"http_", "fairlead_switch_http_faults_total", "fault", "HTTP requests refused."},
    {"body_", "fairlead_switch_body_faults_total", "fault", "Bodies that broke their framing."},
    {"hello_", "fairlead_switch_hello_faults_total", "fault", "TLS ClientHellos refused."},
    {"proxy_", "fairlead_switch_proxy_faults_total", "fault", "PROXY headers refused."},
};

struct Help {
  std::string_view name;
  std::string_view what;
};
#define FAIRLEAD_X(name, what) {#name, what},
constexpr Help kSwitchHelp[] = {FAIRLEAD_SWITCH_COUNTERS(FAIRLEAD_X)};
#undef FAIRLEAD_X

std::string switch_help(std::string_view name) {
  for (const Help& help : kSwitchHelp) {
    if (help.name == name && !help.what.empty()) return fmt::format("Counted: {}.", help.what);
  }
  return fmt::format("The counter {} of `fairlead show stats`.", name);
}

PrometheusText::Labels labels_of(const Json& row, std::span<const Label> labels) {
  PrometheusText::Labels out;
  for (const Label& label : labels) out.emplace_back(label.name, text_of(row, label.key));
  return out;
}

void add_table(PrometheusText& out, const Json& rows, std::span<const Label> labels,
               std::span<const Column> columns) {
  if (rows.empty()) return;
  for (const Column& column : columns) {
    out.family(column.name, column.type, column.help);
    for (const Json& row : rows) out.sample(labels_of(row, labels), number_of(row, column.key));
  }
}

void add_counter(PrometheusText& out, std::string_view part, std::string_view name, uint64_t value,
                 std::string_view help) {
  out.family(fmt::format("fairlead_{}_{}_total", part, name), Type::kCounter, help);
  out.sample({}, value);
}

// JSON objects are in the order of names, so that the counters of a kind stand together.
void add_switch_counters(PrometheusText& out, const Json& counters) {
  const Kind* current = nullptr;
  for (const auto& [name, value] : counters.items()) {
    const Kind* kind = nullptr;
    for (const Kind& k : kKinds) {
      if (name.starts_with(k.prefix)) kind = &k;
    }
    if (kind == nullptr) {
      add_counter(out, "switch", name, value.get<uint64_t>(), switch_help(name));
    } else {
      if (kind != current) out.family(kind->family, Type::kCounter, kind->help);
      out.sample({{kind->label, name.substr(kind->prefix.size())}}, value.get<uint64_t>());
    }
    current = kind;
  }
}

void add_servers(PrometheusText& out, const Json& rows) {
  if (rows.empty()) return;
  add_table(out, rows, kServerLabels, kServers);
  out.family("fairlead_server_enabled", Type::kGauge, "0 when it is drained or disabled.");
  for (const Json& row : rows) {
    out.sample(labels_of(row, kServerLabels), uint64_t{row.at("admin") == "enabled"});
  }
  out.family("fairlead_server_wait_seconds_total", Type::kCounter,
             "From request passed on to first byte of the answer, summed over requests.");
  for (const Json& row : rows) {
    out.sample(labels_of(row, kServerLabels),
               static_cast<double>(number_of(row, "total_wait_us")) / 1e6);
  }
}

void add_interfaces(PrometheusText& out, const Json& interfaces) {
  if (interfaces.empty()) return;
  out.family("fairlead_steering_packets_total", Type::kCounter,
             "Packets seen on ingress, by what became of them.");
  for (const Json& interface : interfaces) {
    for (const auto& [verdict, value] : interface.at("counters").items()) {
      out.sample({{"interface", text_of(interface, "name")}, {"verdict", verdict}},
                 value.get<uint64_t>());
    }
  }
}

// Every aggregator counts the same.
void add_aggregators(PrometheusText& out, const Json& aggregators) {
  if (aggregators.empty()) return;
  add_table(out, aggregators, kAggregatorLabels, kAggregators);
  for (const auto& [name, first] : aggregators.front().at("counters").items()) {
    out.family(fmt::format("fairlead_aggregator_{}_total", name), Type::kCounter,
               fmt::format("The counter {} of `fairlead show stats`.", name));
    for (const Json& row : aggregators) {
      out.sample(labels_of(row, kAggregatorLabels), number_of(row.at("counters"), name.c_str()));
    }
  }
}

void add_splices(PrometheusText& out, const Json& splices) {
  out.family("fairlead_splices", Type::kGauge, "Spliced connections that exist.");
  out.sample({}, number_of(splices, "open"));
  for (const auto& [name, value] : splices.at("counters").items()) {
    add_counter(out, "splice", name, value.get<uint64_t>(),
                fmt::format("The counter {} of `fairlead show stats`.", name));
  }
  out.family("fairlead_splice_refused_total", Type::kCounter,
             "Sessions that were relayed instead, by reason.");
  for (const auto& [reason, value] : splices.at("refused").items()) {
    out.sample({{"reason", reason}}, value.get<uint64_t>());
  }
  if (splices.at("kernel").empty()) return;
  out.family("fairlead_splice_packets_total", Type::kCounter,
             "Packets the kernel's programs have seen, by what became of them.");
  for (const auto& [verdict, value] : splices.at("kernel").items()) {
    out.sample({{"verdict", verdict}}, value.get<uint64_t>());
  }
}

void add_seat(PrometheusText& out, const Json& interfaces, const char* key) {
  for (const Json& interface : interfaces) {
    out.sample({{"interface", text_of(interface, "name")}, {"seat", text_of(interface, key)}},
               uint64_t{1});
  }
}

void add_seats(PrometheusText& out, const Json& interfaces) {
  if (interfaces.empty()) return;
  out.family("fairlead_splice_seat", Type::kGauge,
             "1: where an interface's splices are translated.");
  add_seat(out, interfaces, "seat");
  out.family("fairlead_setup_seat", Type::kGauge, "1: where an interface's SYNs are answered.");
  add_seat(out, interfaces, "setup_seat");
  out.family("fairlead_teardown_seat", Type::kGauge,
             "1: where an interface's ordinary packets of connections in teardown are decided.");
  add_seat(out, interfaces, "teardown_seat");
}

}  // namespace

std::string metrics_text(const Json& stats, const Json& servers) {
  PrometheusText out;
  out.family("fairlead_uptime_seconds", Type::kGauge, "Since the daemon started.");
  out.sample({}, number_of(stats, "uptime_seconds"));
  add_table(out, stats.at("shards"), kShardLabels, kShards);
  add_table(out, stats.at("ports"), kPortLabels, kPorts);
  add_interfaces(out, stats.at("interfaces"));
  for (const auto& [name, value] : stats.at("counters").items()) {
    add_counter(out, "tcp", name, value.get<uint64_t>(),
                fmt::format("The counter {} of `fairlead show stats`.", name));
  }
  for (const auto& [name, value] : stats.at("setup").items()) {
    add_counter(out, "setup", name, value.get<uint64_t>(),
                fmt::format("The counter {} of `fairlead show stats`.", name));
  }
  const Json& teardown = stats.at("teardown");
  out.family("fairlead_teardowns", Type::kGauge, "Connections that the NIC stack is closing.");
  out.sample({}, number_of(teardown, "active"));
  for (const auto& [name, value] : teardown.at("counters").items()) {
    add_counter(out, "teardown", name, value.get<uint64_t>(),
                fmt::format("The counter {} of `fairlead show stats`.", name));
  }
  add_splices(out, stats.at("splices"));
  add_aggregators(out, stats.at("aggregators"));
  add_seats(out, stats.at("interfaces"));
  const Json& layer7 = stats.at("switch");
  out.family("fairlead_switch_connections", Type::kGauge, "Connections through the switch.");
  out.sample({}, number_of(layer7, "sessions"));
  add_switch_counters(out, layer7.at("counters"));
  for (const auto& [name, value] : stats.at("logs").items()) {
    add_counter(out, "log", name, value.get<uint64_t>(), "Of access logs and the event log.");
  }
  add_servers(out, servers.at("servers"));
  return out.text();
}

}  // namespace fairlead::control
