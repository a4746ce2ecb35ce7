#include "app/switch_options.h"

#include <gtest/gtest.h>

#include "control/config/config_test_helpers.h"

namespace fairlead::app {
namespace {

using control::good;
using control::server_with;

l7::SwitchOptions options_of(const std::string& text, ShardShare share = {},
                             const SwitchLogTargets& logs = {}) {
  return switch_options(good(text), share, logs);
}

class NoLog final : public l7::AccessLog, public l7::EventLog {
 public:
  void write(const l7::AccessRecord&) override {}
  void server_changed(std::string_view, std::string_view, std::string_view,
                      std::string_view) override {}
};

TEST(SwitchOptions, AnOriginalVirtualServerHasDefaultsAndAPoolOfItsOwn) {
  const auto options = options_of(server_with("listen_backlog 77"));
  ASSERT_EQ(options.virtual_servers.size(), 1u);
  const l7::VirtualServerOptions& server = options.virtual_servers[0];
  ASSERT_EQ(server.listen.size(), 1u);
  EXPECT_EQ(server.listen[0].to_string(), "192.0.2.1:80");
  EXPECT_EQ(server.tcp.backlog, 77u);
  EXPECT_EQ(server.protocol, l7::Protocol::kHttp);
  EXPECT_EQ(server.balance, l7::Balance::kConnection);
  EXPECT_EQ(server.access_log, nullptr);
  EXPECT_EQ(server.send_proxy, std::nullopt);
  EXPECT_EQ(server.pool, "192.0.2.1:80");
  ASSERT_EQ(options.pools.size(), 1u);
  const l7::PoolOptions& pool = options.pools[0];
  EXPECT_EQ(pool.pool.name, server.pool);
  ASSERT_EQ(pool.pool.servers.size(), 1u);
  EXPECT_EQ(pool.pool.servers[0].endpoint.to_string(), "198.51.100.1:80");
  ASSERT_EQ(pool.health_checks.size(), 1u);
  EXPECT_EQ(pool.health_checks[0].kind, l7::HealthCheck::Kind::kNone);
}

TEST(SwitchOptions, EveryDirectiveArrives) {
  const auto options = options_of(R"(
virtual_server 192.0.2.1 80 {
    listen 2001:db8::1 81
    balance request
    max_connections 10
    max_request_head 4k
    add_header X-Forwarded-For
    send_proxy v2
    accept_proxy
    schedule_hash cookie session
    match host a.example header X-Beta yes pool beta
    real_server 198.51.100.1 80 {
        weight 3; max_connections 8; backup
        health_check http /ok { expect 200-204; interval 3s; timeout 2s; rise 4; fall 5 }
    }
}
pool beta { schedule_p2c; real_server 198.51.100.2 80 { health_check tcp } }
virtual_server 192.0.2.1 443 { protocol tls; match alpn h2 pool beta }
)");
  ASSERT_EQ(options.virtual_servers.size(), 2u);
  const l7::VirtualServerOptions& web = options.virtual_servers[0];
  ASSERT_EQ(web.listen.size(), 2u);
  EXPECT_EQ(web.listen[1].to_string(), "[2001:db8::1]:81");
  EXPECT_EQ(web.balance, l7::Balance::kRequest);
  EXPECT_EQ(web.max_connections, 10u);
  EXPECT_EQ(web.max_request_head, 4096u);
  EXPECT_TRUE(web.add_forwarded_for);
  EXPECT_TRUE(web.accept_proxy);
  EXPECT_EQ(web.send_proxy, protocol::ProxyVersion::kV2);
  ASSERT_EQ(web.rules.size(), 1u);
  EXPECT_EQ(web.rules[0].pool, "beta");
  ASSERT_EQ(web.rules[0].conditions.size(), 2u);
  EXPECT_EQ(web.rules[0].conditions[0].kind, balance::Condition::Kind::kHost);
  EXPECT_EQ(web.rules[0].conditions[0].value, "a.example");
  EXPECT_EQ(web.rules[0].conditions[1].kind, balance::Condition::Kind::kHeader);
  EXPECT_EQ(web.rules[0].conditions[1].header, "X-Beta");
  const l7::VirtualServerOptions& tls = options.virtual_servers[1];
  EXPECT_EQ(tls.protocol, l7::Protocol::kTls);
  EXPECT_EQ(tls.pool, "");
  EXPECT_EQ(tls.rules[0].conditions[0].kind, balance::Condition::Kind::kAlpn);

  ASSERT_EQ(options.pools.size(), 2u);
  EXPECT_EQ(options.pools[0].pool.name, "beta");
  EXPECT_EQ(options.pools[0].health_checks[0].kind, l7::HealthCheck::Kind::kTcp);
  EXPECT_EQ(options.pools[0].pool.schedule.algorithm,
            balance::Schedule::Algorithm::kPowerOfTwoChoices);
  const l7::PoolOptions& own = options.pools[1];
  EXPECT_EQ(own.pool.schedule.algorithm, balance::Schedule::Algorithm::kHash);
  EXPECT_EQ(own.pool.schedule.hash_input, balance::Schedule::HashInput::kCookie);
  EXPECT_EQ(own.pool.schedule.hash_name, "session");
  const balance::Server::Options& server = own.pool.servers[0];
  EXPECT_EQ(server.weight, 3u);
  EXPECT_EQ(server.max_connections, 8u);
  EXPECT_TRUE(server.backup);
  EXPECT_EQ(server.health.rise, 4u);
  EXPECT_EQ(server.health.fall, 5u);
  const l7::HealthCheck& check = own.health_checks[0];
  EXPECT_EQ(check.kind, l7::HealthCheck::Kind::kHttp);
  EXPECT_EQ(check.path, "/ok");
  EXPECT_EQ(check.expect_first, 200);
  EXPECT_EQ(check.expect_last, 204);
  EXPECT_EQ(check.interval, seconds(3));
  EXPECT_EQ(check.timeout, seconds(2));
}

TEST(SwitchOptions, TeardownIsOffloadedAsTheVirtualServerSaysOrElseTcp) {
  for (const bool tcp : {false, true}) {
    const std::string general = tcp ? "tcp { teardown_offload on }\n" : "";
    const auto offloads = [&](const std::string& line) {
      const auto options = options_of(general + server_with(line));
      EXPECT_EQ(options.server_socket.teardown_offload, tcp);
      return options.virtual_servers[0].tcp.socket.teardown_offload;
    };
    EXPECT_EQ(offloads(""), tcp);
    EXPECT_TRUE(offloads("teardown_offload on"));
    EXPECT_FALSE(offloads("teardown_offload off"));
  }
}

TEST(SwitchOptions, TheNicStackDoesHandshakesWhereTheClientSpeaksFirst) {
  const auto listens = [](const std::string& line) {
    return options_of(server_with(line)).virtual_servers[0].tcp;
  };
  EXPECT_TRUE(listens("").setup_offload);
  EXPECT_FALSE(listens("").defer_accept);
  EXPECT_FALSE(listens("protocol tcp").setup_offload);
  EXPECT_TRUE(listens("protocol tcp; setup_offload on").setup_offload);
  EXPECT_FALSE(listens("setup_offload off").setup_offload);
  EXPECT_TRUE(listens("setup_offload deferred").setup_offload);
  EXPECT_TRUE(listens("setup_offload deferred").defer_accept);
}

TEST(SwitchOptions, TimeoutsArriveAndThatOfTheHandshakeIsGivenToTheStack) {
  const auto options = options_of(server_with(
      "timeout_listen 1s; timeout_synrecv 2s; timeout_synsent 3s; timeout_synack 4s\n"
      "timeout_established 5s; timeout_closewait 6s; timeout_finwait 7s; timeout_lastack 8s\n"
      "timeout_timewait 9s; timeout_close 10s"));
  const l7::VirtualServerOptions& server = options.virtual_servers[0];
  EXPECT_EQ(server.timeouts.listen, seconds(1));
  EXPECT_EQ(server.timeouts.synrecv, seconds(2));
  EXPECT_EQ(server.timeouts.synsent, seconds(3));
  EXPECT_EQ(server.timeouts.synack, seconds(4));
  EXPECT_EQ(server.timeouts.established, seconds(5));
  EXPECT_EQ(server.timeouts.closewait, seconds(6));
  EXPECT_EQ(server.timeouts.finwait, seconds(7));
  EXPECT_EQ(server.timeouts.lastack, seconds(8));
  EXPECT_EQ(server.timeouts.timewait, seconds(9));
  EXPECT_EQ(server.timeouts.close, seconds(10));
  EXPECT_EQ(server.tcp.socket.connect_timeout, seconds(2));
}

TEST(SwitchOptions, WithoutATimewaitOfItsOwnThatOfTcpHolds) {
  EXPECT_EQ(options_of(server_with("")).virtual_servers[0].timeouts.timewait, seconds(60));
  const auto options = options_of("tcp { time_wait 5s }\n" + server_with(""));
  EXPECT_EQ(options.virtual_servers[0].timeouts.timewait, seconds(5));
  EXPECT_EQ(options.virtual_servers[0].timeouts.close, Duration::zero());
}

TEST(SwitchOptions, BoundsAreDividedSoThatTheSharesAddUp) {
  for (const uint32_t bound : {8u, 9u, 10u, 11u, 1000003u}) {
    uint32_t sum = 0;
    for (size_t i = 0; i < 4; ++i) sum += ShardShare{.index = i, .shards = 4}.of(bound);
    EXPECT_EQ(sum, bound);
  }
  const auto share = options_of(server_with("max_connections 7"), {.index = 1, .shards = 2});
  EXPECT_EQ(share.virtual_servers[0].max_connections, 3u);
}

TEST(SwitchOptions, AShareOfABoundIsNeverNoBound) {
  EXPECT_EQ((ShardShare{.index = 3, .shards = 4}.of(2)), 1u);
  EXPECT_EQ((ShardShare{.index = 3, .shards = 4}.of(0)), 0u) << "none stays none";
}

TEST(SwitchOptions, LogsGoWhereTheConfigurationSays) {
  NoLog log;
  std::string path;
  const SwitchLogTargets targets{.access_log =
                                     [&](const control::VirtualServerConfig& server) {
                                       path = server.access_log;
                                       return &log;
                                     },
                                 .events = &log};
  const auto options = options_of(server_with("access_log /var/log/a"), {}, targets);
  EXPECT_EQ(options.virtual_servers[0].access_log, &log);
  EXPECT_EQ(options.events, &log);
  EXPECT_EQ(path, "/var/log/a");
}

TEST(SwitchOptions, AllAddressesOfAllVirtualServersAreListed) {
  const auto config = good(server_with("listen 192.0.2.9 81; listen 192.0.2.1 79"));
  std::vector<std::string> names;
  for (const Endpoint& endpoint : listened_by_switch(config)) names.push_back(endpoint.to_string());
  EXPECT_EQ(names, (std::vector<std::string>{"192.0.2.1:79", "192.0.2.1:80", "192.0.2.9:81"}));
}

}  // namespace
}  // namespace fairlead::app
