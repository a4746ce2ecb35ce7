#include "port/route_table.h"

#include <gtest/gtest.h>

namespace fairlead::port {
namespace {

IpAddress ip(std::string_view text) { return *IpAddress::parse(text); }

Route route(std::string_view address, uint8_t length, int interface_index, uint32_t metric = 0) {
  return {.destination = Prefix::of(ip(address), length),
          .interface_index = interface_index,
          .metric = metric,
          .gateway = std::nullopt,
          .preferred_source = std::nullopt};
}

int interface_for(const RouteTable& table, std::string_view destination) {
  const Route* found = table.find(ip(destination));
  return found == nullptr ? 0 : found->interface_index;
}

TEST(Prefix, ContainsExactlyTheAddressesItBeginsLike) {
  const Prefix prefix = Prefix::of(ip("10.1.2.3"), 20);
  EXPECT_EQ(prefix.address, ip("10.1.0.0"));
  EXPECT_TRUE(prefix.contains(ip("10.1.15.255")));
  EXPECT_FALSE(prefix.contains(ip("10.1.16.0")));
  EXPECT_FALSE(prefix.contains(ip("2001:db8::1")));
  EXPECT_TRUE(Prefix::of(ip("2001:db8::"), 33).contains(ip("2001:db8:7fff::1")));
  EXPECT_FALSE(Prefix::of(ip("2001:db8::"), 33).contains(ip("2001:db8:8000::1")));
}

TEST(RouteTable, LongestPrefixWins) {
  RouteTable table(100);
  table.add(route("0.0.0.0", 0, 1));
  table.add(route("10.0.0.0", 8, 2));
  table.add(route("10.1.0.0", 16, 3));
  table.add(route("10.1.2.3", 32, 4));
  EXPECT_EQ(interface_for(table, "192.0.2.1"), 1);
  EXPECT_EQ(interface_for(table, "10.2.0.1"), 2);
  EXPECT_EQ(interface_for(table, "10.1.2.4"), 3);
  EXPECT_EQ(interface_for(table, "10.1.2.3"), 4);
}

TEST(RouteTable, FamiliesDoNotMix) {
  RouteTable table(100);
  table.add(route("::", 0, 6));
  EXPECT_EQ(interface_for(table, "10.0.0.1"), 0);
  table.add(route("0.0.0.0", 0, 4));
  EXPECT_EQ(interface_for(table, "10.0.0.1"), 4);
  EXPECT_EQ(interface_for(table, "2001:db8::1"), 6);
}

TEST(RouteTable, LowestMetricWinsAndTheNextTakesOverWhenItGoes) {
  RouteTable table(100);
  table.add(route("0.0.0.0", 0, 1, 200));
  table.add(route("0.0.0.0", 0, 2, 100));
  table.add(route("0.0.0.0", 0, 3, 100));
  EXPECT_EQ(interface_for(table, "192.0.2.1"), 2);
  EXPECT_TRUE(table.remove(route("0.0.0.0", 0, 2, 100)));
  EXPECT_EQ(interface_for(table, "192.0.2.1"), 3);
  EXPECT_TRUE(table.remove(route("0.0.0.0", 0, 3, 100)));
  EXPECT_EQ(interface_for(table, "192.0.2.1"), 1);
  EXPECT_FALSE(table.remove(route("0.0.0.0", 0, 3, 100)));
  EXPECT_TRUE(table.remove(route("0.0.0.0", 0, 1, 200)));
  EXPECT_EQ(interface_for(table, "192.0.2.1"), 0);
  EXPECT_EQ(table.size(), 0u);
}

TEST(RouteTable, AddingTheSameEntryAgainReplacesIt) {
  RouteTable table(100);
  Route changed = route("10.0.0.0", 8, 1);
  table.add(changed);
  changed.mtu = 1400;
  table.add(changed);
  EXPECT_EQ(table.size(), 1u);
  EXPECT_EQ(table.find(ip("10.0.0.1"))->mtu, 1400u);
}

TEST(RouteTable, FullTableRefusesAndKeepsWhatItHas) {
  RouteTable table(1);
  EXPECT_TRUE(table.add(route("10.0.0.0", 8, 1)));
  EXPECT_FALSE(table.add(route("11.0.0.0", 8, 2)));
  EXPECT_EQ(interface_for(table, "10.0.0.1"), 1);
  EXPECT_EQ(interface_for(table, "11.0.0.1"), 0);
}

TEST(RouteTable, RouteForAnotherTypeOfServiceIsNotUsed) {
  RouteTable table(10);
  Route special = route("10.0.0.0", 8, 1);
  special.type_of_service = 0x10;
  table.add(special);
  EXPECT_EQ(interface_for(table, "10.0.0.1"), 0);
  table.add(route("10.0.0.0", 8, 2));
  EXPECT_EQ(interface_for(table, "10.0.0.1"), 2);
}

}  // namespace
}  // namespace fairlead::port
