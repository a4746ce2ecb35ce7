#include "service/switch/balance/server.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fairlead::balance {
namespace {

Server::Options at(uint16_t port) {
  return {.endpoint = {.address = IpAddress::v4(0xC0000201), .port = port}};
}

// The states after each outcome of `outcomes` ("+" good, "-" bad), as letters: U up, D down; small
// when report() said that nothing changed.
std::string states(HealthState::Thresholds thresholds, std::string_view outcomes) {
  HealthState health(thresholds);
  std::string out;
  for (const char outcome : outcomes) {
    const bool changed = health.report(outcome == '+');
    out += health.up() ? (changed ? 'U' : 'u') : (changed ? 'D' : 'd');
  }
  return out;
}

TEST(HealthState, ChangesAfterAsManyContradictionsInARowAsConfigured) {
  EXPECT_EQ(states({.rise = 2, .fall = 3}, "+--+---"), "uuuuuuD");
  EXPECT_EQ(states({.rise = 2, .fall = 3}, "---+-++-"), "uuDdddUu");
  EXPECT_EQ(states({.rise = 1, .fall = 1}, "-+-+"), "DUDU");
}

TEST(HealthState, AServerThatFailsEverySecondCheckStaysWhatItIs) {
  EXPECT_EQ(states({.rise = 2, .fall = 2}, "-+-+-+"), "uuuuuu");
  EXPECT_EQ(states({.rise = 2, .fall = 2}, "--+-+-+-"), "uDdddddd");
}

TEST(Server, IsNamedByAddressAndPort) {
  EXPECT_EQ(Server(at(80)).name(), "192.0.2.1:80");
  Server::Options v6;
  v6.endpoint = {.address = *IpAddress::parse("2001:db8::1"), .port = 8080};
  EXPECT_EQ(Server(v6).name(), "[2001:db8::1]:8080");
}

TEST(Server, IsAvailableWhenEnabledAndUp) {
  Server server(at(80));
  EXPECT_TRUE(server.available());
  for (const AdminState state : {AdminState::kDraining, AdminState::kDisabled}) {
    server.set_admin(state);
    EXPECT_FALSE(server.available());
  }
  server.set_admin(AdminState::kEnabled);
  for (int i = 0; i < 3; ++i) server.report_health(false);
  EXPECT_FALSE(server.up());
  EXPECT_FALSE(server.available());
  EXPECT_FALSE(server.report_health(true));
  EXPECT_TRUE(server.report_health(true));
  EXPECT_TRUE(server.available());
}

TEST(Server, CountsItsConnectionsWhileTheyLive) {
  Server::Options options = at(80);
  options.max_connections = 2;
  Server server(options);
  {
    Server::Connection a(server);
    EXPECT_FALSE(server.full());
    Server::Connection b(server);
    EXPECT_EQ(server.active(), 2u);
    EXPECT_TRUE(server.full());
    Server::Connection moved = std::move(a);
    EXPECT_EQ(server.active(), 2u);
    moved = std::move(b);
    EXPECT_EQ(&moved.server(), &server);
  }
  EXPECT_EQ(server.active(), 0u);
  EXPECT_FALSE(server.full());
  EXPECT_EQ(server.counters().connections, 2u);
}

TEST(Server, WithoutABoundIsNeverFull) {
  Server server(at(80));
  std::vector<Server::Connection> many;
  for (int i = 0; i < 1000; ++i) many.emplace_back(server);
  EXPECT_FALSE(server.full());
}

}  // namespace
}  // namespace fairlead::balance
