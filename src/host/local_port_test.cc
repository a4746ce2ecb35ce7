// Which local ports outgoing connections get.
#include <gtest/gtest.h>

#include <set>

#include "host/stack.h"

namespace fairlead::host {
namespace {

constexpr IpAddress kHere = IpAddress::v4(0xC0000201);
constexpr Endpoint kServer{IpAddress::v4(0xC0000202), 80};

class OneNeighbour final : public port::Router {
 public:
  Result<port::Path> resolve(const IpAddress& remote) override {
    return port::Path{.source = kHere, .local_mac = {}, .next_hop = {}, .gateway = remote};
  }
  std::optional<IpAddress> source_for(const IpAddress&) override { return kHere; }
  std::optional<uint16_t> mtu_for(const IpAddress&) const override { return 1500; }
  uint64_t generation() const override { return 1; }
  bool is_local(const IpAddress& address) const override { return address == kHere; }
};

class LocalPorts : public testing::Test {
 protected:
  /// The local ports of as many connections as can be opened.
  std::set<uint16_t> all_ports(const StackConfig& config) {
    const port::PortInfo port[] = {{}};
    Stack stack(config, router_, port, {.hash = {}, .isn = {}, .setup = {}, .seed = 1}, Time{});
    std::set<uint16_t> ports;
    std::vector<Connection*> opened;
    while (true) {
      const Stack::ConnectOptions options{
          .remote = kServer, .source = {}, .local_port = {}, .socket = {}};
      const Result<Connection*> connection = stack.connect(options, Time{});
      if (!connection) {
        EXPECT_EQ(connection.error().code, Errc::kAddressNotAvailable);
        break;
      }
      opened.push_back(*connection);
      ports.insert((*connection)->tuple().local.port);
    }
    EXPECT_EQ(ports.size(), opened.size());
    for (Connection* connection : opened) stack.release(connection);
    return ports;
  }

  OneNeighbour router_;
};

TEST_F(LocalPorts, EveryPortOfTheRangeIsUsedBeforeThereIsNoneLeft) {
  const auto ports = all_ports({.local_port_first = 61000, .local_port_last = 61099});
  EXPECT_EQ(ports.size(), 100u);
  EXPECT_EQ(*ports.begin(), 61000);
  EXPECT_EQ(*ports.rbegin(), 61099);
}

TEST_F(LocalPorts, OnlyThosePortsAreUsedWhoseRepliesComeToThisStack) {
  const auto ports = all_ports({.local_port_first = 61000,
                                .local_port_last = 61099,
                                .comes_here = [](const FourTuple& tuple) {
                                  EXPECT_EQ(tuple.remote, kServer);
                                  EXPECT_EQ(tuple.local.address, kHere);
                                  return tuple.local.port % 3 == 0;
                                }});
  EXPECT_EQ(ports.size(), 33u);
  for (const uint16_t port : ports) EXPECT_EQ(port % 3, 0);
}

}  // namespace
}  // namespace fairlead::host
