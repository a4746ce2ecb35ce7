// Right use of every directive of the switch, and its bounds.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "control/config/config.h"
#include "control/config/config_test_helpers.h"
#include "control/config/http_names.h"

namespace fairlead::control {
namespace {

using Algorithm = ScheduleConfig::Algorithm;
using HashInput = ScheduleConfig::HashInput;
using Kind = MatchConfig::Condition::Kind;

VirtualServerConfig good_server(const std::string& inside) {
  const Config config = good(server_with(inside));
  EXPECT_EQ(config.virtual_servers.size(), 1u);
  return config.virtual_servers.empty() ? VirtualServerConfig{} : config.virtual_servers[0];
}

TEST(SwitchConfig, AnOriginalConfigurationIsReadAsItIs) {
  const auto config = parse_config(R"(
! comment
virtual_server 192.168.200.100 8080 {
    ! schedule_rr | schedule_lc
    schedule_lc
    listen_backlog 512

    real_server 192.168.200.1 80
    real_server 192.168.200.2 80
}
virtual_server 192.168.200.100 8081
{
    real_server 192.168.200.3 80
}
)",
                                   "f");
  ASSERT_TRUE(config.has_value()) << config.error().to_string();
  EXPECT_TRUE(config->interfaces.empty());
  ASSERT_EQ(config->virtual_servers.size(), 2u);
  const VirtualServerConfig& first = config->virtual_servers[0];
  ASSERT_EQ(first.listeners.size(), 1u);
  EXPECT_EQ(first.listeners[0].endpoint.to_string(), "192.168.200.100:8080");
  EXPECT_EQ(first.pool.schedule.algorithm, Algorithm::kLc);
  EXPECT_EQ(first.backlog, 512u);
  ASSERT_EQ(first.pool.servers.size(), 2u);
  EXPECT_EQ(first.pool.servers[1].endpoint.to_string(), "192.168.200.2:80");
  EXPECT_EQ(config->virtual_servers[1].pool.schedule.algorithm, Algorithm::kRr);
}

TEST(SwitchConfig, DefaultsAreThoseOfTheManual) {
  const VirtualServerConfig server = good_server("");
  EXPECT_EQ(server.protocol, VirtualServerConfig::Protocol::kHttp);
  EXPECT_EQ(server.balance, VirtualServerConfig::Balance::kConnection);
  EXPECT_EQ(server.send_proxy, VirtualServerConfig::SendProxy::kNo);
  EXPECT_FALSE(server.accept_proxy);
  EXPECT_FALSE(server.add_forwarded_for);
  EXPECT_EQ(server.backlog, 1024u);
  EXPECT_EQ(server.max_connections, 0u);
  EXPECT_EQ(server.max_request_head, 16u << 10);
  EXPECT_EQ(server.access_log, "");
  EXPECT_EQ(server.timeouts.synsent, seconds(5));
  EXPECT_EQ(server.timeouts.established, minutes(15));
  const RealServerConfig& real = server.pool.servers.at(0);
  EXPECT_EQ(real.weight, 1u);
  EXPECT_EQ(real.max_connections, 0u);
  EXPECT_FALSE(real.backup);
  EXPECT_EQ(real.health_check.kind, HealthCheckConfig::Kind::kNone);
}

TEST(SwitchConfig, AVirtualServerListensOnSeveralAddresses) {
  const VirtualServerConfig server = good_server("listen 2001:db8::1 80; listen 0.0.0.0 8080");
  ASSERT_EQ(server.listeners.size(), 3u);
  EXPECT_EQ(server.listeners[0].endpoint.to_string(), "192.0.2.1:80");
  EXPECT_EQ(server.listeners[1].endpoint.to_string(), "[2001:db8::1]:80");
  EXPECT_EQ(server.listeners[2].endpoint.to_string(), "0.0.0.0:8080");
}

TEST(SwitchConfig, EveryScheduleIsRead) {
  struct Case {
    std::string word;
    Algorithm algorithm;
    HashInput input = HashInput::kSource;
    std::string name;
  };
  for (const Case& c : std::vector<Case>{
           {"schedule_rr", Algorithm::kRr, HashInput::kSource, ""},
           {"schedule_wrr", Algorithm::kWrr, HashInput::kSource, ""},
           {"schedule_lc", Algorithm::kLc, HashInput::kSource, ""},
           {"schedule_wlc", Algorithm::kWlc, HashInput::kSource, ""},
           {"schedule_p2c", Algorithm::kP2c, HashInput::kSource, ""},
           {"schedule_hash source", Algorithm::kHash, HashInput::kSource, ""},
           {"schedule_hash uri", Algorithm::kHash, HashInput::kUri, ""},
           {"schedule_hash header X-User", Algorithm::kHash, HashInput::kHeader, "X-User"},
           {"schedule_hash cookie session", Algorithm::kHash, HashInput::kCookie, "session"}}) {
    const std::string pool = "pool p { real_server 198.51.100.9 80\n" + c.word + " }";
    for (const ScheduleConfig& schedule :
         {good_server(c.word).pool.schedule, good(pool).pools.at(0).schedule}) {
      EXPECT_EQ(schedule.algorithm, c.algorithm) << c.word;
      EXPECT_EQ(schedule.hash_input, c.input) << c.word;
      EXPECT_EQ(schedule.hash_name, c.name) << c.word;
    }
  }
}

TEST(SwitchConfig, ARealServersBlockIsRead) {
  const Config config = good(R"(
      virtual_server 192.0.2.1 80 {
          real_server 198.51.100.1 80 { weight 7; max_connections 100; backup }
          real_server 2001:db8::5 8080 {
              health_check http /health { expect 200-204; interval 5s; timeout 500ms; rise 4; fall 5 }
          }
          real_server 198.51.100.3 80 { health_check tcp { interval 1s; timeout 1s } }
          real_server 198.51.100.4 80 { health_check http / { expect 404 } }
          real_server 198.51.100.5 80 { health_check tcp }
      })");
  const auto& servers = config.virtual_servers.at(0).pool.servers;
  ASSERT_EQ(servers.size(), 5u);
  EXPECT_EQ(servers[0].weight, 7u);
  EXPECT_EQ(servers[0].max_connections, 100u);
  EXPECT_TRUE(servers[0].backup);
  const HealthCheckConfig& http = servers[1].health_check;
  EXPECT_EQ(servers[1].endpoint.to_string(), "[2001:db8::5]:8080");
  EXPECT_EQ(http.kind, HealthCheckConfig::Kind::kHttp);
  EXPECT_EQ(http.path, "/health");
  EXPECT_EQ(http.expect_first, 200);
  EXPECT_EQ(http.expect_last, 204);
  EXPECT_EQ(http.interval, seconds(5));
  EXPECT_EQ(http.timeout, milliseconds(500));
  EXPECT_EQ(http.rise, 4u);
  EXPECT_EQ(http.fall, 5u);
  EXPECT_EQ(servers[2].health_check.kind, HealthCheckConfig::Kind::kTcp);
  EXPECT_EQ(servers[3].health_check.expect_first, 404);
  EXPECT_EQ(servers[3].health_check.expect_last, 404);
  EXPECT_EQ(servers[4].health_check.interval, HealthCheckConfig{}.interval);
}

TEST(SwitchConfig, MatchLinesAreReadInOrder) {
  const Config config = good(R"(
      virtual_server 192.0.2.1 80 {
          match host *.example.org path_prefix /api pool api
          match path /status pool api
          match header X-Beta "yes, please" pool beta
          real_server 198.51.100.1 80
      }
      virtual_server 192.0.2.1 443 {
          protocol tls
          match sni example.org alpn h2 pool api
      }
      pool api { real_server 198.51.100.2 80 }
      pool beta { real_server 198.51.100.3 80 })");
  const auto& http = config.virtual_servers.at(0).matches;
  ASSERT_EQ(http.size(), 3u);
  ASSERT_EQ(http[0].conditions.size(), 2u);
  EXPECT_EQ(http[0].conditions[0].kind, Kind::kHost);
  EXPECT_EQ(http[0].conditions[0].value, "*.example.org");
  EXPECT_EQ(http[0].conditions[1].kind, Kind::kPathPrefix);
  EXPECT_EQ(http[0].conditions[1].value, "/api");
  EXPECT_EQ(http[0].pool, "api");
  EXPECT_EQ(http[1].conditions.at(0).kind, Kind::kPath);
  EXPECT_EQ(http[2].conditions.at(0).kind, Kind::kHeader);
  EXPECT_EQ(http[2].conditions.at(0).header, "X-Beta");
  EXPECT_EQ(http[2].conditions.at(0).value, "yes, please");
  EXPECT_EQ(http[2].pool, "beta");
  const auto& tls = config.virtual_servers.at(1).matches;
  EXPECT_EQ(tls.at(0).conditions.at(0).kind, Kind::kSni);
  EXPECT_EQ(tls.at(0).conditions.at(1).kind, Kind::kAlpn);
  EXPECT_TRUE(config.virtual_servers[1].pool.servers.empty());
  ASSERT_EQ(config.pools.size(), 2u);
  EXPECT_EQ(config.pools[1].name, "beta");
}

TEST(SwitchConfig, EveryOtherDirectiveOfAVirtualServerIsRead) {
  const VirtualServerConfig server = good_server(R"(
      protocol http; balance request; add_header X-Forwarded-For
      send_proxy v2; accept_proxy
      max_connections 5000; max_request_head 64k; listen_backlog 77
      access_log /var/log/fairlead/access.log common)");
  EXPECT_EQ(server.protocol, VirtualServerConfig::Protocol::kHttp);
  EXPECT_EQ(server.balance, VirtualServerConfig::Balance::kRequest);
  EXPECT_TRUE(server.add_forwarded_for);
  EXPECT_EQ(server.send_proxy, VirtualServerConfig::SendProxy::kV2);
  EXPECT_TRUE(server.accept_proxy);
  EXPECT_EQ(server.max_connections, 5000u);
  EXPECT_EQ(server.max_request_head, 64u << 10);
  EXPECT_EQ(server.backlog, 77u);
  EXPECT_EQ(server.access_log, "/var/log/fairlead/access.log");
  EXPECT_EQ(server.access_log_format, VirtualServerConfig::LogFormat::kCommon);

  EXPECT_EQ(good_server("access_log /l").access_log_format, VirtualServerConfig::LogFormat::kJson);
  EXPECT_EQ(good_server("access_log /l json").access_log_format,
            VirtualServerConfig::LogFormat::kJson);
  EXPECT_EQ(good_server("protocol tcp; send_proxy v1; access_log /l").send_proxy,
            VirtualServerConfig::SendProxy::kV1);
  EXPECT_EQ(good_server("protocol tls; max_request_head 4k").protocol,
            VirtualServerConfig::Protocol::kTls);
  EXPECT_EQ(good_server("protocol tcp; balance connection; schedule_hash source").protocol,
            VirtualServerConfig::Protocol::kTcp);
}

TEST(SwitchConfig, EveryTimeoutIsRead) {
  const SwitchTimeouts t = good_server(R"(
      timeout_listen 1s; timeout_synrecv 2s; timeout_synsent 3s; timeout_synack 4s
      timeout_established 5s; timeout_closewait 6s; timeout_finwait 7s; timeout_lastack 8s
      timeout_timewait 9s; timeout_close 10s)")
                               .timeouts;
  EXPECT_EQ(t.listen, seconds(1));
  EXPECT_EQ(t.synrecv, seconds(2));
  EXPECT_EQ(t.synsent, seconds(3));
  EXPECT_EQ(t.synack, seconds(4));
  EXPECT_EQ(t.established, seconds(5));
  EXPECT_EQ(t.closewait, seconds(6));
  EXPECT_EQ(t.finwait, seconds(7));
  EXPECT_EQ(t.lastack, seconds(8));
  EXPECT_EQ(t.timewait, seconds(9));
  EXPECT_EQ(t.close, seconds(10));
}

TEST(SwitchConfig, MetricsAndEventLogStandOutsideAnyBlock) {
  const Config config = good("metrics 127.0.0.1 9100; event_log /var/log/fairlead/events");
  ASSERT_TRUE(config.metrics.has_value());
  EXPECT_EQ(config.metrics->endpoint.to_string(), "127.0.0.1:9100");
  EXPECT_EQ(config.event_log, "/var/log/fairlead/events");
  EXPECT_FALSE(good("").metrics.has_value());
  EXPECT_EQ(good("").event_log, "");
}

TEST(SwitchConfig, ServersMatchesListenersAndPoolsAreBounded) {
  const auto repeated = [](size_t n, const auto& line) {
    std::string out;
    for (size_t i = 0; i < n; ++i) out += line(i) + "\n";
    return out;
  };
  const auto real = [](size_t i) { return "real_server 198.51.100.1 " + std::to_string(i + 1); };
  const auto listen = [](size_t i) { return "listen 192.0.2.2 " + std::to_string(i + 1); };
  const auto match = [](size_t i) { return "match path /" + std::to_string(i) + " pool p0"; };
  const auto pool = [&](size_t i) { return "pool p" + std::to_string(i) + " { " + real(0) + " }"; };
  const std::string p0 = pool(0);

  good("pool p {\n" + repeated(PoolConfig::kMaxServers, real) + "}");
  EXPECT_EQ(bad("pool p {\n" + repeated(PoolConfig::kMaxServers + 1, real) + "}"),
            "f:514:26: found more than 512 real servers");
  good("pool p {\nschedule_hash uri\n" + repeated(PoolConfig::kMaxHashedServers, real) + "}");
  EXPECT_EQ(bad("pool p {\nschedule_hash uri\n" +
                repeated(PoolConfig::kMaxHashedServers + 1, real) + "}"),
            "f:2:1: found schedule_hash for 65 servers; expected at most 64");
  EXPECT_EQ(
      bad(server_with("schedule_hash source\n" + repeated(PoolConfig::kMaxHashedServers,
                                                          [](size_t i) {
                                                            return "real_server 198.51.100.2 " +
                                                                   std::to_string(i + 1);
                                                          }))),
      "f:2:1: found schedule_hash for 65 servers; expected at most 64");
  good_server(repeated(VirtualServerConfig::kMaxListeners - 1, listen));
  EXPECT_EQ(bad(server_with(repeated(VirtualServerConfig::kMaxListeners, listen))),
            "f:257:18: found more than 256 addresses to listen on");
  good(p0 + server_with(repeated(VirtualServerConfig::kMaxMatches, match)));
  EXPECT_EQ(bad(server_with(repeated(VirtualServerConfig::kMaxMatches + 1, match)) + p0),
            "f:1026:23: found more than 1024 match lines");
  good(repeated(Config::kMaxPools, pool));
  EXPECT_EQ(bad(repeated(Config::kMaxPools + 1, pool)), "f:1025:6: found more than 1024 pools");
}

TEST(HttpNames, AreThoseThatCanOccur) {
  for (const char* right : {"a", "example.org", "*.example.org", "a-b.c_d", "192.0.2.1", "[::1]"}) {
    EXPECT_TRUE(is_host_pattern(right)) << right;
  }
  for (const char* wrong : {"", "*", "*.", ".a", "a.", "a..b", "-a", "a-", "a b", "a:80", "::1",
                            "[192.0.2.1]", "[::1", "*.*.a", "a.*.b", "é.org"}) {
    EXPECT_FALSE(is_host_pattern(wrong)) << wrong;
  }
  EXPECT_TRUE(is_host_pattern(std::string(63, 'a')));
  EXPECT_FALSE(is_host_pattern(std::string(64, 'a')));
  for (const char* right : {"/", "/a/b", "/a%20b", "/;=*"}) EXPECT_TRUE(is_path(right)) << right;
  for (const char* wrong : {"", "a", "*", "/a b", "/a?b", "/a#b", "/a\r\n", "/é"}) {
    EXPECT_FALSE(is_path(wrong)) << wrong;
  }
  for (const char* right : {"X-User", "a", "!#$"}) EXPECT_TRUE(is_token(right)) << right;
  for (const char* wrong : {"", "a b", "a:", "a=b", "\"", "é"})
    EXPECT_FALSE(is_token(wrong)) << wrong;
}

}  // namespace
}  // namespace fairlead::control
