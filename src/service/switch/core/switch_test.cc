#include "service/switch/core/switch.h"

#include <gtest/gtest.h>

#include <string>

#include "service/switch/core/switch_world.h"

namespace fairlead::l7 {
namespace {

constexpr std::string_view kGet = "GET /a HTTP/1.1\r\nHost: example.org\r\n\r\n";
constexpr std::string_view kGetAndClose =
    "GET /a HTTP/1.1\r\nHost: example.org\r\nConnection: close\r\n\r\n";
constexpr std::string_view kHello = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
constexpr std::string_view kHelloAndClose =
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello";

SwitchOptions per_request(std::vector<uint32_t> servers) {
  SwitchOptions o = SwitchWorld::options(std::move(servers));
  o.virtual_servers[0].balance = Balance::kRequest;
  return o;
}

/// The status of a response.
std::string status_of(const std::string& response) {
  return response.size() > 12 ? response.substr(9, 3) : response;
}

Task<void> say_and_close(TcpSocket socket, std::string answer) {
  std::string request;
  co_await SwitchWorld::read_until(socket, "\r\n\r\n", request);
  co_await SwitchWorld::write(socket, answer);
}

Task<void> say_nothing(TcpSocket socket) {
  std::string request;
  co_await SwitchWorld::read_until(socket, "never", request);
}

Task<void> reset_on_request(TcpSocket socket) {
  std::string request;
  co_await SwitchWorld::read_until(socket, "\r\n\r\n", request);
  socket.abort();
}

TEST(Switch, RelaysARequestAndItsAnswerInBothModes) {
  for (bool each : {false, true}) {
    SwitchWorld world;
    std::string heard;
    world.start(each ? per_request({11}) : SwitchWorld::options({11}));
    world.serve(11, SwitchWorld::answering(std::string(kHelloAndClose), &heard));
    const std::string response = world.asked(std::string(kGetAndClose));
    EXPECT_EQ(response.substr(0, kHelloAndClose.size()), kHelloAndClose);
    EXPECT_EQ(heard.substr(0, kGetAndClose.size()), kGetAndClose);
    EXPECT_EQ(world.sut().counters().responses_2xx, 1u);
    EXPECT_EQ(world.sut().servers()[0].counters.connections, 1u);
  }
}

TEST(Switch, BalanceRequestGivesEachRequestItsServerAndReusesConnections) {
  SwitchWorld world;
  std::string heard11, heard12;
  world.start(per_request({11, 12}));
  world.serve(11, SwitchWorld::answering(std::string(kHello), &heard11));
  world.serve(12, SwitchWorld::answering(std::string(kHello), &heard12));
  std::string pipelined;
  for (int i = 0; i < 5; ++i) pipelined += kGet;
  const std::string response = world.asked(pipelined + std::string(kGetAndClose));
  size_t answers = 0;
  for (size_t at = 0; (at = response.find("hello", at)) != std::string::npos; ++at) ++answers;
  EXPECT_EQ(answers, 6u);
  EXPECT_EQ(heard11.size() + heard12.size(), 5 * kGet.size() + kGetAndClose.size());
  EXPECT_EQ(world.sut().counters().server_connects, 2u);
  EXPECT_EQ(world.sut().counters().server_reused, 4u);
}

TEST(Switch, AConnectionThatItsServerWillCloseIsNotKept) {
  SwitchWorld world;
  world.start(per_request({11}));
  world.serve(11, SwitchWorld::answering(std::string(kHelloAndClose)));
  for (int i = 0; i < 3; ++i) world.asked(std::string(kGetAndClose));
  EXPECT_EQ(world.sut().counters().server_connects, 3u);
  EXPECT_EQ(world.sut().counters().server_reused, 0u);
}

TEST(Switch, ARequestWhoseReusedConnectionWasClosedGoesToANewOne) {
  SwitchWorld world;
  world.start(per_request({11}));
  int connections = 0;
  world.serve(11, [&](TcpSocket socket) {
    ++connections;
    // Promises to stay, answers once, and resets at the second request.
    return [](TcpSocket s, bool first) -> Task<void> {
      std::string request;
      co_await SwitchWorld::read_until(s, "\r\n\r\n", request);
      co_await SwitchWorld::write(s, kHello);
      request.clear();
      co_await SwitchWorld::read_until(s, "\r\n\r\n", request);
      if (first) {
        s.abort();
      } else {
        co_await SwitchWorld::write(s, kHello);
      }
    }(std::move(socket), connections == 1);
  });
  const std::string response = world.asked(std::string(kGet) + std::string(kGetAndClose));
  EXPECT_EQ(response, std::string(kHello) + std::string(kHello) + "<eof>");
  EXPECT_EQ(connections, 2);
  EXPECT_EQ(world.sut().counters().server_retries, 1u);
}

TEST(Switch, ClientsAreToldOfSegmentsThatTheWayToEveryServerTakes) {
  SwitchWorld world;
  SwitchOptions options = SwitchWorld::options({11});
  world.set_server_mtu(1400);
  world.serve(11, SwitchWorld::answering(std::string(kHello)));
  /// What a new client would put in a segment beside timestamps.
  auto segment_size = [&] {
    uint32_t mss = 0;
    world.spawn([](SwitchWorld& w, uint32_t& found) -> Task<void> {
      auto socket = co_await TcpSocket::connect(
          w.client_runtime(),
          {.remote = SwitchWorld::kListener, .source = {}, .local_port = {}, .socket = {}});
      if (socket) found = socket->connection().info().mss;
    }(world, mss));
    world.run(milliseconds(50));
    return mss + 12;
  };
  world.start(options);
  EXPECT_EQ(segment_size(), 1360u);
  world.set_server_mtu(1300);  // the route changes
  world.run(seconds(1));
  EXPECT_EQ(segment_size(), 1260u);
  // Another server, which a rule leads to, has IPv6's longer header.
  options.pools.push_back({.pool = {.name = "distant", .servers = {}}, .health_checks = {{}}});
  options.pools[1].pool.servers.push_back({.endpoint = {*IpAddress::parse("2001:db8::1"), 80}});
  options.virtual_servers[0].rules.push_back({.conditions = {}, .pool = "distant"});
  world.set_server_mtu(1500);
  ASSERT_TRUE(world.sut().reconfigure(options).has_value());
  EXPECT_EQ(segment_size(), 1440u);
}

TEST(Switch, AServerThatRefusesIsPassedOver) {
  SwitchWorld world;
  world.start(SwitchWorld::options({12, 11}));
  world.serve(11, SwitchWorld::answering(std::string(kHelloAndClose)));
  EXPECT_EQ(status_of(world.asked(std::string(kGetAndClose))), "200");
  EXPECT_EQ(world.sut().counters().server_refused, 1u);
  EXPECT_EQ(world.sut().counters().server_retries, 1u);
}

TEST(Switch, AnswersInTheServersPlace) {
  struct Case {
    const char* status;
    std::vector<uint32_t> servers;
    SwitchWorld::Behaviour behaviour;
  };
  const Case cases[] = {
      {"502", {12, 13}, nullptr},       // refused by all
      {"504", {99}, nullptr},           // nobody there
      {"504", {11}, say_nothing},       // no answer in time
      {"502", {11}, reset_on_request},  // broken off before the answer
      {"502", {11}, [](TcpSocket s) { return say_and_close(std::move(s), ""); }},
  };
  for (bool each : {false, true}) {
    for (const Case& c : cases) {
      SwitchWorld world;
      SwitchOptions o = each ? per_request(c.servers) : SwitchWorld::options(c.servers);
      o.virtual_servers[0].timeouts.synack = seconds(2);
      o.virtual_servers[0].timeouts.synsent = seconds(2);
      world.start(std::move(o));
      if (c.behaviour) world.serve(11, c.behaviour);
      const std::string response = world.asked(std::string(kGet), seconds(20));
      EXPECT_EQ(status_of(response), c.status) << each << " " << response;
      EXPECT_TRUE(response.ends_with("<eof>")) << response;
      EXPECT_EQ(world.sut().session_count(), 0u);
    }
  }
}

TEST(Switch, WithoutAServerIs503) {
  SwitchWorld world;
  world.start(SwitchWorld::options({11}));
  EXPECT_EQ(world.sut().set_admin("198.51.100.11:80", balance::AdminState::kDraining), 1u);
  EXPECT_EQ(status_of(world.asked(std::string(kGet))), "503");
  EXPECT_EQ(world.sut().counters().no_server, 1u);
}

TEST(Switch, MalformedRequestsReachNoServer) {
  for (bool each : {false, true}) {
    SwitchWorld world;
    std::string heard;
    world.start(each ? per_request({11}) : SwitchWorld::options({11}));
    world.serve(11, SwitchWorld::answering(std::string(kHello), &heard));
    EXPECT_EQ(status_of(world.asked("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n"
                                    "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n")),
              "400");
    EXPECT_EQ(status_of(world.asked("GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(20'000, 'x') +
                                    "\r\n\r\n")),
              "431");
    EXPECT_EQ(heard, "");
  }
}

TEST(Switch, AnAnswerThatBreaksOffIsResetNotEnded) {
  SwitchWorld world;
  world.start(per_request({11}));
  world.serve(11, [](TcpSocket s) {
    return say_and_close(std::move(s), "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf");
  });
  const std::string response = world.asked(std::string(kGet));
  EXPECT_TRUE(response.ends_with("<reset>")) << response;
  EXPECT_EQ(world.sut().counters().server_aborted, 1u);
}

TEST(Switch, AClientThatBreaksOffTakesItsServersConnectionWithIt) {
  for (bool each : {false, true}) {
    SwitchWorld world;
    world.start(each ? per_request({11}) : SwitchWorld::options({11}));
    bool ended = false;
    world.serve(11, [&](TcpSocket socket) {
      return [](TcpSocket s, bool& over) -> Task<void> {
        std::string request;
        co_await SwitchWorld::read_until(s, "never", request);
        over = true;
      }(std::move(socket), ended);
    });
    world.spawn([](SwitchWorld& w) -> Task<void> {
      auto socket = co_await TcpSocket::connect(
          w.client_runtime(),
          {.remote = SwitchWorld::kListener, .source = {}, .local_port = {}, .socket = {}});
      co_await SwitchWorld::write(*socket, kGet);
      co_await w.client_runtime().scheduler.sleep_for(milliseconds(200));
      socket->abort();
    }(world));
    world.run(milliseconds(100));
    EXPECT_FALSE(ended);
    EXPECT_EQ(world.sut().session_count(), 1u);
    world.run(seconds(2));
    EXPECT_TRUE(ended) << each;
    EXPECT_EQ(world.sut().session_count(), 0u);
  }
}

TEST(Switch, ASlowHeadIsAnsweredWith408) {
  SwitchWorld world;
  SwitchOptions o = SwitchWorld::options({11});
  o.virtual_servers[0].timeouts.listen = seconds(3);
  world.start(std::move(o));
  EXPECT_EQ(status_of(world.asked("GET / HTTP/1.1\r\nHo", seconds(10))), "408");
  EXPECT_EQ(world.sut().counters().head_timeouts, 1u);
}

TEST(Switch, AddsXForwardedForToEveryRequest) {
  SwitchWorld world;
  SwitchOptions o = SwitchWorld::options({11});
  o.virtual_servers[0].add_forwarded_for = true;
  std::string heard;
  world.start(std::move(o));
  world.serve(11, SwitchWorld::answering(std::string(kHello), &heard));
  world.asked(std::string(kGet) + std::string(kGetAndClose));
  size_t found = 0;
  for (size_t at = 0; (at = heard.find("X-Forwarded-For: 192.0.2.1\r\n", at)) != std::string::npos;
       ++at) {
    ++found;
  }
  EXPECT_EQ(found, 2u) << heard;
}

TEST(Switch, ABodyFlowsBothWaysChunked) {
  for (bool each : {false, true}) {
    SwitchWorld world;
    std::string heard;
    const std::string body = "5\r\nhello\r\n1000\r\n" + std::string(0x1000, 'b') + "\r\n0\r\n\r\n";
    world.start(each ? per_request({11}) : SwitchWorld::options({11}));
    world.serve(11, [&](TcpSocket socket) {
      return
          [](TcpSocket s, std::string& into, std::string answer)
              -> Task<void> {
            co_await SwitchWorld::read_until(s, "\r\n0\r\n\r\n", into);
            co_await SwitchWorld::write(s, answer);
          }(std::move(socket), heard,
              "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n" + body);
    });
    const std::string request =
        "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n" +
        body;
    const std::string response = world.asked(request);
    EXPECT_EQ(heard, request);
    EXPECT_TRUE(response.ends_with(body + "<eof>")) << response.size();
  }
}

TEST(Switch, AnUpgradeIsRelayedAsBytes) {
  SwitchWorld world;
  world.start(per_request({11}));
  world.serve(11, [](TcpSocket socket) {
    return [](TcpSocket s) -> Task<void> {
      std::string request;
      co_await SwitchWorld::read_until(s, "\r\n\r\n", request);
      co_await SwitchWorld::write(
          s, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
      co_await SwitchWorld::read_until(s, "ping", request);
      co_await SwitchWorld::write(s, "pong");
    }(std::move(socket));
  });
  const std::string response =
      world.asked("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nping");
  EXPECT_TRUE(response.ends_with("pong<eof>")) << response;
  EXPECT_EQ(world.sut().counters().switched_protocols, 1u);
}

TEST(Switch, TcpRelaysHalfCloseBothWays) {
  SwitchWorld world;
  SwitchOptions o = SwitchWorld::options({11});
  o.virtual_servers[0].protocol = Protocol::kTcp;
  world.start(std::move(o));
  world.serve(11, [](TcpSocket socket) {
    return [](TcpSocket s) -> Task<void> {
      std::string all;
      co_await SwitchWorld::read_until(s, "never", all);  // until the client's FIN
      co_await SwitchWorld::write(s, "heard " + std::to_string(all.size()));
    }(std::move(socket));
  });
  std::string response;
  world.spawn([](SwitchWorld& w, std::string& into) -> Task<void> {
    auto socket = co_await TcpSocket::connect(
        w.client_runtime(),
        {.remote = SwitchWorld::kListener, .source = {}, .local_port = {}, .socket = {}});
    co_await SwitchWorld::write(*socket, std::string(100'000, 'x'));
    socket->shutdown();
    co_await SwitchWorld::read_until(*socket, "never", into);
  }(world, response));
  world.run(seconds(3));
  EXPECT_EQ(response, "heard 100000");
}

SwitchOptions with_timeouts(const Timeouts& timeouts) {
  SwitchOptions o = SwitchWorld::options({11});
  o.virtual_servers[0].protocol = Protocol::kTcp;
  o.virtual_servers[0].timeouts = timeouts;
  o.virtual_servers[0].splicing = Splicing::kOff;  // a splice has no connection of ours
  return o;
}

/// Says "hello", and whatever `then` is does after it with the connection.
Task<void> say_hello(SwitchWorld& world, Task<void> (*then)(SwitchWorld&, TcpSocket&)) {
  auto socket = co_await TcpSocket::connect(
      world.client_runtime(),
      {.remote = SwitchWorld::kListener, .source = {}, .local_port = {}, .socket = {}});
  co_await SwitchWorld::write(*socket, "hello\r\n\r\n");
  co_await then(world, *socket);
}

Task<void> leave(SwitchWorld&, TcpSocket&) { co_return; }

Task<void> listen_until_the_end(SwitchWorld&, TcpSocket& socket) {
  std::string heard;
  co_await SwitchWorld::read_until(socket, "never", heard);
}

Task<void> close_and_vanish(SwitchWorld& world, TcpSocket& socket) {
  socket.shutdown();
  world.unplug_client();  // when what this turn sends is sent
  co_await listen_until_the_end(world, socket);
}

TEST(Switch, TimewaitIsHowLongTheAddressesOfEitherConnectionRest) {
  for (const bool client_first : {true, false}) {  // whoever closes second leaves the rest to us
    SwitchWorld world;
    world.start(with_timeouts({.timewait = seconds(5)}));
    world.serve(11, [&](TcpSocket socket) {
      return client_first ? say_nothing(std::move(socket))
                          : say_and_close(std::move(socket), "bye");
    });
    world.spawn(say_hello(world, client_first ? leave : listen_until_the_end));
    world.run(milliseconds(4900));
    EXPECT_EQ(world.sut().session_count(), 0u);
    EXPECT_EQ(world.stack().connection_count(), 0u);
    EXPECT_EQ(world.stack().time_wait_count(), 1u) << client_first;
    world.run(milliseconds(200));
    EXPECT_EQ(world.stack().time_wait_count(), 0u) << client_first;
  }
}

TEST(Switch, WhicheverConnectionEndsLastIsLeftToTheNicStackWhereAVirtualServerSaysSo) {
  for (const bool client_first : {true, false}) {
    for (const bool offload : {false, true}) {
      SwitchWorld world;
      SwitchOptions options = with_timeouts({});
      options.server_socket.teardown_offload = !offload;  // what all others would have
      options.virtual_servers[0].tcp.socket.teardown_offload = offload;
      world.start(std::move(options));
      world.serve(11, [&](TcpSocket socket) {
        return client_first ? say_nothing(std::move(socket))
                            : say_and_close(std::move(socket), "bye");
      });
      world.spawn(say_hello(world, client_first ? leave : listen_until_the_end));
      world.run(seconds(1));
      EXPECT_EQ(world.sut().session_count(), 0u);
      EXPECT_EQ(world.stack().teardown().counters().taken, offload ? 1u : 0u) << client_first;
    }
  }
}

TEST(Switch, EstablishedIsHowLongAClientMayKeepASpliceFromBeginning) {
  SwitchWorld world;
  SwitchOptions options = SwitchWorld::options({11});
  options.virtual_servers[0].timeouts.established = seconds(5);
  world.start(std::move(options));
  world.serve(11, [](TcpSocket socket) {
    std::string answer = "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n";
    return say_and_close(std::move(socket), answer.append(1'000'000, 'x'));
  });
  world.spawn([](SwitchWorld& w) -> Task<void> {
    host::SocketOptions small;
    small.receive_buffer_min = small.receive_buffer_max = 4096;
    auto socket = co_await TcpSocket::connect(
        w.client_runtime(),
        {.remote = SwitchWorld::kListener, .source = {}, .local_port = {}, .socket = small});
    co_await SwitchWorld::write(*socket, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    co_await w.client_runtime().scheduler.sleep_for(hours(1));  // and reads nothing
  }(world));
  world.run(seconds(2));
  EXPECT_EQ(world.stack().splicing_count(), 1u);
  world.run(seconds(9));
  EXPECT_EQ(world.stack().splicing_count(), 0u);
  EXPECT_EQ(world.sut().session_count(), 0u);
  EXPECT_EQ(world.stack().connection_count(), 0u);
  EXPECT_EQ(world.sut().counters().idle_timeouts, 1u);
}

TEST(Switch, OneSessionIsRefusedASpliceOnce) {
  for (const Splicing when : {Splicing::kEarly, Splicing::kAnswered}) {
    SwitchWorld world({.max_splices = 0});
    SwitchOptions options = SwitchWorld::options({11});
    options.virtual_servers[0].splicing = when;
    world.start(std::move(options));
    world.serve(11, SwitchWorld::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"));
    const std::string response = world.asked(std::string(kGet));
    EXPECT_EQ(status_of(response), "200") << response;
    constexpr auto kTableFull = static_cast<size_t>(host::SpliceRefusal::kTableFull);
    EXPECT_EQ(world.stack().splice_refusals()[kTableFull], 1u);
    EXPECT_EQ(world.sut().counters().spliced, 0u);
  }
}

TEST(Switch, TimewaitIsHowLongASpliceThatHasEndedLetsLatePacketsPass) {
  SwitchWorld world;
  SwitchOptions options = with_timeouts({.timewait = seconds(5)});
  options.virtual_servers[0].splicing = Splicing::kAnswered;
  world.start(std::move(options));
  world.serve(11, [](TcpSocket socket) { return say_and_close(std::move(socket), "bye"); });
  world.spawn(say_hello(world, listen_until_the_end));
  world.run(milliseconds(4900));
  EXPECT_EQ(world.sut().counters().spliced, 1u);
  EXPECT_EQ(world.sut().session_count(), 0u);
  EXPECT_EQ(world.stack().connection_count(), 0u);
  EXPECT_EQ(world.stack().splices().size(), 1u);
  world.run(milliseconds(200));
  EXPECT_EQ(world.stack().splices().size(), 0u);
}

TEST(Switch, LastackIsHowLongAClientThatHasClosedMayLeaveOurFinUnacknowledged) {
  SwitchWorld world;
  world.start(with_timeouts({.lastack = seconds(5)}));
  world.serve(11, say_nothing);
  world.spawn(say_hello(world, close_and_vanish));
  world.run(milliseconds(4900));
  EXPECT_EQ(world.sut().session_count(), 0u);
  EXPECT_EQ(world.stack().connection_count(), 1u);
  world.run(milliseconds(200));
  EXPECT_EQ(world.stack().connection_count(), 0u);
  EXPECT_EQ(world.stack().counters().connections_timed_out, 1u);
}

TEST(Switch, CloseIsHowLongOurAddressesRestWhenAServersConnectionWasReset) {
  for (const Duration close : {seconds(0), seconds(5)}) {
    SwitchWorld world;
    world.start(with_timeouts({.close = close}));
    world.serve(11, reset_on_request);
    EXPECT_EQ(world.asked(std::string(kGet), milliseconds(4900)), "<reset>");
    EXPECT_EQ(world.stack().time_wait_count(), close > seconds(0) ? 1u : 0u);
    world.run(milliseconds(200));
    EXPECT_EQ(world.stack().time_wait_count(), 0u);
  }
}

TEST(Switch, HealthChecksTakeAServerDownAndUp) {
  SwitchWorld world;
  SwitchOptions o = SwitchWorld::options({11, 12});
  o.pools[0].health_checks.assign(
      2, {.kind = HealthCheck::Kind::kHttp, .path = "/", .interval = seconds(1)});
  world.start(std::move(o));
  world.serve(11, SwitchWorld::answering(std::string(kHelloAndClose)));
  world.serve(12, SwitchWorld::answering("HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"));
  world.run(seconds(5));
  EXPECT_TRUE(world.sut().servers()[0].up);
  EXPECT_FALSE(world.sut().servers()[1].up);
  for (int i = 0; i < 4; ++i) EXPECT_EQ(status_of(world.asked(std::string(kGetAndClose))), "200");
}

TEST(Switch, AReloadKeepsSessionsListenersAndServers) {
  SwitchWorld world;
  world.start(SwitchWorld::options({11}));
  world.serve(11, SwitchWorld::answering(std::string(kHello)));
  world.serve(12, SwitchWorld::answering("HTTP/1.1 204 Other\r\nConnection: close\r\n\r\n"));
  std::string before;
  world.spawn([](SwitchWorld& w, std::string& into) -> Task<void> {
    auto socket = co_await TcpSocket::connect(
        w.client_runtime(),
        {.remote = SwitchWorld::kListener, .source = {}, .local_port = {}, .socket = {}});
    co_await SwitchWorld::write(*socket, kGet);
    co_await SwitchWorld::read_until(*socket, "hello", into);
    co_await w.client_runtime().scheduler.sleep_for(seconds(2));
    co_await SwitchWorld::write(*socket, kGet);
    into.clear();
    co_await SwitchWorld::read_until(*socket, "hello", into);
  }(world, before));
  world.run(seconds(1));
  EXPECT_EQ(status_of(before), "200");
  ASSERT_TRUE(world.sut().reconfigure(SwitchWorld::options({12})).has_value());
  EXPECT_EQ(status_of(world.asked(std::string(kGet), seconds(3))), "204");
  EXPECT_EQ(status_of(before), "200");  // the session that began before went on with its server

  SwitchOptions taken = SwitchWorld::options({11});
  taken.virtual_servers[0].listen.push_back({IpAddress::v4(0x01020304), 1});  // not ours
  EXPECT_FALSE(world.sut().reconfigure(std::move(taken)).has_value());
  EXPECT_EQ(status_of(world.asked(std::string(kGet), seconds(3))), "204");
}

TEST(Switch, AListenerThatStaysTakesItsNewOptionsForNewConnections) {
  SwitchWorld world;
  world.serve(11, [](TcpSocket s) { return say_and_close(std::move(s), "bye"); });
  world.start(with_timeouts({.timewait = minutes(10)}));
  ASSERT_TRUE(world.sut().reconfigure(with_timeouts({.timewait = seconds(1)})).has_value());
  world.spawn(say_hello(world, listen_until_the_end));
  world.run(milliseconds(500));
  EXPECT_EQ(world.stack().time_wait_count(), 1u);
  world.run(seconds(1));
  EXPECT_EQ(world.stack().time_wait_count(), 0u);
}

TEST(Switch, DisablingAServerEndsItsSessionsAlsoThoseFromBeforeAReload) {
  SwitchWorld world;
  world.start(SwitchWorld::options({11}));
  world.serve(11, SwitchWorld::answering(std::string(kHello)));
  std::string response;
  world.spawn(world.ask(std::string(kGet), response));
  world.run(seconds(1));
  EXPECT_EQ(world.sut().session_count(), 1u);
  ASSERT_TRUE(world.sut().reconfigure(SwitchWorld::options({11})).has_value());
  EXPECT_EQ(world.sut().servers()[0].active, 1u);
  EXPECT_EQ(world.sut().set_admin("198.51.100.11:80", balance::AdminState::kDisabled), 1u);
  world.run(seconds(1));
  EXPECT_EQ(world.sut().session_count(), 0u);
  EXPECT_TRUE(response.ends_with("hello<reset>")) << response;
}

Task<void> never_end(TcpSocket socket) {
  co_await SwitchWorld::write(socket, "HTTP/1.1 200 OK\r\n\r\n");
  while (co_await SwitchWorld::write(socket, std::string(1000, 'x'))) {
  }
}

Task<void> never_read(SwitchWorld& world) {
  auto socket = co_await TcpSocket::connect(
      world.client_runtime(),
      {.remote = SwitchWorld::kListener, .source = {}, .local_port = {}, .socket = {}});
  co_await SwitchWorld::write(*socket, kGet);
  co_await world.client_runtime().scheduler.sleep_for(seconds(2));
  socket->abort();
}

TEST(Switch, WhenBuffersHaveRunOutItWaitsForReaders) {
  constexpr size_t kBuffers = 1u << 20;
  SwitchWorld world({.max_buffer_bytes = kBuffers});
  world.start(SwitchWorld::options({11}));
  world.serve(11, never_end);
  for (int i = 0; i < 16; ++i) world.spawn(never_read(world));
  world.run(seconds(1));
  EXPECT_EQ(world.sut().session_count(), 16u);
  EXPECT_GE(world.stack().buffer_bytes(), kBuffers / 2);
  EXPECT_LE(world.stack().buffer_bytes(), kBuffers);
  EXPECT_GT(world.stack().counters().drop_no_buffer, 0u);
  world.run(seconds(2));
  EXPECT_EQ(world.sut().session_count(), 0u);
  EXPECT_EQ(world.stack().buffer_bytes(), 0u);
}

TEST(Switch, MaxConnectionsLetsFurtherClientsWait) {
  SwitchWorld world;
  SwitchOptions o = SwitchWorld::options({11});
  o.virtual_servers[0].max_connections = 1;
  world.start(std::move(o));
  world.serve(11, SwitchWorld::answering(std::string(kHelloAndClose)));
  std::string first, second;
  world.spawn([](SwitchWorld& w, std::string& into) -> Task<void> {
    auto socket = co_await TcpSocket::connect(
        w.client_runtime(),
        {.remote = SwitchWorld::kListener, .source = {}, .local_port = {}, .socket = {}});
    co_await w.client_runtime().scheduler.sleep_for(seconds(2));
    co_await SwitchWorld::write(*socket, kGetAndClose);
    co_await SwitchWorld::read_until(*socket, "hello", into);
  }(world, first));
  world.run(milliseconds(500));
  world.spawn(world.ask(std::string(kGetAndClose), second));
  world.run(seconds(1));
  EXPECT_EQ(second, "");
  world.run(seconds(5));
  EXPECT_EQ(status_of(first), "200");
  EXPECT_EQ(status_of(second), "200");
}

}  // namespace
}  // namespace fairlead::l7
