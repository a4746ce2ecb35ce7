#include "control/config/config.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "control/config/config_test_helpers.h"

namespace fairlead::control {
namespace {

TEST(Config, DefaultsAreThoseOfTheParts) {
  const Config config = good("");
  EXPECT_EQ(config.control_socket, "/run/fairlead/control.sock");
  EXPECT_EQ(config.log_level, LogLevel::kInfo);
  EXPECT_EQ(config.shards, 1u);
  EXPECT_EQ(config.listen.socket, host::SocketOptions{});
  EXPECT_EQ(config.listen.backlog, host::ListenOptions{}.backlog);
  EXPECT_TRUE(config.echo_servers.empty());
  EXPECT_FALSE(config.reserve_local_ports);
}

TEST(Config, EveryTopDirectiveIsRead) {
  const Config config = good(R"(
      control_socket /tmp/x.sock; log_level debug; shards 4; coalesce 100us
      max_connections 1000; max_buffer_memory 64M
      local_ports 50000 50999; splice_rules 1000
      interface eth0 { receive_mode socket; send_mode socket;
                       receive_buffer 1M; seat xdp }
  )");
  EXPECT_EQ(config.control_socket, "/tmp/x.sock");
  EXPECT_EQ(config.log_level, LogLevel::kDebug);
  EXPECT_EQ(config.shards, 4u);
  EXPECT_EQ(config.coalesce, microseconds(100));
  EXPECT_EQ(config.stack.max_connections, 1000u);
  EXPECT_EQ(config.stack.max_buffer_bytes, 64u << 20);
  EXPECT_EQ(config.stack.local_port_first, 50000);
  EXPECT_EQ(config.stack.local_port_last, 50999);
  EXPECT_TRUE(config.reserve_local_ports);
  ASSERT_EQ(config.interfaces.size(), 2u);
  EXPECT_EQ(config.interfaces[1].name, "eth0");
  EXPECT_EQ(config.interfaces[1].receive_mode, InterfaceConfig::ReceiveMode::kSocket);
  EXPECT_EQ(config.interfaces[1].send_mode, InterfaceConfig::SendMode::kSocket);
  EXPECT_EQ(config.interfaces[1].receive_buffer, 1u << 20);
  EXPECT_EQ(config.interfaces[1].seat, nic::SeatChoice::kXdp);
  EXPECT_EQ(config.interfaces[0].seat, nic::SeatChoice::kAutomatic);
  EXPECT_EQ(config.splice_rules, 1000u);
  EXPECT_EQ(config.stack.max_splices, 500u);
  EXPECT_EQ(config.interfaces[0].receive_mode, InterfaceConfig::ReceiveMode::kRing);
  EXPECT_EQ(config.interfaces[0].send_mode, InterfaceConfig::SendMode::kBurst);
  EXPECT_EQ(good("control_socket off").control_socket, "");
}

TEST(Config, EchoServersAreRead) {
  const Config config = good(R"(
      echo_server 192.0.2.1 7
      echo_server 2001:db8::1 9 { discard; backlog 128 }
      echo_server 0.0.0.0 19
      {
          chargen
      }
  )");
  ASSERT_EQ(config.echo_servers.size(), 3u);
  EXPECT_EQ(config.echo_servers[0].endpoint.to_string(), "192.0.2.1:7");
  EXPECT_EQ(config.echo_servers[0].mode, EchoServerConfig::Mode::kEcho);
  EXPECT_EQ(config.echo_servers[1].endpoint.to_string(), "[2001:db8::1]:9");
  EXPECT_EQ(config.echo_servers[1].mode, EchoServerConfig::Mode::kDiscard);
  EXPECT_EQ(config.echo_servers[1].backlog, 128u);
  EXPECT_EQ(config.echo_servers[2].mode, EchoServerConfig::Mode::kChargen);
}

TEST(Config, TcpOptionsAreRead) {
  const Config config = good(R"(
      tcp {
          congestion newreno
          ecn off
          nodelay on
          keepalive on 10s 2s 3
          send_buffer 16k 1M
          unsent_buffer 8k
          receive_buffer 32k 2M
          syn_queue 77
          time_wait 500ms
          max_time_wait 88
          user_timeout 1m
          connect_timeout 3s
          linger_timeout 4s
      }
  )");
  const host::SocketOptions& socket = config.listen.socket;
  EXPECT_EQ(socket.congestion, host::CongestionAlgorithm::kNewReno);
  EXPECT_FALSE(socket.ecn);
  EXPECT_TRUE(socket.nodelay);
  EXPECT_TRUE(socket.keepalive);
  EXPECT_EQ(socket.keepalive_idle, seconds(10));
  EXPECT_EQ(socket.keepalive_interval, seconds(2));
  EXPECT_EQ(socket.keepalive_probes, 3u);
  EXPECT_EQ(socket.send_buffer_min, 16u << 10);
  EXPECT_EQ(socket.send_buffer_max, 1u << 20);
  EXPECT_EQ(socket.unsent_max, 8u << 10);
  EXPECT_EQ(socket.receive_buffer_min, 32u << 10);
  EXPECT_EQ(socket.receive_buffer_max, 2u << 20);
  EXPECT_EQ(socket.user_timeout, minutes(1));
  EXPECT_EQ(socket.connect_timeout, seconds(3));
  EXPECT_EQ(socket.linger_timeout, seconds(4));
  EXPECT_EQ(config.listen.syn_queue, 77u);
  EXPECT_EQ(socket.time_wait, milliseconds(500));
  EXPECT_EQ(config.stack.max_time_wait, 88u);
  EXPECT_TRUE(good("tcp { congestion cubic; keepalive on }").listen.socket.keepalive);
}

TEST(Config, AnEchoServerMayCloseAfterSoManyBytes) {
  EXPECT_EQ(good("echo_server 192.0.2.1 7 { limit 64 }").echo_servers[0].limit, 64u);
  EXPECT_EQ(good("echo_server 192.0.2.1 7").echo_servers[0].limit, std::nullopt);
}

TEST(Config, AnEchoServerMayBeClosedOtherwiseThanTcpSays) {
  const auto said = [](const std::string& line) {
    return good("echo_server 192.0.2.1 7 { " + line + " }").echo_servers[0].teardown_offload;
  };
  EXPECT_EQ(said("teardown_offload on"), true);
  EXPECT_EQ(said("teardown_offload off"), false);
  EXPECT_EQ(said(""), std::nullopt);
}

TEST(Config, AServerSaysWhoDoesItsHandshakes) {
  const auto said = [](const std::string& line) {
    return good("echo_server 192.0.2.1 7 { " + line + " }").echo_servers[0].setup_offload;
  };
  EXPECT_EQ(said("setup_offload off"), SetupOffload::kOff);
  EXPECT_EQ(said("setup_offload on"), SetupOffload::kOn);
  EXPECT_EQ(said("setup_offload deferred"), SetupOffload::kDeferred);
  EXPECT_EQ(said(""), std::nullopt);
  EXPECT_EQ(
      bad("echo_server 192.0.2.1 7 { setup_offload later }"),
      R"(f:1:41: found "later" for SETUP of "setup_offload off|on|deferred"; expected one of: off, on, deferred)");
}

TEST(Config, UnknownWordsAreNamedWithTheNearestKnownOne) {
  EXPECT_EQ(bad("log_levle info"), R"(f:1:1: unknown word "log_levle"; did you mean "log_level"?)");
  EXPECT_EQ(bad("tcp {\n  sendbuffer 1 2\n}"),
            R"(f:2:3: unknown word "sendbuffer" in tcp; did you mean "send_buffer"?)");
  EXPECT_EQ(
      bad("echo_server 192.0.2.1 7 { frobnicate }"),
      R"(f:1:27: unknown word "frobnicate" in echo_server; expected one of: backlog, chargen, discard, limit, setup_offload, teardown_offload)");
  EXPECT_EQ(
      bad("interface eth0 { speed 1 }"),
      R"(f:1:18: unknown word "speed" in interface; expected one of: aggregate, receive_buffer, receive_mode, seat, send_mode)");
}

TEST_P(ConfigRejects, WithPlaceFoundAndExpected) {
  EXPECT_EQ(bad(GetParam().text), "f:" + GetParam().error);
}

INSTANTIATE_TEST_SUITE_P(
    Top, ConfigRejects,
    testing::Values(
        Wrong{"shards", R"(1:1: THREADS is missing; expected "shards THREADS")"},
        Wrong{
            "shards 0",
            R"(1:8: found "0" for THREADS of "shards THREADS"; expected a whole number from 1 to 64)"},
        Wrong{
            "shards 65",
            R"(1:8: found "65" for THREADS of "shards THREADS"; expected a whole number from 1 to 64)"},
        Wrong{"shards 2 3", R"(1:10: found "3" too much; expected "shards THREADS")"},
        Wrong{"shards 2\nshards 3",
              R"(2:1: found "shards" a second time; it is already in line 1)"},
        Wrong{"shards 2 { }", R"(1:1: found a block after "shards"; expected "shards THREADS")"},
        Wrong{
            "max_connections many",
            R"(1:17: found "many" for CONNECTIONS of "max_connections CONNECTIONS"; expected a whole number from 1 to 16777216)"},
        Wrong{
            "max_buffer_memory 1k",
            R"(1:19: found "1k" for SIZE of "max_buffer_memory SIZE"; expected a size from 1M to 1024G, such as 64k or 4M)"},
        Wrong{"local_ports 60000 50000",
              "1:19: found LAST 50000 below FIRST 60000; expected FIRST to be at most LAST"},
        Wrong{
            "local_ports 80 90",
            R"(1:13: found "80" for FIRST of "local_ports FIRST LAST"; expected a whole number from 1024 to 65535)"},
        Wrong{
            "log_level loud",
            R"(1:11: found "loud" for LEVEL of "log_level debug|info|warning|error"; expected one of: debug, info, warning, error)"},
        Wrong{
            "log_level eror",
            R"(1:11: found "eror" for LEVEL of "log_level debug|info|warning|error"; expected one of: debug, info, warning, error (did you mean "error"?))"},
        Wrong{"control_socket run/x",
              R"(1:16: found "run/x"; expected an absolute path of at most 107 bytes, or off)"},
        Wrong{
            "control_socket \"\"",
            R"(1:16: found "" for PATH of "control_socket PATH|off"; expected a text that is not empty)"}));

INSTANTIATE_TEST_SUITE_P(
    Interface, ConfigRejects,
    testing::Values(
        Wrong{"interface", R"(1:1: NAME is missing; expected "interface NAME { ... }")"},
        Wrong{
            "interface a_very_long_name_it_is",
            R"(1:11: found "a_very_long_name_it_is"; expected an interface name of at most 15 letters)"},
        Wrong{"interface a/b",
              R"(1:11: found "a/b"; expected an interface name of at most 15 letters)"},
        Wrong{"interface eth0\ninterface eth0",
              R"(2:11: found interface "eth0" a second time; it is already in line 1)"},
        Wrong{
            "interface eth0 { receive_mode fast }",
            R"(1:31: found "fast" for MODE of "receive_mode socket|ring"; expected one of: socket, ring)"},
        Wrong{
            "interface eth0 { send_mode fast }",
            R"(1:28: found "fast" for MODE of "send_mode socket|burst"; expected one of: socket, burst)"},
        Wrong{
            "interface eth0 { seat kernel }",
            R"(1:23: found "kernel" for SEAT of "seat automatic|tc|xdp|user"; expected one of: automatic, tc, xdp, user)"},
        Wrong{
            "splice_rules 1",
            R"(1:14: found "1" for RULES of "splice_rules RULES"; expected a whole number from 2 to 16777216)"},
        Wrong{
            "interface eth0 { receive_buffer 4T }",
            R"(1:33: found "4T" for SIZE of "receive_buffer SIZE"; expected a size from 256k to 1G, such as 64k or 4M)"}));

INSTANTIATE_TEST_SUITE_P(
    EchoServer, ConfigRejects,
    testing::Values(
        Wrong{"echo_server",
              R"(1:1: ADDRESS is missing; expected "echo_server ADDRESS PORT { ... }")"},
        Wrong{"echo_server 192.0.2.1",
              R"(1:1: PORT is missing; expected "echo_server ADDRESS PORT { ... }")"},
        Wrong{
            "echo_server 192.0.2.256 7",
            R"(1:13: found "192.0.2.256" for ADDRESS of "echo_server ADDRESS PORT { ... }"; expected an IPv4 or IPv6 address, such as 192.0.2.1 or 2001:db8::1)"},
        Wrong{"echo_server 224.0.0.1 7", "1:13: found 224.0.0.1; expected a unicast address"},
        Wrong{
            "echo_server 192.0.2.1 0",
            R"(1:23: found "0" for PORT of "echo_server ADDRESS PORT { ... }"; expected a whole number from 1 to 65535)"},
        Wrong{"echo_server 192.0.2.1 7\necho_server 192.0.2.1 7",
              "2:23: found a second server on 192.0.2.1:7; the first is in line 1"},
        Wrong{"echo_server 192.0.2.1 7 { discard; chargen }",
              "1:36: found a second mode; expected discard or chargen, not both"},
        Wrong{"echo_server 192.0.2.1 7 { discard; limit 64 }",
              "1:42: found limit with discard or chargen; it is for a server that echoes"},
        Wrong{"echo_server 192.0.2.1 7 { limit 64; chargen }",
              "1:37: found limit with discard or chargen; it is for a server that echoes"},
        Wrong{
            "echo_server 192.0.2.1 7 { limit 0 }",
            R"(1:33: found "0" for SIZE of "limit SIZE"; expected a size from 1 to 1024G, such as 64k or 4M)"},
        Wrong{"echo_server 192.0.2.1 7 { discard yes }",
              R"(1:35: found "yes" too much; expected "discard")"},
        Wrong{
            "echo_server 192.0.2.1 7 { backlog 0 }",
            R"(1:35: found "0" for CONNECTIONS of "backlog CONNECTIONS"; expected a whole number from 1 to 1048576)"}));

INSTANTIATE_TEST_SUITE_P(
    Tcp, ConfigRejects,
    testing::Values(
        Wrong{"tcp fast { }", R"(1:5: found "fast" too much; expected "tcp { ... }")"},
        Wrong{
            "tcp { congestion bbr }",
            R"(1:18: found "bbr" for ALGORITHM of "congestion cubic|newreno"; expected one of: cubic, newreno)"},
        Wrong{"tcp { ecn maybe }",
              R"(1:11: found "maybe" for the switch of "ecn on|off"; expected one of: off, on)"},
        Wrong{"tcp { keepalive on 10s }",
              R"(1:7: INTERVAL is missing; expected "keepalive off|on [IDLE INTERVAL PROBES]")"},
        Wrong{"tcp { keepalive off 10s 1s 3 }",
              R"(1:21: found "10s" too much; expected "keepalive off|on [IDLE INTERVAL PROBES]")"},
        Wrong{"tcp { send_buffer 4M 64k }",
              "1:22: found MAX 64k below MIN 4M; expected MIN to be at most MAX"},
        Wrong{
            "tcp { receive_buffer 1 2 }",
            R"(1:22: found "1" for MIN of "receive_buffer MIN MAX"; expected a size from 4k to 1G, such as 64k or 4M)"},
        Wrong{
            "tcp { time_wait 60 }",
            R"(1:17: found "60" for DURATION of "time_wait DURATION"; expected a duration from 1ms to 10m, such as 5ms, 10s or 2h)"},
        Wrong{"tcp { syn_queue 1 }\ntcp { }",
              R"(2:1: found "tcp" a second time; it is already in line 1)"}));

TEST(Config, AnInterfaceIsRequired) {
  const auto config = parse_config("shards 1\n", "f");
  ASSERT_FALSE(config.has_value());
  EXPECT_EQ(config.error().to_string(),
            R"(f: found no interface; expected at least one "interface NAME")");
}

TEST(Config, AllMistakesAreReportedInTheOrderOfTheFile) {
  EXPECT_EQ(
      bad("shards 0\ninterface eth0 {\n  receive_buffer x\n  recieve_mode ring\n}\necho_server"),
      "f:1:8: found \"0\" for THREADS of \"shards THREADS\"; expected a whole number from 1 to 64\n"
      "f:3:18: found \"x\" for SIZE of \"receive_buffer SIZE\"; expected a size from 256k to 1G, "
      "such as 64k or 4M\n"
      "f:4:3: unknown word \"recieve_mode\" in interface; did you mean \"receive_mode\"?\n"
      "f:6:1: ADDRESS is missing; expected \"echo_server ADDRESS PORT { ... }\"");
}

TEST(LoadConfig, AFileIsReadAndNamedInErrors) {
  const std::string path =
      std::filesystem::temp_directory_path() / ("config_test." + std::to_string(getpid()));
  std::ofstream(path) << "interface eth0\nshards x\n";
  const auto config = load_config(path);
  std::filesystem::remove(path);
  ASSERT_FALSE(config.has_value());
  EXPECT_TRUE(config.error().to_string().starts_with(path + ":2:8: found \"x\""));
}

TEST(LoadConfig, AFileThatCannotBeReadIsSaidSo) {
  EXPECT_EQ(load_config("/nonexistent/x.conf").error().to_string(),
            "/nonexistent/x.conf: can't open: No such file or directory");
  EXPECT_EQ(load_config("/").error().to_string(), "/: can't read: Is a directory");
}

}  // namespace
}  // namespace fairlead::control
