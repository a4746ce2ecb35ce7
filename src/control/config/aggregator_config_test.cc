#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "control/config/config_test_helpers.h"

namespace fairlead::control {
namespace {

using testing::HasSubstr;

constexpr const char* kWire = "aggregator { from eth1 to eth2 }";

TEST(AggregatorConfig, AnAggregatorNeedsNoInterfaceAndNoServer) {
  const auto config = parse_config(kWire, "t");
  ASSERT_TRUE(config.has_value());
  ASSERT_EQ(config->aggregators.size(), 1u);
  EXPECT_EQ(config->aggregators[0].from, "eth1");
  EXPECT_EQ(config->aggregators[0].to, "eth2");
  EXPECT_EQ(config->aggregators[0].aggregate, nic::AggregateConfig{});
}

TEST(AggregatorConfig, AnAggregatorTakesAllThatTheCommandTakes) {
  const auto config = parse_config(
      "aggregator { from a to b; ag_timer 1ms; del_timer 3s; hold 4; max_aggregate 32k; psh carry\n"
      "table 77; threshold 9k }",
      "t");
  ASSERT_TRUE(config.has_value());
  const nic::AggregateConfig& aggregate = config->aggregators.at(0).aggregate;
  EXPECT_EQ(aggregate.ag_timer, milliseconds(1));
  EXPECT_EQ(aggregate.del_timer, seconds(3));
  EXPECT_EQ(aggregate.max_held, 4u);
  EXPECT_EQ(aggregate.max_aggregate, 32768u);
  EXPECT_TRUE(aggregate.carry_push);
  EXPECT_EQ(aggregate.contexts, 77u);
  EXPECT_EQ(aggregate.threshold, 9216u);
  EXPECT_TRUE(aggregate.check());
}

TEST(AggregatorConfig, AnAggregatorsMistakesAreNamed) {
  EXPECT_THAT(bad("aggregator"), HasSubstr("found no interfaces; expected \"from INTERFACE to"));
  EXPECT_THAT(bad("aggregator { from a to a }"), HasSubstr("expected two different ones"));
  EXPECT_THAT(bad("aggregator { from a into b }"), HasSubstr("found \"into\""));
  EXPECT_THAT(bad("aggregator { from a to b; ag_timer 2s }"), HasSubstr("from 1us to 1s"));
  EXPECT_THAT(bad("aggregator { from a to b; max_aggregate 4k; threshold 4k }"),
              HasSubstr("found threshold 4096; expected at most 2596"));
  EXPECT_THAT(bad("interface a\naggregator { from a to b }"),
              HasSubstr("2:1: found interface \"a\" in an aggregator; it is already in line 1"));
  EXPECT_THAT(bad("aggregator { from a to b }\naggregator { from b to c }"),
              HasSubstr("2:1: found interface \"b\""));
}

TEST(AggregatorConfig, AggregationOnAnInterfaceIsAutomaticUnlessItIsSaid) {
  using enum InterfaceConfig::Aggregate;
  EXPECT_EQ(parse_config("interface a", "t")->interfaces[0].aggregate, kAutomatic);
  EXPECT_EQ(parse_config("interface a { aggregate on }", "t")->interfaces[0].aggregate, kOn);
  EXPECT_EQ(parse_config("interface a { aggregate off }", "t")->interfaces[0].aggregate, kOff);
}

}  // namespace
}  // namespace fairlead::control
