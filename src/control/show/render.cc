#include "control/show/render.h"

#include <fmt/format.h>

#include <cstdint>
#include <string_view>

#include "control/show/table.h"

namespace fairlead::control {
namespace {

using Align = Table::Align;

std::string text(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_number() || value.is_boolean()) return value.dump();
  return "-";
}

// The member `key`, null when there is none.
const Json& member(const Json& object, std::string_view key) {
  static const Json kNull;
  if (!object.is_object()) return kNull;
  const auto found = object.find(key);
  return found == object.end() ? kNull : *found;
}

std::string field(const Json& object, std::string_view key) { return text(member(object, key)); }

uint64_t count(const Json& object, std::string_view key) {
  const Json& value = member(object, key);
  return value.is_number_unsigned() ? value.get<uint64_t>() : 0;
}

// "3d 04:05:06"
std::string elapsed(uint64_t total_seconds) {
  const uint64_t days = total_seconds / 86400;
  return fmt::format("{}{:02}:{:02}:{:02}", days != 0 ? fmt::format("{}d ", days) : "",
                     total_seconds / 3600 % 24, total_seconds / 60 % 60, total_seconds % 60);
}

struct Field {
  std::string_view key;
  std::string_view heading;
  Align align = Align::kRight;
};

// A table of the array `rows`, one column per field.
std::string table_of(const Json& rows, std::initializer_list<Field> fields) {
  std::vector<Table::Column> columns;
  for (const Field& f : fields) columns.push_back({std::string(f.heading), f.align});
  Table table(std::move(columns));
  if (rows.is_array()) {
    for (const Json& row : rows) {
      std::vector<std::string> cells;
      for (const Field& f : fields) cells.push_back(field(row, f.key));
      table.add(std::move(cells));
    }
  }
  return table.to_string();
}

// Counters that are not zero, in the order of their names.
// Empty when there are none.
std::string moved_counters(const Json& counters) {
  Table table({{"counter"}, {"value", Align::kRight}});
  if (counters.is_object()) {
    for (const auto& [name, value] : counters.items()) {
      if (value.is_number_unsigned() && value.get<uint64_t>() != 0) table.add({name, text(value)});
    }
  }
  return table.rows() != 0 ? table.to_string() : "";
}

std::string nonzero_counters(const Json& counters) {
  const std::string moved = moved_counters(counters);
  return moved.empty() ? "no counter has moved yet\n" : moved;
}

// A line for rows that are not shown, if there are any.
std::string left_out(const Json& reply, std::string_view rows_key) {
  const Json& rows = member(reply, rows_key);
  const uint64_t total = count(reply, "total");
  if (!rows.is_array() || total <= rows.size()) return "";
  return fmt::format("{} of {} connections; --limit N shows more\n", rows.size(), total);
}

// What people ask about a server: does it take connections, and if not, why not.
std::string server_state(const Json& server) {
  const std::string admin = field(server, "admin");
  const Json& up = member(server, "up");
  std::string health = !up.is_boolean() ? "-" : up.get<bool>() ? "up" : "down";
  if (health == "down" && count(server, "shards_up") > 0) health = "partly up";
  std::string out = admin == "enabled" ? health : admin + ", " + health;
  const Json& backup = member(server, "backup");
  if (backup.is_boolean() && backup.get<bool>()) out += " (backup)";
  return out;
}

std::string session_table(const Json& rows) {
  Table table({{"client"},
               {"virtual"},
               {"local"},
               {"server"},
               {"state"},
               {"seat"},
               {"expires/s", Align::kRight},
               {"from client", Align::kRight},
               {"to client", Align::kRight}});
  for (const Json& row : rows) {
    table.add({field(row, "client"), field(row, "virtual"), field(row, "local"),
               field(row, "server"), field(row, "state"), field(row, "seat"),
               fmt::format("{:.1f}", static_cast<double>(count(row, "expires_ms")) / 1000),
               field(row, "bytes_from_client"), field(row, "bytes_to_client")});
  }
  return table.to_string();
}

}  // namespace

std::string render_version(const Json& version) {
  return fmt::format("fairlead {}, process {}, up {}\n", field(version, "version"),
                     field(version, "pid"), elapsed(count(version, "uptime_seconds")));
}

std::string render_listeners(const Json& listeners) {
  return table_of(member(listeners, "listeners"), {{"local", "local", Align::kLeft},
                                                   {"shard", "shard"},
                                                   {"handshakes", "handshakes"},
                                                   {"waiting", "waiting"}});
}

std::string render_connections(const Json& connections) {
  if (member(connections, "sessions").is_array()) {
    return session_table(member(connections, "sessions")) + left_out(connections, "sessions");
  }
  const Json& rows = member(connections, "connections");
  const std::string out = table_of(rows, {{"local", "local", Align::kLeft},
                                          {"remote", "remote", Align::kLeft},
                                          {"state", "state", Align::kLeft},
                                          {"shard", "shard"},
                                          {"srtt_us", "srtt/us"},
                                          {"cwnd", "cwnd"},
                                          {"in_flight", "in flight"},
                                          {"send_queue", "send-q"},
                                          {"receive_queue", "recv-q"},
                                          {"mss", "mss"}});
  return out + left_out(connections, "connections");
}

std::string render_servers(const Json& servers) {
  Table table({{"server"},
               {"pool"},
               {"state"},
               {"weight", Align::kRight},
               {"active", Align::kRight},
               {"max", Align::kRight},
               {"requests", Align::kRight},
               {"failures", Align::kRight},
               {"wait/us", Align::kRight},
               {"virtual servers"}});
  const Json& rows = member(servers, "servers");
  if (!rows.is_array() || rows.empty()) return "no real servers are configured\n";
  for (const Json& row : rows) {
    const uint64_t requests = count(row, "requests");
    table.add({field(row, "server"), field(row, "pool"), server_state(row), field(row, "weight"),
               field(row, "active"),
               count(row, "max_connections") == 0 ? "" : field(row, "max_connections"),
               field(row, "requests"), field(row, "failures"),
               requests == 0 ? "" : fmt::format("{}", count(row, "total_wait_us") / requests),
               field(row, "virtual_servers")});
  }
  return table.to_string();
}

std::string render_admin(const Json& change) {
  return fmt::format("{}: {}\n", field(change, "server"), field(change, "admin"));
}

std::string render_stop(const Json& stop) {
  const std::string mode = field(stop, "stopping");
  if (mode != "drain") return fmt::format("stopping: {}\n", mode);
  return fmt::format("stopping: when all connections have ended, at the latest in {}\n",
                     elapsed(count(stop, "milliseconds") / 1000));
}

std::string render_reload(const Json& reload) {
  std::string out =
      fmt::format("{}: reloaded; {} virtual servers, {} pools\n", field(reload, "file"),
                  field(reload, "virtual_servers"), field(reload, "pools"));
  const Json& warnings = member(reload, "warnings");
  if (warnings.is_array()) {
    for (const Json& warning : warnings) out += "warning: " + text(warning) + "\n";
  }
  return out;
}

namespace {

std::string splices_text(const Json& splices) {
  std::string out = fmt::format(
      "\nsplices: {} open, {} on their way; handed over in {} us on average\n\n",
      field(splices, "open"), field(splices, "on_their_way"), field(splices, "handover_mean_us"));
  out += nonzero_counters(member(splices, "counters"));
  for (const auto& [key, title] : {std::pair("refused", "refused, relayed instead"),
                                   std::pair("kernel", "the kernel's programs, packets")}) {
    const std::string moved = moved_counters(member(splices, key));
    if (!moved.empty()) out += fmt::format("\n{}\n\n", title) + moved;
  }
  return out;
}

std::string aggregator_text(const Json& aggregator) {
  return fmt::format(
             "\naggregator from {} to {}: {} packets in, {} out; delay {} us at most; {} back\n\n",
             field(aggregator, "from"), field(aggregator, "to"),
             field(member(aggregator, "counters"), "packets_in"),
             field(member(aggregator, "counters"), "packets_out"),
             field(aggregator, "delay_max_us"), field(aggregator, "back_packets")) +
         nonzero_counters(member(aggregator, "counters"));
}

}  // namespace

std::string render_stats(const Json& stats) {
  std::string out = fmt::format("up {}\n\n", elapsed(count(stats, "uptime_seconds")));
  out += table_of(member(stats, "shards"), {{"shard", "shard"},
                                            {"connections", "connections"},
                                            {"time_wait", "time-wait"},
                                            {"buffer_bytes", "buffer bytes"},
                                            {"sleeps", "sleeps"},
                                            {"pauses", "pauses"}});
  out += "\n";
  out += table_of(member(stats, "ports"), {{"name", "port", Align::kLeft},
                                           {"shard", "shard"},
                                           {"rx_packets", "rx packets"},
                                           {"rx_bytes", "rx bytes"},
                                           {"rx_dropped", "rx dropped"},
                                           {"tx_packets", "tx packets"},
                                           {"tx_bytes", "tx bytes"},
                                           {"tx_dropped", "tx dropped"}});
  out += "\n" + nonzero_counters(member(stats, "counters"));
  const Json& interfaces = member(stats, "interfaces");
  if (interfaces.is_array() && !interfaces.empty()) {
    out += "\n" + table_of(interfaces, {{"name", "interface", Align::kLeft},
                                        {"seat", "seat", Align::kLeft},
                                        {"seat_attached", "attached", Align::kLeft},
                                        {"seat_reason", "reason", Align::kLeft},
                                        {"send_mode", "sends", Align::kLeft},
                                        {"send_reason", "reason", Align::kLeft},
                                        {"setup_seat", "setup", Align::kLeft},
                                        {"setup_reason", "reason", Align::kLeft},
                                        {"teardown_seat", "teardown", Align::kLeft},
                                        {"teardown_reason", "reason", Align::kLeft}});
  }
  const std::string setup = moved_counters(member(stats, "setup"));
  if (!setup.empty()) out += "\nhandshakes by the NIC stack\n\n" + setup;
  const Json& teardown = member(stats, "teardown");
  const std::string closed = moved_counters(member(teardown, "counters"));
  if (!closed.empty()) {
    out += fmt::format(
               "\nclosed by the NIC stack: {} now, {} in time-wait, {} bytes held; it gets {}% "
               "of those that it may close\n\n",
               field(teardown, "active"), field(teardown, "time_wait"),
               field(teardown, "held_bytes"), field(teardown, "handed_over_percent")) +
           closed;
  }
  const Json& aggregators = member(stats, "aggregators");
  if (aggregators.is_array()) {
    for (const Json& aggregator : aggregators) out += aggregator_text(aggregator);
  }
  const Json& splices = member(stats, "splices");
  if (splices.is_object()) out += splices_text(splices);
  const Json& layer7 = member(stats, "switch");
  if (layer7.is_object()) {
    out += fmt::format("\nswitch: {} connections\n\n", field(layer7, "sessions"));
    out += nonzero_counters(member(layer7, "counters"));
  }
  const Json& logs = member(stats, "logs");
  if (logs.is_object()) out += "\nlogs\n\n" + nonzero_counters(logs);
  return out;
}

}  // namespace fairlead::control
