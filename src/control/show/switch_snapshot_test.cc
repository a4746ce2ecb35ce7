#include "control/show/switch_snapshot.h"

#include <gtest/gtest.h>

#include "control/show/render.h"

namespace fairlead::control {
namespace {

l7::ServerSnapshot server(const std::string& pool, const std::string& name) {
  l7::ServerSnapshot out;
  out.virtual_servers = "192.0.2.1:80";
  out.pool = pool;
  out.server = name;
  out.max_connections = 5;
  out.active = 2;
  out.counters.requests = 10;
  out.counters.total_latency = milliseconds(3);
  return out;
}

l7::SessionSnapshot session() {
  l7::SessionSnapshot out;
  out.client = {IpAddress::v4(0xC0000207), 40000};
  out.virtual_server = {IpAddress::v4(0xC0000201), 80};
  out.state = "LISTEN";
  out.expires = milliseconds(2500);
  out.bytes_from_client = 12;
  return out;
}

TEST(SwitchSnapshot, AServerIsOneRowWithTheSumsOfAllShards) {
  std::vector<l7::ServerSnapshot> shards[2] = {{server("api", "a:1"), server("web", "a:1")},
                                               {server("api", "a:1")}};
  const Json rows = servers_json(shards)["servers"];
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0]["pool"], "api");
  EXPECT_EQ(rows[0]["active"], 4);
  EXPECT_EQ(rows[0]["max_connections"], 10);
  EXPECT_EQ(rows[0]["requests"], 20);
  EXPECT_EQ(rows[0]["total_wait_us"], 6000);
  EXPECT_EQ(rows[0]["up"], true);
  EXPECT_EQ(rows[1]["pool"], "web");
  EXPECT_EQ(rows[1]["active"], 2);
}

TEST(SwitchSnapshot, AServerIsUpWhenItIsUpForEveryShard) {
  std::vector<l7::ServerSnapshot> shards[2] = {{server("api", "a:1")}, {server("api", "a:1")}};
  shards[1][0].up = false;
  const Json row = servers_json(shards)["servers"][0];
  EXPECT_EQ(row["up"], false);
  EXPECT_EQ(row["shards_up"], 1);
}

TEST(SwitchSnapshot, SessionsAreCountedAndBounded) {
  const SessionsSnapshot shards[] = {{.total = 5, .sessions = {session(), session()}},
                                     {.total = 7, .sessions = {session(), session()}}};
  const Json json = sessions_json(shards, 3);
  EXPECT_EQ(json["total"], 12);
  ASSERT_EQ(json["sessions"].size(), 3u);
  const Json& row = json["sessions"][2];
  EXPECT_EQ(row["shard"], 1);
  EXPECT_EQ(row["client"], "192.0.2.7:40000");
  EXPECT_EQ(row["virtual"], "192.0.2.1:80");
  EXPECT_EQ(row["local"], "") << "not connected yet";
  EXPECT_EQ(row["state"], "LISTEN");
  EXPECT_EQ(row["expires_ms"], 2500);
  EXPECT_EQ(row["bytes_from_client"], 12);
}

TEST(SwitchSnapshot, CountersAreSumsAndFaultsHaveTheirNames) {
  SwitchSnapshot shards[2];
  shards[0].sessions = shards[1].sessions = 1;
  shards[0].counters.requests = 3;
  shards[1].counters.requests = 4;
  shards[1].counters.http_faults[0] = 2;
  const Json json = switch_stats_json(shards);
  EXPECT_EQ(json["sessions"], 2);
  EXPECT_EQ(json["counters"]["requests"], 7);
  EXPECT_EQ(json["counters"]["http_" + std::string(protocol::kHttpFaults[0].name)], 2);
}

TEST(SwitchSnapshot, EveryFieldThatIsRenderedIsThere) {
  const std::vector<l7::ServerSnapshot> servers[] = {{server("api", "a:1")}};
  const SessionsSnapshot sessions[] = {{.total = 1, .sessions = {session()}}};
  EXPECT_EQ(
      render_servers(servers_json(servers)),
      "server  pool  state  weight  active  max  requests  failures  wait/us  virtual servers\n"
      "a:1     api   up          1       2    5        10         0      300  192.0.2.1:80\n");
  EXPECT_EQ(render_connections(sessions_json(sessions, 10)),
            "client           virtual       local  server  state   seat  expires/s  from client  "
            "to client\n"
            "192.0.2.7:40000  192.0.2.1:80                 LISTEN  host        2.5           12    "
            "      0\n");
}

}  // namespace
}  // namespace fairlead::control
