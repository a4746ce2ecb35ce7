#include "control/metrics/metrics_server.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <vector>

#include "base/unique_fd.h"

namespace fairlead::control {
namespace {

/// A port of this machine that nobody listens on.
Endpoint free_endpoint() {
  const UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in here{};
  here.sin_family = AF_INET;
  here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof here;
  auto* address = reinterpret_cast<sockaddr*>(&here);
  EXPECT_TRUE(fd && ::bind(fd.get(), address, size) == 0);
  EXPECT_EQ(::getsockname(fd.get(), address, &size), 0);
  return {IpAddress::v4(INADDR_LOOPBACK), ntohs(here.sin_port)};
}

UniqueFd connect_to(const Endpoint& endpoint) {
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in there{};
  there.sin_family = AF_INET;
  there.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  there.sin_port = htons(endpoint.port);
  EXPECT_EQ(::connect(fd.get(), reinterpret_cast<sockaddr*>(&there), sizeof there), 0);
  return fd;
}

/// Everything that is answered to `request`.
std::string ask(const Endpoint& endpoint, const std::string& request) {
  const UniqueFd fd = connect_to(endpoint);
  EXPECT_EQ(::write(fd.get(), request.data(), request.size()),
            static_cast<ssize_t>(request.size()));
  std::string answer;
  char buffer[4096];
  for (ssize_t n = 0; (n = ::read(fd.get(), buffer, sizeof buffer)) > 0;) {
    answer.append(buffer, static_cast<size_t>(n));
  }
  return answer;
}

const std::string kGet = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";

TEST(MetricsServer, AnswersWithTheTextAndItsType) {
  const Endpoint here = free_endpoint();
  const auto server = MetricsServer::open(here, [] { return Result<std::string>("x 1\n"); });
  ASSERT_TRUE(server) << server.error().to_string();
  const std::string answer = ask(here, kGet);
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 200")) << answer;
  EXPECT_NE(answer.find("Content-Type: text/plain; version=0.0.4\r\n"), std::string::npos);
  EXPECT_TRUE(answer.ends_with("\r\n\r\nx 1\n")) << answer;
}

TEST(MetricsServer, OtherPathsAndGarbageAreRefused) {
  const Endpoint here = free_endpoint();
  const auto server = MetricsServer::open(here, [] { return Result<std::string>("x 1\n"); });
  ASSERT_TRUE(server);
  EXPECT_TRUE(ask(here, "GET / HTTP/1.1\r\nHost: x\r\n\r\n").starts_with("HTTP/1.1 404"));
  EXPECT_TRUE(ask(here, "\x01\x02\r\n\r\n").starts_with("HTTP/1.1 400"));
}

TEST(MetricsServer, WhenNothingCanBeCollectedItSaysWhy) {
  const Endpoint here = free_endpoint();
  const auto server = MetricsServer::open(here, []() -> Result<std::string> {
    return fail(Errc::kTimedOut, "shard 1 does not answer");
  });
  ASSERT_TRUE(server);
  const std::string answer = ask(here, kGet);
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 503")) << answer;
  EXPECT_TRUE(answer.ends_with("shard 1 does not answer\n")) << answer;
}

TEST(MetricsServer, ClientsThatSayNothingHoldUpOthersOnlyForAWhile) {
  const Endpoint here = free_endpoint();
  const auto server = MetricsServer::open(here, [] { return Result<std::string>("x 1\n"); });
  ASSERT_TRUE(server);
  std::vector<UniqueFd> silent;
  for (size_t i = 0; i < MetricsServer::kWorkers; ++i) silent.push_back(connect_to(here));
  EXPECT_TRUE(ask(here, kGet).starts_with("HTTP/1.1 200"));
}

TEST(MetricsServer, AnAddressInUseIsNamed) {
  const Endpoint here = free_endpoint();
  const auto collect = [] { return Result<std::string>(""); };
  const auto first = MetricsServer::open(here, collect);
  ASSERT_TRUE(first);
  const auto second = MetricsServer::open(here, collect);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().message,
            "metrics " + here.to_string() + ": can't listen: Address already in use");
}

}  // namespace
}  // namespace fairlead::control
