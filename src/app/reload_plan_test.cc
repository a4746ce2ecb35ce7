#include "app/reload_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "control/config/config_test_helpers.h"

namespace fairlead::app {
namespace {

using control::good;
using control::server_with;
using testing::ElementsAre;
using testing::IsEmpty;

std::vector<std::string> names(const std::vector<Endpoint>& endpoints) {
  std::vector<std::string> out;
  for (const Endpoint& endpoint : endpoints) out.push_back(endpoint.to_string());
  return out;
}

TEST(ReloadPlan, TheSameFileChangesNothing) {
  const std::string text = server_with("") + "echo_server 192.0.2.1 7\nmetrics 127.0.0.1 9464\n";
  const ReloadPlan plan = plan_reload(good(text), good(text));
  EXPECT_THAT(plan.warnings, IsEmpty());
  EXPECT_THAT(plan.added, IsEmpty());
  EXPECT_THAT(plan.removed, IsEmpty());
  EXPECT_EQ(plan.config.virtual_servers.size(), 1u);
}

TEST(ReloadPlan, AddressesThatComeAndGoAreListed) {
  const ReloadPlan plan = plan_reload(good(server_with("listen 192.0.2.1 81")),
                                      good(server_with("listen 192.0.2.1 82")));
  EXPECT_THAT(plan.warnings, IsEmpty());
  EXPECT_THAT(names(plan.added), ElementsAre("192.0.2.1:82"));
  EXPECT_THAT(names(plan.removed), ElementsAre("192.0.2.1:81"));
}

TEST(ReloadPlan, WhatNeedsARestartIsNamedAndStaysAsItIs) {
  const ReloadPlan plan = plan_reload(
      good(server_with("")),
      good(server_with("") +
           "interface eth9\nshards 2\ncoalesce 1ms\ncontrol_socket off\nlog_level debug\n"
           "metrics 127.0.0.1 1\necho_server 192.0.2.1 7\nmax_connections 5\n"
           "max_buffer_memory 64M\nlocal_ports 50000 50999\n"
           "tcp { max_time_wait 7 }\n"));
  std::vector<std::string> expected;
  for (const char* directive :
       {"interface", "shards", "coalesce", "control_socket", "log_level", "metrics", "echo_server",
        "max_connections", "max_buffer_memory", "max_time_wait", "local_ports"}) {
    expected.push_back(std::string(directive) + " can't change while running; restart for it");
  }
  EXPECT_EQ(plan.warnings, expected);
  EXPECT_EQ(plan.config.shards, 1u);
  EXPECT_EQ(plan.config.interfaces.size(), 1u);
  EXPECT_EQ(plan.config.stack.local_port_first, 61000);
  EXPECT_FALSE(plan.config.reserve_local_ports);
  EXPECT_THAT(plan.config.echo_servers, IsEmpty());
}

TEST(ReloadPlan, HowConnectionsBehaveChangesForAllButEchoServers) {
  const std::string echo = "echo_server 192.0.2.1 7\n";
  const std::string wanted = server_with("listen_backlog 5") + "tcp { nodelay on }\n";
  EXPECT_THAT(plan_reload(good(server_with("")), good(wanted)).warnings, IsEmpty());
  EXPECT_THAT(plan_reload(good(echo + server_with("")), good(echo + wanted)).warnings,
              ElementsAre("tcp can't change for echo servers while running; restart for it"));
}

TEST(ReloadPlan, EveryDirectiveOfAnEchoServerNeedsARestart) {
  const std::string echo = "echo_server 192.0.2.1 7 ";
  for (const char* inside :
       {"backlog 5", "discard", "chargen", "limit 5", "setup_offload off", "teardown_offload on"}) {
    const ReloadPlan plan = plan_reload(good(echo), good(echo + "{ " + inside + " }"));
    EXPECT_THAT(plan.warnings,
                ElementsAre("echo_server can't change while running; restart for it"))
        << inside;
    EXPECT_EQ(plan.config.echo_servers[0].teardown_offload, std::nullopt);
  }
}

TEST(ReloadPlan, AFileWithoutInterfacesGoesOnWithThoseInUse) {
  control::Config wanted = good(server_with(""));
  wanted.interfaces.clear();
  const ReloadPlan plan = plan_reload(good(server_with("")), wanted);
  EXPECT_THAT(plan.warnings, IsEmpty());
  ASSERT_EQ(plan.config.interfaces.size(), 1u);
  EXPECT_EQ(plan.config.interfaces[0].name, "test0");
}

}  // namespace
}  // namespace fairlead::app
