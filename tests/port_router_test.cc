// NetlinkRouter against the kernel: routes, neighbours and interfaces that come, change and go.
#include <gtest/gtest.h>
#include <poll.h>

#include <array>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "port/interface_info.h"
#include "port/netlink_router.h"
#include "tests/namespaces.h"

namespace fairlead::port {
namespace {

using test::NamespacePair;

IpAddress ip(std::string_view text) { return *IpAddress::parse(text); }

class NetlinkRouterTest : public testing::Test {
 protected:
  void SetUp() override {
    FAIRLEAD_REQUIRE_NAMESPACES();
    namespaces_.emplace();
    const std::array interfaces{NetlinkRouter::Interface{.name = "fl-b", .port_index = 5}};
    auto router = NetlinkRouter::open(interfaces, monotonic_now());
    ASSERT_TRUE(router) << router.error().to_string();
    router_ = std::move(*router);
    namespaces_->enter_a();
    peer_mac_ = query_interface("fl-a")->mac;
    namespaces_->enter_b();
    own_mac_ = query_interface("fl-b")->mac;
  }

  /// Takes in notifications until `done` or two seconds have passed.
  template <typename Done>
  bool wait_until(const Done& done) {
    const Time deadline = monotonic_now() + seconds(2);
    while (!done() && monotonic_now() < deadline) {
      pollfd waiting{.fd = router_->poll_fd(), .events = POLLIN, .revents = 0};
      ::poll(&waiting, 1, 20);
      EXPECT_TRUE(router_->process(monotonic_now()));
    }
    return done();
  }
  Result<Path> resolve(std::string_view remote) {
    wait_until([&] {
      const Result<Path> path = router_->resolve(ip(remote));
      return path || path.error().code != Errc::kWouldBlock;
    });
    return router_->resolve(ip(remote));
  }
  bool becomes(std::string_view remote, Errc code) {
    return wait_until([&] {
      const Result<Path> path = router_->resolve(ip(remote));
      return (path ? Errc::kOk : path.error().code) == code;
    });
  }

  std::optional<NamespacePair> namespaces_;
  std::unique_ptr<NetlinkRouter> router_;
  MacAddress peer_mac_;
  MacAddress own_mac_;
};

TEST_F(NetlinkRouterTest, HostOnTheLinkIsResolvedByTheKernel) {
  for (const auto& [remote, source] :
       {std::pair{"10.77.0.1", "10.77.0.2"}, {"fd77::1", "fd77::2"}}) {
    EXPECT_EQ(router_->resolve(ip(remote)).error().code, Errc::kWouldBlock);
    EXPECT_EQ(router_->source_for(ip(remote)), ip(source));
    EXPECT_EQ(router_->mtu_for(ip(remote)), 1500);
    const Result<Path> path = resolve(remote);
    ASSERT_TRUE(path) << remote;
    EXPECT_EQ(path->source, ip(source));
    EXPECT_EQ(path->local_mac, own_mac_);
    EXPECT_EQ(path->next_hop, peer_mac_);
    EXPECT_EQ(path->gateway, ip(remote));
    EXPECT_EQ(path->mtu, 1500);
    EXPECT_EQ(path->port_index, 5);
  }
}

TEST_F(NetlinkRouterTest, DistantHostIsReachedByTheGatewayOfTheBestRoute) {
  EXPECT_EQ(router_->resolve(ip("192.0.2.9")).error().code, Errc::kNetworkUnreachable);
  EXPECT_EQ(router_->source_for(ip("192.0.2.9")), std::nullopt);
  EXPECT_EQ(router_->mtu_for(ip("192.0.2.9")), std::nullopt);
  const uint64_t before = router_->generation();
  namespaces_->run_in_b(
      "ip route add default via 10.77.0.1 && ip -6 route add default via fd77::1 &&"
      "ip route add 192.0.2.0/24 via 10.77.0.1 mtu 1400 src 10.77.0.2");
  for (const auto& [remote, mtu] :
       {std::pair{"192.0.2.9", 1400}, {"198.51.100.1", 1500}, {"2001:db8::9", 1500}}) {
    ASSERT_TRUE(becomes(remote, Errc::kOk)) << remote;
    EXPECT_EQ(resolve(remote)->next_hop, peer_mac_);
    EXPECT_EQ(resolve(remote)->gateway, ip(remote).is_v4() ? ip("10.77.0.1") : ip("fd77::1"));
    EXPECT_EQ(resolve(remote)->mtu, mtu);
    EXPECT_EQ(router_->mtu_for(ip(remote)), mtu);
  }
  EXPECT_NE(router_->generation(), before);
  namespaces_->run_in_b("ip route del default");
  EXPECT_TRUE(becomes("198.51.100.1", Errc::kNetworkUnreachable));
}

TEST_F(NetlinkRouterTest, UnroutableDestinationsSaySo) {
  namespaces_->run_in_b(
      "ip route add default via 10.77.0.1 && ip route add 203.0.113.0/24 dev lo &&"
      "ip route add blackhole 198.51.100.0/24");
  EXPECT_TRUE(becomes("203.0.113.1", Errc::kNetworkUnreachable));  // another interface
  EXPECT_TRUE(becomes("198.51.100.1", Errc::kHostUnreachable));
  EXPECT_TRUE(becomes("10.77.0.2", Errc::kHostUnreachable));  // our own
  EXPECT_TRUE(becomes("10.77.0.255", Errc::kHostUnreachable));
  EXPECT_TRUE(becomes("224.0.0.1", Errc::kNetworkUnreachable));
  EXPECT_TRUE(becomes("0.0.0.0", Errc::kNetworkUnreachable));
}

TEST_F(NetlinkRouterTest, SilentNeighbourBecomesUnreachable) {
  namespaces_->run_in_b("sysctl -qw net.ipv4.neigh.fl-b.retrans_time_ms=50");
  EXPECT_EQ(router_->resolve(ip("10.77.0.50")).error().code, Errc::kWouldBlock);
  EXPECT_TRUE(becomes("10.77.0.50", Errc::kHostUnreachable));
}

TEST_F(NetlinkRouterTest, NeighbourThatMovesMovesThePathAndTheGeneration) {
  ASSERT_TRUE(resolve("10.77.0.1"));
  const uint64_t before = router_->generation();
  namespaces_->run_in_b("ip neigh replace 10.77.0.1 dev fl-b lladdr 02:00:00:00:00:99");
  EXPECT_TRUE(wait_until(
      [&] { return resolve("10.77.0.1")->next_hop == MacAddress{{2, 0, 0, 0, 0, 0x99}}; }));
  EXPECT_NE(router_->generation(), before);
}

TEST_F(NetlinkRouterTest, StaleNeighbourInUseIsConfirmedByTheKernel) {
  namespaces_->run_in_b("ip neigh replace 10.77.0.1 dev fl-b nud stale lladdr " +
                        peer_mac_.to_string());
  ASSERT_TRUE(becomes("10.77.0.1", Errc::kOk));
  namespaces_->run_in_b("ip neigh show 10.77.0.1 | grep -Eq 'DELAY|PROBE|REACHABLE'");
  EXPECT_EQ(router_->counters().solicitations, 1u);
}

TEST_F(NetlinkRouterTest, InterfaceChangesAreFollowed) {
  ASSERT_TRUE(resolve("10.77.0.1"));
  const uint64_t before = router_->generation();
  namespaces_->run_in_b("ip link set fl-b mtu 1280");
  EXPECT_TRUE(wait_until([&] { return resolve("10.77.0.1")->mtu == 1280; }));
  EXPECT_NE(router_->generation(), before);
  namespaces_->run_in_b("ip link set fl-b down");
  EXPECT_TRUE(becomes("10.77.0.1", Errc::kNetworkUnreachable));
  namespaces_->run_in_b("ip link set fl-b up");
  EXPECT_TRUE(becomes("10.77.0.1", Errc::kOk));
}

TEST_F(NetlinkRouterTest, LocalAddressesAreTheInterfacesOwn) {
  EXPECT_TRUE(router_->is_local(ip("10.77.0.2")));
  EXPECT_TRUE(router_->is_local(ip("fd77::2")));
  EXPECT_FALSE(router_->is_local(ip("127.0.0.1")));
  EXPECT_FALSE(router_->is_local(ip("10.77.0.1")));
  namespaces_->run_in_b("ip addr add 10.77.0.3/24 dev fl-b");
  EXPECT_TRUE(wait_until([&] { return router_->is_local(ip("10.77.0.3")); }));
  // 10.77.0.2, 10.77.0.3, fd77::2 and the link-local one.
  EXPECT_EQ(router_->local_addresses(5).size(), 4u);
  namespaces_->run_in_b("ip addr del 10.77.0.3/24 dev fl-b");
  EXPECT_TRUE(wait_until([&] { return !router_->is_local(ip("10.77.0.3")); }));
}

TEST_F(NetlinkRouterTest, LostNotificationsAreMadeGoodByReadingAgain) {
  // 30,000 routes overflow the socket, because nobody reads meanwhile.
  const std::string batch = testing::TempDir() + "fairlead-routes";
  std::FILE* file = std::fopen(batch.c_str(), "w");
  ASSERT_NE(file, nullptr);
  for (int i = 0; i < 30'000; ++i) {
    std::fprintf(file, "route add 100.%d.%d.%d/32 via 10.77.0.1\n", 64 + i / 62500, i / 250 % 250,
                 i % 250);
  }
  std::fclose(file);
  std::this_thread::sleep_for(milliseconds(100));  // the least time between two readings
  namespaces_->run_in_b("ip -batch " + batch);
  std::remove(batch.c_str());
  EXPECT_TRUE(becomes("100.64.119.249", Errc::kOk));
  EXPECT_GE(router_->counters().rereads, 1u);
}

TEST_F(NetlinkRouterTest, MissingInterfaceIsNamedInTheError) {
  const std::array interfaces{NetlinkRouter::Interface{.name = "fl-nowhere"}};
  const auto router = NetlinkRouter::open(interfaces, monotonic_now());
  ASSERT_FALSE(router);
  EXPECT_EQ(router.error().code, Errc::kNoDevice);
  EXPECT_EQ(router.error().to_string(), "interface fl-nowhere: no such interface");
}

}  // namespace
}  // namespace fairlead::port
