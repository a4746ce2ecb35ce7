#include "control/show/snapshot.h"

#include <gtest/gtest.h>

#include "control/show/render.h"

namespace fairlead::control {
namespace {

constexpr Endpoint kLocal{IpAddress::v4(0xC0000201), 7};
constexpr Endpoint kRemote{IpAddress::v4(0xC0000202), 40000};

ConnectionsSnapshot connections(size_t total, size_t copied) {
  ConnectionsSnapshot out{.total = total, .connections = {}};
  for (size_t i = 0; i < copied; ++i) {
    out.connections.push_back({{kLocal, kRemote}, host::State::kEstablished, {}});
  }
  return out;
}

TEST(Snapshot, ConnectionsOfAllShardsAreCountedAndBounded) {
  const ConnectionsSnapshot shards[] = {connections(5, 3), connections(7, 3)};
  const Json json = connections_json(shards, 4);
  EXPECT_EQ(json["total"], 12);
  ASSERT_EQ(json["connections"].size(), 4u);
  EXPECT_EQ(json["connections"][3]["shard"], 1);
  EXPECT_EQ(json["connections"][0]["local"], "192.0.2.1:7");
  EXPECT_EQ(json["connections"][0]["remote"], "192.0.2.2:40000");
  EXPECT_EQ(json["connections"][0]["state"], "ESTABLISHED");
}

TEST(Snapshot, CountersAreSumsAndPortsArePerShard) {
  StatsSnapshot shards[2];
  shards[0].connections = 1;
  shards[0].counters.segments_received = 3;
  shards[1].counters.segments_received = 4;
  shards[0].ports.push_back({"eth0", {.rx_packets = 10}, {}});
  shards[1].ports.push_back({"eth0", {.rx_packets = 20}, nic::AggregateCounters{.packets_in = 45}});
  const Json json = stats_json(shards);
  EXPECT_EQ(json["counters"]["segments_received"], 7);
  EXPECT_EQ(json["counters"]["resets_sent"], 0);
  EXPECT_EQ(json["shards"][0]["connections"], 1);
  ASSERT_EQ(json["ports"].size(), 2u);
  EXPECT_EQ(json["ports"][1]["rx_packets"], 20);
  EXPECT_FALSE(json["ports"][0].contains("aggregate"));
  EXPECT_EQ(json["ports"][1]["aggregate"]["packets_in"], 45);
}

TEST(Snapshot, TheBusiestNicStackSaysHowManyConnectionsAreHandedOver) {
  StatsSnapshot shards[2];
  shards[0].teardowns = 3;
  shards[0].teardown_share = 0.379;
  shards[1].teardowns = 4;
  const Json json = stats_json(shards)["teardown"];
  EXPECT_EQ(json["active"], 7);
  EXPECT_EQ(json["handed_over_percent"], 37);
}

TEST(Snapshot, EveryFieldThatIsRenderedIsThere) {
  const ConnectionsSnapshot one[] = {connections(1, 1)};
  const std::vector<ListenerSnapshot> listeners[] = {{{kLocal, 1, 2}}};
  StatsSnapshot stats[1];
  stats[0].ports.push_back({"eth0", {}, {}});
  stats[0].teardown_counters.taken = 1;
  Json with_uptime = stats_json(stats);
  with_uptime["uptime_seconds"] = 3u;
  for (const std::string& text :
       {render_connections(connections_json(one, 10)), render_listeners(listeners_json(listeners)),
        render_stats(with_uptime)}) {
    EXPECT_EQ(text.find(" -"), std::string::npos) << text;
  }
}

}  // namespace
}  // namespace fairlead::control
