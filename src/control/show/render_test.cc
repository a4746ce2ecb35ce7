#include "control/show/render.h"

#include <gtest/gtest.h>

#include "control/show/table.h"

namespace fairlead::control {
namespace {

TEST(Table, ColumnsAreAlignedWithoutBlanksAtLineEnds) {
  Table table({{"name"}, {"n", Table::Align::kRight}, {"note"}});
  table.add({"a", "1000", "x"});
  table.add({"longer", "1", ""});
  EXPECT_EQ(table.to_string(),
            "name       n  note\n"
            "a       1000  x\n"
            "longer     1\n");
}

TEST(Table, ControlCharactersDoNotReachTheTerminal) {
  Table table({{"name"}});
  table.add({"\x1b[2J"});
  EXPECT_EQ(table.to_string(), "name\n?[2J\n");
}

TEST(Render, ConnectionsAreATableWithTheNumberLeftOut) {
  const Json reply = {{"total", 3u},
                      {"connections",
                       {{{"local", "192.0.2.1:7"},
                         {"remote", "192.0.2.2:40000"},
                         {"state", "ESTABLISHED"},
                         {"shard", 0},
                         {"srtt_us", 120},
                         {"cwnd", 14480},
                         {"in_flight", 7},
                         {"send_queue", 8},
                         {"receive_queue", 0},
                         {"mss", 1448}}}}};
  EXPECT_EQ(render_connections(reply),
            "local        remote           state        shard  srtt/us   cwnd  in flight  send-q"
            "  recv-q   mss\n"
            "192.0.2.1:7  192.0.2.2:40000  ESTABLISHED      0      120  14480          7       8"
            "       0  1448\n"
            "1 of 3 connections; --limit N shows more\n");
}

TEST(Render, VersionTellsForHowLongItHasRun) {
  EXPECT_EQ(render_version({{"version", "1.2"}, {"pid", 7}, {"uptime_seconds", 93784u}}),
            "fairlead 1.2, process 7, up 1d 02:03:04\n");
}

TEST(Render, StatsShowCountersThatMoved) {
  const std::string out = render_stats(
      {{"uptime_seconds", 1u}, {"counters", {{"bad_checksum", 0u}, {"segments_received", 12u}}}});
  EXPECT_TRUE(out.ends_with("counter            value\nsegments_received     12\n")) << out;
}

TEST(Render, StatsShowSplicesAndWhyThereAreNotMore) {
  const std::string out = render_stats({{"splices",
                                         {{"open", 3u},
                                          {"on_their_way", 1u},
                                          {"handover_mean_us", 250u},
                                          {"counters", {{"opened", 7u}}},
                                          {"refused", {{"ecn", 0u}, {"sack", 2u}}},
                                          {"kernel", {{"translated", 0u}}}}}});
  EXPECT_NE(out.find("splices: 3 open, 1 on their way; handed over in 250 us on average\n"),
            std::string::npos);
  EXPECT_NE(out.find("refused, relayed instead\n\ncounter  value\nsack         2\n"),
            std::string::npos)
      << out;
  EXPECT_EQ(out.find("the kernel's programs"), std::string::npos);
}

TEST(Render, StatsShowHowManyConnectionsTheNicStackIsGiven) {
  Json stats;
  stats["teardown"] = {
      {"active", 40'000u}, {"time_wait", 7u}, {"held_bytes", 8u}, {"handed_over_percent", 77u}};
  stats["teardown"]["counters"]["taken"] = 50'000u;
  const std::string out = render_stats(stats);
  EXPECT_NE(out.find("closed by the NIC stack: 40000 now, 7 in time-wait, 8 bytes held; "
                     "it gets 77% of those that it may close\n"),
            std::string::npos)
      << out;
}

TEST(Render, RepliesOfAnotherKindShowAsDashes) {
  for (const Json& odd :
       {Json(), Json(1), Json::array(), Json("x"), Json{{"connections", 1}},
        Json{{"listeners", {1, "x", nullptr}}}, Json{{"shards", {{{"shard", {}}}}}}}) {
    EXPECT_FALSE(render_version(odd).empty());
    EXPECT_FALSE(render_listeners(odd).empty());
    EXPECT_FALSE(render_connections(odd).empty());
    EXPECT_FALSE(render_stats(odd).empty());
  }
}

}  // namespace
}  // namespace fairlead::control
