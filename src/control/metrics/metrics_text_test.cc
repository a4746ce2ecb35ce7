#include "control/metrics/metrics_text.h"

#include <gtest/gtest.h>

#include <map>
#include <regex>
#include <set>
#include <sstream>

#include "control/metrics/prometheus_text.h"
#include "control/show/snapshot.h"
#include "control/show/switch_snapshot.h"

namespace fairlead::control {
namespace {

// What a Prometheus server would make of it; fails the test on what it would refuse.
std::map<std::string, std::string> parse(const std::string& text) {
  static const std::regex kComment("# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.+)");
  static const std::regex kSample(
      R"(([a-zA-Z_:][a-zA-Z0-9_:]*)(\{([a-zA-Z_]\w*="([^"\\\n]|\\[\\"n])*",?)+\})? ([-+0-9.e]+))");
  std::map<std::string, std::string> samples;
  std::map<std::string, std::string> types;
  std::string family;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) {
    std::smatch match;
    if (std::regex_match(line, match, kComment)) {
      if (match[1] == "TYPE") {
        family = match[2];
        EXPECT_TRUE(types.emplace(match[2], match[3]).second) << "a second time: " << line;
        EXPECT_EQ(family.ends_with("_total"), match[3] == "counter") << line;
      }
      continue;
    }
    EXPECT_TRUE(std::regex_match(line, match, kSample)) << line;
    EXPECT_EQ(match[1], family) << "not within its family";
    const std::string name = match[1].str() + match[2].str();
    EXPECT_TRUE(samples.emplace(name, match[5]).second) << "a second time: " << line;
  }
  EXPECT_TRUE(text.ends_with('\n'));
  return samples;
}

Json stats_of_two_shards() {
  StatsSnapshot shards[2];
  shards[0].connections = 3;
  shards[1].counters.segments_received = 4;
  shards[0].splices = 2;
  shards[0].splice_counters.opened = 3;
  shards[1].splice_refusals[static_cast<size_t>(host::SpliceRefusal::kSack)] = 5;
  shards[0].ports.push_back({"eth0", {.rx_packets = 10}, {}});
  Json stats = stats_json(shards);
  SwitchSnapshot switches[2];
  switches[0].sessions = 2;
  switches[0].counters.requests = 7;
  switches[1].counters.responses_2xx = 6;
  switches[1].counters.http_faults[0] = 5;
  stats["switch"] = switch_stats_json(switches);
  stats["uptime_seconds"] = 60u;
  stats["interfaces"] = {{{"name", "eth0"},
                          {"seat", "xdp"},
                          {"setup_seat", "tc"},
                          {"teardown_seat", "tc"},
                          {"counters", {{"passed_not_tcp", 9u}}}}};
  stats["splices"]["kernel"] = {{"translated", 12u}};
  for (const char* to : {"veth0", "veth1"}) {
    stats["aggregators"].push_back({{"from", "eth0"},
                                    {"to", to},
                                    {"contexts", 3u},
                                    {"back_packets", 4u},
                                    {"rx_dropped", 5u},
                                    {"counters", {{"packets_in", 43u}, {"packets_out", 1u}}}});
  }
  stats["logs"] = {{"lines_dropped", 8u}};
  return stats;
}

Json one_server() {
  l7::ServerSnapshot server;
  server.pool = "api";
  server.server = "192.0.2.1:80";
  server.admin = balance::AdminState::kDraining;
  server.counters.total_latency = milliseconds(1500);
  const std::vector<l7::ServerSnapshot> shards[] = {{server}};
  return servers_json(shards);
}

TEST(MetricsText, APrometheusServerUnderstandsIt) {
  const auto samples = parse(metrics_text(stats_of_two_shards(), one_server()));
  const auto value = [&](const std::string& name) {
    const auto found = samples.find(name);
    return found == samples.end() ? "missing: " + name : found->second;
  };
  EXPECT_EQ(value("fairlead_uptime_seconds"), "60");
  EXPECT_EQ(value(R"(fairlead_connections{shard="0"})"), "3");
  EXPECT_EQ(value("fairlead_tcp_segments_received_total"), "4");
  EXPECT_EQ(value(R"(fairlead_port_receive_packets_total{interface="eth0",shard="0"})"), "10");
  EXPECT_EQ(value(R"(fairlead_steering_packets_total{interface="eth0",verdict="passed_not_tcp"})"),
            "9");
  EXPECT_EQ(value("fairlead_splices"), "2");
  EXPECT_EQ(value("fairlead_splice_opened_total"), "3");
  EXPECT_EQ(value(R"(fairlead_splice_refused_total{reason="sack"})"), "5");
  EXPECT_EQ(value(R"(fairlead_splice_packets_total{verdict="translated"})"), "12");
  EXPECT_EQ(value(R"(fairlead_splice_seat{interface="eth0",seat="xdp"})"), "1");
  EXPECT_EQ(value(R"(fairlead_aggregator_packets_in_total{from="eth0",to="veth1"})"), "43");
  EXPECT_EQ(value(R"(fairlead_aggregator_contexts{from="eth0",to="veth0"})"), "3");
  EXPECT_EQ(value(R"(fairlead_aggregator_rx_dropped_total{from="eth0",to="veth0"})"), "5");
  EXPECT_EQ(value(R"(fairlead_setup_seat{interface="eth0",seat="tc"})"), "1");
  EXPECT_EQ(value(R"(fairlead_teardown_seat{interface="eth0",seat="tc"})"), "1");
  EXPECT_EQ(value("fairlead_switch_connections"), "2");
  EXPECT_EQ(value("fairlead_switch_requests_total"), "7");
  EXPECT_EQ(value(R"(fairlead_switch_responses_total{code="2xx"})"), "6");
  EXPECT_EQ(value(R"(fairlead_switch_http_faults_total{fault=")" +
                  std::string(protocol::kHttpFaults[0].name) + "\"}"),
            "5");
  EXPECT_EQ(value("fairlead_log_lines_dropped_total"), "8");
  EXPECT_EQ(value(R"(fairlead_server_up{pool="api",server="192.0.2.1:80"})"), "1");
  EXPECT_EQ(value(R"(fairlead_server_enabled{pool="api",server="192.0.2.1:80"})"), "0");
  EXPECT_EQ(value(R"(fairlead_server_wait_seconds_total{pool="api",server="192.0.2.1:80"})"),
            "1.5");
}

TEST(MetricsText, WithoutServersThereIsNothingAboutThem) {
  const std::string text = metrics_text(stats_of_two_shards(), {{"servers", Json::array()}});
  parse(text);
  EXPECT_EQ(text.find("fairlead_server_"), std::string::npos);
}

TEST(PrometheusText, LabelsAreEscaped) {
  PrometheusText out;
  out.family("x", PrometheusText::Type::kGauge, "help");
  out.sample({{"l", "a\"b\\c\nd"}}, uint64_t{1});
  EXPECT_EQ(parse(out.text()).begin()->first, R"(x{l="a\"b\\c\nd"})");
}

}  // namespace
}  // namespace fairlead::control
