// Two connections of kernel TCPs in namespace A, spliced by a host stack in B, with the kernel's
// seat: bytes that no process sees in between, and their end.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/unique_fd.h"
#include "nic/splice/bpf_seat.h"
#include "nic/steering/steering.h"
#include "port/af_packet.h"
#include "port/netlink_router.h"
#include "socket/shard.h"
#include "tests/namespaces.h"

namespace fairlead {
namespace {

using nic::SpliceSeat;

constexpr uint16_t kOurPort = 8080;
constexpr uint16_t kServerPort = 9090;
constexpr Duration kPatience = seconds(10);

struct Case {
  bool ipv6;
  bool offloads;
  nic::SeatChoice seat;
};

struct Address {
  sockaddr_storage storage{};
  socklen_t size = 0;

  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

Address socket_address(const Endpoint& endpoint) {
  Address out;
  if (endpoint.address.is_v4()) {
    auto* in = reinterpret_cast<sockaddr_in*>(&out.storage);
    in->sin_family = AF_INET;
    in->sin_port = htons(endpoint.port);
    std::memcpy(&in->sin_addr, endpoint.address.header_bytes().data(), 4);
    out.size = sizeof *in;
  } else {
    auto* in = reinterpret_cast<sockaddr_in6*>(&out.storage);
    in->sin6_family = AF_INET6;
    in->sin6_port = htons(endpoint.port);
    std::memcpy(&in->sin6_addr, endpoint.address.header_bytes().data(), 16);
    out.size = sizeof *in;
  }
  return out;
}

class Ended : public nic::SpliceObserver {
 public:
  void on_splice_end(const nic::SpliceReport& report) override { reports.push_back(report); }
  std::vector<nic::SpliceReport> reports;
};

/// A proxy in B: the seat, steering behind it, one shard.
class Proxy {
 public:
  Proxy(const nic::BpfSeat::Options& seat_options, const IpAddress& address)
      : opened_(nic::BpfSeat::open(seat_options)) {
    CHECK(opened_.seat != nullptr);
    auto steering =
        nic::Steering::attach("fl-b", {.runtime_directory = seat_options.runtime_directory,
                                       .splice_rules = opened_.seat->rules_fd(),
                                       .splice_link = opened_.interfaces[0].tcx_link,
                                       .shard_by_rule = opened_.seat->shard_by_rule()});
    CHECK(steering.has_value());
    steering_ = std::move(*steering);
    CHECK(steering_->add_local_address(address).has_value());
    CHECK(steering_->add_listener({address, kOurPort}).has_value());
    CHECK(steering_->set_local_ports({.first = 61000, .last = 65535}).has_value());
    auto ports = port::open_af_packet({.interface = "fl-b",
                                       .shards = 1,
                                       .filter_fd = steering_->filter_fd(),
                                       .fanout_fd = steering_->fanout_fd()});
    CHECK(ports.has_value());
    const port::NetlinkRouter::Interface interface[] = {{.name = "fl-b", .port_index = 0}};
    auto router = port::NetlinkRouter::open(interface, monotonic_now());
    CHECK(router.has_value());
    router_ = std::move(*router);
    ShardOptions options;
    options.stack.max_connections = 64;
    shard_ = std::make_unique<Shard>(options, std::move(*ports), *router_);
    stack().use_kernel_seat(opened_.seat.get());
    seat().for_each_pair([&](const nic::SplicePair& pair) {
      stack().splices().adopt(pair, {.options = splice_options()}, monotonic_now());
    });
    auto listening = stack().listen({address, kOurPort}, {});
    CHECK(listening.has_value());
    listener_ = *listening;
  }

  nic::BpfSeat& seat() { return *opened_.seat; }
  host::Stack& stack() { return shard_->stack(); }
  const nic::SpliceTable& splices() { return stack().splices(); }
  std::vector<nic::SpliceReport>& ended() { return ended_.reports; }

  void turn() {
    const Time now = monotonic_now();
    static_cast<void>(router_->process(now));
    seat().poll_events(
        0, [&](const fl_splice_event& event) { stack().splices().on_event(event, now); });
    shard_->turn(now);
  }
  /// Turns until `done` or patience is at its end.
  template <typename Done>
  bool run_until(const Done& done) {
    const Time until = monotonic_now() + kPatience;
    while (!done()) {
      if (monotonic_now() > until) return false;
      turn();
    }
    return true;
  }
  /// Connects the next client to `server`, and splices the two.
  bool splice_one(const Endpoint& server) {
    host::Connection* client = nullptr;
    if (!run_until([&] { return (client = listener_->accept()) != nullptr; })) return false;
    host::Connection* to_server = nullptr;
    host::SocketOptions socket;
    socket.ecn = false;  // as the client, a kernel's default
    const bool connecting = run_until([&] {
      auto opened = stack().connect(
          {.remote = server, .source = {}, .local_port = {}, .socket = socket}, monotonic_now());
      if (opened) to_server = *opened;
      return opened.has_value();
    });
    if (!connecting || !run_until([&] { return to_server->is_established(); })) return false;
    return stack().splice(client, to_server, splice_options()).has_value();
  }

 private:
  nic::SpliceOptions splice_options() {
    return {.observer = &ended_, .time_wait = milliseconds(50), .close_timeout = milliseconds(50)};
  }

  Ended ended_;
  nic::BpfSeat::Opened opened_;
  std::unique_ptr<nic::Steering> steering_;
  std::unique_ptr<port::NetlinkRouter> router_;
  std::unique_ptr<Shard> shard_;
  host::Listener* listener_ = nullptr;
};

class SpliceSeatTraffic : public testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    FAIRLEAD_REQUIRE_NAMESPACES();
    namespaces_.emplace();
    namespaces_->set_offloads(GetParam().offloads);
    if (GetParam().seat == nic::SeatChoice::kXdp) {
      // Checksums that are complete, and a peer that takes frames from XDP.
      namespaces_->run_in_a("ethtool -K fl-a tx off gro on >/dev/null");
    }
    runtime_ = testing::TempDir() + "fairlead-splice-" + std::to_string(::getpid());
    options_ = {.interfaces = {{.name = "fl-b", .choice = GetParam().seat}},
                .max_rules = 64,
                .directory = "/sys/fs/bpf/fl-traffic-" + std::to_string(::getpid()),
                .runtime_directory = runtime_};
    ours_ = *IpAddress::parse(GetParam().ipv6 ? "fd77::2" : "10.77.0.2");
    theirs_ = *IpAddress::parse(GetParam().ipv6 ? "fd77::1" : "10.77.0.1");
    proxy_ = std::make_unique<Proxy>(options_, ours_);
    connect_through();
  }
  void TearDown() override {
    if (options_.directory.empty()) return;
    proxy_.reset();
    std::filesystem::remove_all(options_.directory);
    std::filesystem::remove_all(runtime_);
  }

  void connect_through() {
    namespaces_->enter_a();
    const int family = GetParam().ipv6 ? AF_INET6 : AF_INET;
    listener_ = UniqueFd(::socket(family, SOCK_STREAM | SOCK_NONBLOCK, 0));
    const Address here = socket_address({theirs_, kServerPort});
    ASSERT_EQ(::bind(listener_.get(), here.get(), here.size), 0);
    ASSERT_EQ(::listen(listener_.get(), 4), 0);
    client_ = UniqueFd(::socket(family, SOCK_STREAM | SOCK_NONBLOCK, 0));
    namespaces_->enter_b();
    const Address there = socket_address({ours_, kOurPort});
    ::connect(client_.get(), there.get(), there.size);
    ASSERT_TRUE(proxy_->splice_one({theirs_, kServerPort}));
    ASSERT_TRUE(proxy_->run_until([&] {
      server_ = UniqueFd(::accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK));
      return static_cast<bool>(server_);
    }));
    // The first bytes through: what follows is the kernel's.
    ASSERT_EQ(send(client_, server_, 1000), 1000u);
    ASSERT_EQ(send(server_, client_, 1000), 1000u);
    ASSERT_TRUE(proxy_->run_until([&] { return proxy_->splices().counters().sunk == 1; }));
  }

  /// Sends `size` bytes; returns how many came out at the other end, and as they were.
  size_t send(const UniqueFd& from, const UniqueFd& to, size_t size) {
    std::vector<uint8_t> bytes(size);
    for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<uint8_t>(i * 7 + i / 251);
    std::vector<uint8_t> got;
    std::vector<uint8_t> buffer(1 << 16);
    size_t sent = 0;
    static_cast<void>(proxy_->run_until([&] {
      const ssize_t out = ::send(from.get(), bytes.data() + sent, size - sent, MSG_NOSIGNAL);
      if (out > 0) sent += static_cast<size_t>(out);
      const ssize_t in = ::recv(to.get(), buffer.data(), buffer.size(), 0);
      if (in > 0) got.insert(got.end(), buffer.begin(), buffer.begin() + in);
      return got.size() >= size;
    }));
    EXPECT_TRUE(got == bytes);
    return got.size();
  }
  bool sees_end(const UniqueFd& fd) {
    uint8_t byte;
    return proxy_->run_until([&] { return ::recv(fd.get(), &byte, 1, 0) == 0; });
  }

  std::optional<test::NamespacePair> namespaces_;
  std::string runtime_;
  nic::BpfSeat::Options options_;
  IpAddress ours_;
  IpAddress theirs_;
  std::unique_ptr<Proxy> proxy_;
  UniqueFd listener_;
  UniqueFd client_;
  UniqueFd server_;
};

TEST_P(SpliceSeatTraffic, BytesPassBelowTheProcess) {
  const uint64_t before = proxy_->splices().counters().translated;
  EXPECT_EQ(send(client_, server_, 1 << 20), size_t{1} << 20);
  EXPECT_EQ(send(server_, client_, 1 << 20), size_t{1} << 20);
  EXPECT_EQ(proxy_->splices().counters().translated, before);
  EXPECT_GT(proxy_->seat().counters()[FL_SPLICE_TRANSLATED], 20u);
  proxy_->splices().for_each([&](const nic::Splice& splice) {
    const auto flows = proxy_->splices().status(splice).flows;
    EXPECT_GE(flows[nic::Splice::kUp].bytes, size_t{1} << 20);
    EXPECT_EQ(splice.seat,
              GetParam().seat == nic::SeatChoice::kXdp ? SpliceSeat::kXdp : SpliceSeat::kTc);
  });
}

TEST_P(SpliceSeatTraffic, AGracefulCloseIsToldByTheKernelAndLeavesNoRule) {
  std::array<nic::SpliceFlow, 2> before;  // without what was relayed before
  proxy_->splices().for_each(
      [&](const nic::Splice& splice) { before = proxy_->splices().status(splice).flows; });
  EXPECT_EQ(send(client_, server_, 500), 500u);
  ::shutdown(client_.get(), SHUT_WR);
  EXPECT_TRUE(sees_end(server_));
  EXPECT_EQ(send(server_, client_, 1000), 1000u);
  ::shutdown(server_.get(), SHUT_WR);
  EXPECT_TRUE(sees_end(client_));
  ASSERT_TRUE(proxy_->run_until([&] { return proxy_->splices().size() == 0; }));
  ASSERT_EQ(proxy_->ended().size(), 1u);
  EXPECT_EQ(proxy_->ended()[0].end, nic::SpliceEnd::kClosed);
  EXPECT_EQ(proxy_->ended()[0].up.bytes, before[nic::Splice::kUp].bytes + 500);
  EXPECT_EQ(proxy_->ended()[0].down.bytes, before[nic::Splice::kDown].bytes + 1000);
  EXPECT_EQ(proxy_->seat().size(), 0u);
}

TEST_P(SpliceSeatTraffic, AResetReachesTheOtherEndAndLeavesNoRule) {
  const linger at_once{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(client_.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  client_.reset();
  uint8_t byte;
  EXPECT_TRUE(proxy_->run_until(
      [&] { return ::recv(server_.get(), &byte, 1, 0) < 0 && errno == ECONNRESET; }));
  ASSERT_TRUE(proxy_->run_until([&] { return proxy_->splices().size() == 0; }));
  ASSERT_EQ(proxy_->ended().size(), 1u);
  EXPECT_EQ(proxy_->ended()[0].end, nic::SpliceEnd::kResetByClient);
  EXPECT_EQ(proxy_->seat().size(), 0u);
}

TEST_P(SpliceSeatTraffic, WhatIsSplicedOutlivesTheProcessAndIsTakenOver) {
  proxy_.reset();  // as if it had been killed: rules and program stay
  std::vector<uint8_t> bytes(100, 'x');
  ASSERT_EQ(::send(client_.get(), bytes.data(), bytes.size(), 0), 100);
  pollfd waiting{.fd = server_.get(), .events = POLLIN, .revents = 0};
  ASSERT_EQ(::poll(&waiting, 1, 5000), 1);
  EXPECT_EQ(::recv(server_.get(), bytes.data(), bytes.size(), 0), 100);

  proxy_ = std::make_unique<Proxy>(options_, ours_);
  EXPECT_EQ(proxy_->splices().counters().adopted, 1u);
  EXPECT_EQ(proxy_->splices().size(), 1u);
  EXPECT_EQ(send(server_, client_, 100000), 100000u);
  ::shutdown(client_.get(), SHUT_WR);
  ::shutdown(server_.get(), SHUT_WR);
  EXPECT_TRUE(sees_end(server_));
  EXPECT_TRUE(sees_end(client_));
  ASSERT_TRUE(proxy_->run_until([&] { return proxy_->splices().size() == 0; }));
  EXPECT_EQ(proxy_->seat().size(), 0u);
}

TEST_P(SpliceSeatTraffic, ASpliceFollowsTheRoute) {
  const std::string mtu = "ip link set fl-b mtu 1400";
  namespaces_->run_in_b(mtu);
  ASSERT_TRUE(proxy_->run_until([&] { return proxy_->splices().counters().rewired > 0; }));
  proxy_->seat().for_each_record(
      [](const nic::SpliceRecord& record) { EXPECT_EQ(record.rule.mtu, 1400); });
  EXPECT_EQ(send(client_, server_, 1000), 1000u);
}

INSTANTIATE_TEST_SUITE_P(, SpliceSeatTraffic,
                         testing::Values(Case{false, true, nic::SeatChoice::kTc},
                                         Case{false, false, nic::SeatChoice::kTc},
                                         Case{true, true, nic::SeatChoice::kTc},
                                         Case{true, false, nic::SeatChoice::kTc},
                                         Case{false, false, nic::SeatChoice::kXdp},
                                         Case{true, false, nic::SeatChoice::kXdp}),
                         [](const testing::TestParamInfo<Case>& info) {
                           return std::string(info.param.ipv6 ? "Ipv6" : "Ipv4") +
                                  (info.param.offloads ? "OffloadsOn" : "OffloadsOff") +
                                  (info.param.seat == nic::SeatChoice::kXdp ? "Xdp" : "Tc");
                         });

}  // namespace
}  // namespace fairlead
