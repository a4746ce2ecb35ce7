// Wrong use of every directive of the switch.
#include <gtest/gtest.h>

#include <string>

#include "control/config/config_test_helpers.h"

namespace fairlead::control {
namespace {

// Of a line inside a virtual server; it is line 2 of the file.
Wrong inside(const std::string& line, const std::string& error) {
  return {server_with(line), error};
}

INSTANTIATE_TEST_SUITE_P(
    Listeners, ConfigRejects,
    testing::Values(
        Wrong{"virtual_server",
              R"(1:1: ADDRESS is missing; expected "virtual_server ADDRESS PORT { ... }")"},
        Wrong{
            "virtual_server 192.0.2.1 80 { }",
            R"(1:26: found no server; expected at least one "real_server ADDRESS PORT" or "match ... pool NAME")"},
        Wrong{
            "virtual_server 192.0.2.1 80",
            R"(1:26: found no server; expected at least one "real_server ADDRESS PORT" or "match ... pool NAME")"},
        Wrong{"virtual_server 224.0.0.1 80 { real_server 198.51.100.1 80 }",
              "1:16: found 224.0.0.1; expected a unicast address"},
        Wrong{server_with("") + server_with(""),
              "5:26: found a second server on 192.0.2.1:80; the first is in line 1"},
        Wrong{server_with("listen 2001:db8::1 80; listen 2001:db8::1 80"),
              "2:43: found a second server on [2001:db8::1]:80; the first is in line 2"},
        Wrong{server_with("listen 192.0.2.1 80"),
              "2:18: found a second server on 192.0.2.1:80; the first is in line 1"},
        Wrong{"echo_server 192.0.2.1 80\n" + server_with(""),
              "2:26: found a second server on 192.0.2.1:80; the first is in line 1"},
        Wrong{server_with("") + "metrics 192.0.2.1 80",
              "5:19: found a second server on 192.0.2.1:80; the first is in line 1"},
        inside("listen 192.0.2.1", R"(2:1: PORT is missing; expected "listen ADDRESS PORT")"),
        inside(
            "listen 192.0.2.1 0",
            R"(2:18: found "0" for PORT of "listen ADDRESS PORT"; expected a whole number from 1 to 65535)"),
        inside(
            "listen_backlog 0",
            R"(2:16: found "0" for CONNECTIONS of "listen_backlog CONNECTIONS"; expected a whole number from 1 to 1048576)"),
        Wrong{"metrics 127.0.0.1", R"(1:1: PORT is missing; expected "metrics ADDRESS PORT")"},
        Wrong{"event_log events", R"(1:11: found "events"; expected an absolute path)"}));

INSTANTIATE_TEST_SUITE_P(
    Schedules, ConfigRejects,
    testing::Values(
        inside("schedule_rr\nschedule_lc", "3:1: found a second schedule; the first is in line 2"),
        inside("schedule_rr; schedule_rr",
               R"(2:14: found "schedule_rr" a second time; it is already in line 2)"),
        inside("schedule_rr 1", R"(2:13: found "1" too much; expected "schedule_rr")"),
        inside(
            "schedule_hash",
            R"(2:1: INPUT is missing; expected "schedule_hash source|uri|header NAME|cookie NAME")"),
        inside(
            "schedule_hash url",
            R"(2:15: found "url" for INPUT of "schedule_hash source|uri|header NAME|cookie NAME"; expected one of: source, uri, header, cookie (did you mean "uri"?))"),
        inside(
            "schedule_hash header",
            R"(2:1: NAME is missing; expected "schedule_hash source|uri|header NAME|cookie NAME")"),
        inside("schedule_hash header a:b",
               R"(2:22: found "a:b"; expected the name of a header, such as X-User)"),
        inside("schedule_hash cookie a=b",
               R"(2:22: found "a=b"; expected the name of a cookie, such as session)"),
        inside(
            "schedule_fair",
            R"(2:1: unknown word "schedule_fair" in virtual_server; did you mean "schedule_hash"?)")));

INSTANTIATE_TEST_SUITE_P(
    RealServers, ConfigRejects,
    testing::Values(
        inside("real_server 198.51.100.2",
               R"(2:1: PORT is missing; expected "real_server ADDRESS PORT { ... }")"),
        inside("real_server 0.0.0.0 80", "2:13: found 0.0.0.0; expected the address of one server"),
        inside("real_server ff02::1 80", "2:13: found ff02::1; expected the address of one server"),
        inside("real_server 198.51.100.1 80",
               "3:26: found real_server 198.51.100.1:80 a second time; it is already in line 2"),
        inside(
            "real_server 198.51.100.2 80 { weight 0 }",
            R"(2:38: found "0" for SHARE of "weight SHARE"; expected a whole number from 1 to 256)"),
        inside(
            "real_server 198.51.100.2 80 { max_connections 0 }",
            R"(2:47: found "0" for CONNECTIONS of "max_connections CONNECTIONS"; expected a whole number from 1 to 16777216)"),
        inside("real_server 198.51.100.2 80 { backup yes }",
               R"(2:38: found "yes" too much; expected "backup")"),
        inside("real_server 198.51.100.2 80 { wieght 1 }",
               R"(2:31: unknown word "wieght" in real_server; did you mean "weight"?)")));

Wrong health(const std::string& line, const std::string& error) {
  return inside("real_server 198.51.100.2 80 {\n" + line + "\n}", error);
}

INSTANTIATE_TEST_SUITE_P(
    HealthChecks, ConfigRejects,
    testing::Values(
        health("health_check",
               R"(3:1: KIND is missing; expected "health_check http PATH|tcp { ... }")"),
        health(
            "health_check icmp",
            R"(3:14: found "icmp" for KIND of "health_check http PATH|tcp { ... }"; expected one of: http, tcp)"),
        health("health_check http",
               R"(3:1: PATH is missing; expected "health_check http PATH|tcp { ... }")"),
        health("health_check http health",
               R"(3:19: found "health"; expected a path, such as /health)"),
        health("health_check http \"/a\\nHost: x\"",
               "3:19: found \"/a\\x0aHost: x\"; expected a path, such as /health"),
        health("health_check tcp /",
               R"(3:18: found "/" too much; expected "health_check http PATH|tcp { ... }")"),
        health("health_check tcp { expect 200 }",
               R"(3:20: found "expect" for health_check tcp; it needs health_check http)"),
        health(
            "health_check http / { expect 399-200 }",
            R"(3:30: found "399-200"; expected statuses from 100 to 599, such as 200 or 200-399)"),
        health("health_check http / { expect 200- }",
               R"(3:30: found "200-"; expected statuses from 100 to 599, such as 200 or 200-399)"),
        health("health_check http / { expect 99 }",
               R"(3:30: found "99"; expected statuses from 100 to 599, such as 200 or 200-399)"),
        health(
            "health_check http / { interval 5 }",
            R"(3:32: found "5" for DURATION of "interval DURATION"; expected a duration from 10ms to 1h, such as 5ms, 10s or 2h)"),
        health("health_check http / { interval 1s; timeout 2s }",
               "3:1: found timeout 2s above interval 1s; expected it to be at most the interval"),
        health(
            "health_check tcp { rise 0 }",
            R"(3:25: found "0" for TIMES of "rise TIMES"; expected a whole number from 1 to 1000)"),
        health(
            "health_check tcp { fall 1001 }",
            R"(3:25: found "1001" for TIMES of "fall TIMES"; expected a whole number from 1 to 1000)"),
        health("health_check tcp\nhealth_check tcp",
               R"(4:1: found "health_check" a second time; it is already in line 3)")));

// A match line, in line 2, and a pool that is called api.
Wrong match(const std::string& line, const std::string& error) {
  return {server_with(line) + "pool api { real_server 198.51.100.9 80 }", error};
}

INSTANTIATE_TEST_SUITE_P(
    Matches, ConfigRejects,
    testing::Values(
        match("match", R"(2:1: CONDITION is missing; expected "match CONDITION ... pool NAME")"),
        match("match pool api",
              R"(2:7: found "pool" first; expected a condition, such as host example.org)"),
        match("match host example.org",
              R"(2:1: CONDITION is missing; expected "match CONDITION ... pool NAME")"),
        match("match host", R"(2:1: host is missing; expected "match CONDITION ... pool NAME")"),
        match(
            "match hots example.org pool api",
            R"(2:7: found "hots" for CONDITION of "match CONDITION ... pool NAME"; expected one of: host, path, path_prefix, header, sni, alpn, pool (did you mean "host"?))"),
        match(
            "match host example.org:80 pool api",
            R"(2:12: found "example.org:80"; expected a name without a port, such as example.org or *.example.org)"),
        match(
            "match host ex*.org pool api",
            R"(2:12: found "ex*.org"; expected a name without a port, such as example.org or *.example.org)"),
        match("match path api pool api",
              R"(2:12: found "api"; expected a path without a query, such as /api)"),
        match("match path_prefix /a?b pool api",
              R"(2:19: found "/a?b"; expected a path without a query, such as /api)"),
        match("match header X-Beta",
              R"(2:1: VALUE is missing; expected "match CONDITION ... pool NAME")"),
        match(R"(match header "X Beta" yes pool api)",
              R"(2:14: found "X Beta"; expected the name of a header, such as X-Beta)"),
        match("match host example.org pool",
              R"(2:1: NAME is missing; expected "match CONDITION ... pool NAME")"),
        match("match host example.org pool api web",
              R"(2:33: found "web" too much; expected "match CONDITION ... pool NAME")"),
        match("match host example.org pool apl",
              R"(2:29: found pool "apl", which is not defined; did you mean "api"?)"),
        match(
            "match host example.org pool images",
            R"(2:29: found pool "images", which is not defined; expected a block "pool NAME { ... }" for it)"),
        match("protocol tcp; match host example.org pool api",
              R"(2:21: found "match host" for protocol tcp; it needs protocol http)"),
        match("protocol tls; match path_prefix /api pool api",
              R"(2:21: found "match path_prefix" for protocol tls; it needs protocol http)"),
        match("protocol tcp; match sni example.org pool api",
              R"(2:21: found "match sni" for protocol tcp; it needs protocol tls)"),
        match("match host example.org alpn h2 pool api",
              R"(2:24: found "match alpn" for protocol http; it needs protocol tls)")));

INSTANTIATE_TEST_SUITE_P(
    Pools, ConfigRejects,
    testing::Values(
        Wrong{"pool", R"(1:1: NAME is missing; expected "pool NAME { ... }")"},
        Wrong{"pool a/b { real_server 198.51.100.1 80 }",
              R"(1:6: found "a/b"; expected a name of letters, digits, "-" and "_")"},
        Wrong{
            "pool api",
            R"(1:6: found a pool without servers; expected at least one "real_server ADDRESS PORT")"},
        Wrong{
            "pool api { schedule_lc }",
            R"(1:6: found a pool without servers; expected at least one "real_server ADDRESS PORT")"},
        Wrong{"pool api { real_server 198.51.100.1 80 }\npool api { real_server 198.51.100.2 80 }",
              R"(2:6: found pool "api" a second time; it is already in line 1)"},
        Wrong{
            "pool api { real_server 198.51.100.1 80\nlisten 192.0.2.1 80 }",
            R"(2:1: unknown word "listen" in pool; expected one of: real_server, schedule_hash, schedule_lc, schedule_p2c, schedule_rr, schedule_wlc, schedule_wrr)"},
        Wrong{
            "virtual_server 192.0.2.1 443 {\nprotocol tls\nmatch sni example.org pool api\n}\npool "
            "api {\nschedule_hash uri\nreal_server 198.51.100.1 80\n}",
            R"(3:28: found pool "api" for protocol tls; its schedule_hash in line 6 needs protocol http)"}));

INSTANTIATE_TEST_SUITE_P(
    Protocols, ConfigRejects,
    testing::Values(
        inside(
            "protocol htpp",
            R"(2:10: found "htpp" for PROTOCOL of "protocol http|tls|tcp"; expected one of: http, tls, tcp (did you mean "http"?))"),
        inside("protocol tcp; schedule_hash uri",
               "2:15: found schedule_hash of a request for protocol tcp; it needs protocol http, "
               "or source"),
        inside("add_header X-Forwarded-For; protocol tls",
               "2:1: found add_header for protocol tls; it needs protocol http"),
        inside("protocol tcp; balance request",
               "2:15: found balance request for protocol tcp; it needs protocol http"),
        inside("protocol tcp; max_request_head 8k",
               "2:15: found max_request_head for protocol tcp; it needs protocol http or tls"),
        inside("protocol tls; access_log /l common",
               "2:15: found access_log in the common format for protocol tls; it needs protocol "
               "http")));

INSTANTIATE_TEST_SUITE_P(
    Rest, ConfigRejects,
    testing::Values(
        inside(
            "balance packet",
            R"(2:9: found "packet" for UNIT of "balance connection|request"; expected one of: connection, request)"),
        inside(
            "add_header Via",
            R"(2:12: found "Via" for NAME of "add_header X-Forwarded-For"; expected one of: X-Forwarded-For)"),
        inside(
            "send_proxy v3",
            R"(2:12: found "v3" for VERSION of "send_proxy v1|v2"; expected one of: v1, v2 (did you mean "v1"?))"),
        inside("accept_proxy v1", R"(2:14: found "v1" too much; expected "accept_proxy")"),
        inside(
            "max_connections 0",
            R"(2:17: found "0" for CONNECTIONS of "max_connections CONNECTIONS"; expected a whole number from 1 to 16777216)"),
        inside(
            "max_request_head 100",
            R"(2:18: found "100" for SIZE of "max_request_head SIZE"; expected a size from 1k to 1M, such as 64k or 4M)"),
        inside("access_log log", R"(2:12: found "log"; expected an absolute path)"),
        inside(
            "access_log /log xml",
            R"(2:17: found "xml" for FORMAT of "access_log PATH [json|common]"; expected one of: json, common)"),
        inside(
            "timeout_synsent 120",
            R"(2:17: found "120" for DURATION of "timeout_synsent DURATION"; expected a duration from 1ms to 24h, such as 5ms, 10s or 2h)"),
        inside(
            "timeout_synset 5s",
            R"(2:1: unknown word "timeout_synset" in virtual_server; did you mean "timeout_synsent"?)")));

}  // namespace
}  // namespace fairlead::control
