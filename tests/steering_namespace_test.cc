// Steering with live traffic: a kernel client in namespace A, Fairlead's packet sockets and the
// kernel side by side in namespace B, on one interface and address.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "base/unique_fd.h"
#include "nic/steering/steering.h"
#include "port/af_packet.h"
#include "tests/namespaces.h"
#include "wire/address.h"

namespace fairlead {
namespace {

using nic::AttachMode;
using nic::Steering;
using test::NamespacePair;

constexpr uint16_t kOurPort = 8080;
constexpr uint16_t kKernelPort = 8081;
constexpr unsigned kShards = 2;
/// For an answer that will come: the machine may be busy.
constexpr Duration kPatience = seconds(10);

struct Case {
  bool ipv6;
  bool offloads;
  AttachMode attach;
};

struct Address {
  sockaddr_storage storage{};
  socklen_t size = 0;
};

Address address_of(const Endpoint& endpoint) {
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

UniqueFd kernel_socket(bool ipv6, int type) {
  return UniqueFd(::socket(ipv6 ? AF_INET6 : AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
}

/// The errno a connect() from the calling thread's namespace ends with; ETIMEDOUT when nobody has
/// answered after `patience`.
int connect_to(const Endpoint& remote, uint16_t local_port, Duration patience) {
  const UniqueFd fd = kernel_socket(remote.address.is_v6(), SOCK_STREAM);
  const int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  const IpAddress any = remote.address.is_v4() ? IpAddress::v4(0) : IpAddress();
  const Address from = address_of({any, local_port});
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&from.storage), from.size) != 0) {
    return errno;
  }
  const Address to = address_of(remote);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&to.storage), to.size) == 0) return 0;
  if (errno != EINPROGRESS) return errno;
  pollfd waiting{.fd = fd.get(), .events = POLLOUT, .revents = 0};
  const auto timeout = std::chrono::duration_cast<milliseconds>(patience).count();
  if (::poll(&waiting, 1, static_cast<int>(timeout)) == 0) return ETIMEDOUT;
  int error = 0;
  socklen_t size = sizeof error;
  ::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &size);
  return error;
}

class SteeringTraffic : public testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    FAIRLEAD_REQUIRE_NAMESPACES();
    namespaces_.emplace();
    namespaces_->set_offloads(GetParam().offloads);
    directory_ = testing::TempDir() + "fairlead-traffic-" + std::to_string(::getpid());
    ours_ = *IpAddress::parse(GetParam().ipv6 ? "fd77::2" : "10.77.0.2");
    client_ = *IpAddress::parse(GetParam().ipv6 ? "fd77::1" : "10.77.0.1");
    options_ = {.attach = GetParam().attach,
                .shards = kShards,
                .hash_seed = 42,
                .runtime_directory = directory_};
    auto steering = Steering::attach("fl-b", options_);
    ASSERT_TRUE(steering) << steering.error().to_string();
    steering_ = std::move(*steering);
    ASSERT_TRUE(steering_->add_local_address(ours_));
    auto ports = port::open_af_packet({.interface = "fl-b",
                                       .shards = kShards,
                                       .filter_fd = steering_->filter_fd(),
                                       .fanout_fd = steering_->fanout_fd()});
    ASSERT_TRUE(ports) << ports.error().to_string();
    ports_ = std::move(*ports);
    start_kernel_server();
  }
  void TearDown() override {
    if (!directory_.empty()) std::filesystem::remove_all(directory_);
  }

  void start_kernel_server() {
    kernel_server_ = kernel_socket(GetParam().ipv6, SOCK_STREAM);
    const Address here = address_of({ours_, kKernelPort});
    ASSERT_EQ(
        ::bind(kernel_server_.get(), reinterpret_cast<const sockaddr*>(&here.storage), here.size),
        0);
    ASSERT_EQ(::listen(kernel_server_.get(), 16), 0);
  }
  int client_connects(uint16_t to_port, Duration patience) {
    namespaces_->enter_a();
    const int error = connect_to({ours_, to_port}, 0, patience);
    namespaces_->enter_b();
    return error;
  }
  /// What a connect() to a port which the kernel speaks for ends with.
  int kernel_answer(uint16_t to_port) { return client_connects(to_port, kPatience); }
  /// True when nobody answers a connect(): the host stack has it, and there is none in this test.
  bool hears_nothing(uint16_t to_port) {
    return client_connects(to_port, milliseconds(200)) == ETIMEDOUT;
  }
  /// The frames a shard's port has, copied.
  std::vector<std::vector<uint8_t>> frames(unsigned shard) {
    std::vector<std::vector<uint8_t>> out;
    std::array<port::RxPacket, 16> burst;
    while (const size_t n = ports_[shard]->receive(burst)) {
      for (size_t i = 0; i < n; ++i) out.emplace_back(burst[i].frame.begin(), burst[i].frame.end());
      ports_[shard]->release();
    }
    return out;
  }

  std::optional<NamespacePair> namespaces_;
  std::string directory_;
  nic::SteeringOptions options_;
  IpAddress ours_;
  IpAddress client_;
  std::unique_ptr<Steering> steering_;
  std::vector<std::unique_ptr<port::Port>> ports_;
  UniqueFd kernel_server_;
};

TEST_P(SteeringTraffic, SynForOurListenerReachesThePortAndNotTheKernel) {
  EXPECT_EQ(kernel_answer(kOurPort), ECONNREFUSED);  // nobody's yet: the kernel answers RST
  ASSERT_TRUE(steering_->add_listener({ours_, kOurPort}));
  EXPECT_TRUE(hears_nothing(kOurPort));  // ours now: no RST, and nobody here to answer
  EXPECT_GE(frames(0).size() + frames(1).size(), 1u);  // more when the SYN was repeated
  EXPECT_GE(steering_->counters().taken_listener, 1u);
  ASSERT_TRUE(steering_->remove_listener({ours_, kOurPort}));
  EXPECT_EQ(kernel_answer(kOurPort), ECONNREFUSED);
}

TEST_P(SteeringTraffic, TheKernelsOwnTrafficIsUntouchedAndUnseen) {
  const IpAddress any = GetParam().ipv6 ? IpAddress() : IpAddress::v4(0);
  ASSERT_TRUE(steering_->add_listener({any, kOurPort}));
  EXPECT_EQ(kernel_answer(kKernelPort), 0);
  namespaces_->run_in_a("ping -q -c 3 -i 0.01 -W 1 " + ours_.to_string() + " >/dev/null");
  // Connections the kernel opens itself, from B: refused by A's kernel, so the RST came back.
  EXPECT_EQ(connect_to({client_, 9}, 0, kPatience), ECONNREFUSED);
  EXPECT_EQ(frames(0).size() + frames(1).size(), 0u);
  EXPECT_GE(steering_->counters().passed_not_ours, 3u);
}

TEST_P(SteeringTraffic, PacketsToOurLocalPortsReachThePort) {
  EXPECT_EQ(kernel_answer(61234), ECONNREFUSED);
  ASSERT_TRUE(steering_->set_local_ports({61000, 61999}));
  EXPECT_TRUE(hears_nothing(61234));
  EXPECT_GE(frames(0).size() + frames(1).size(), 1u);  // more when the SYN was repeated
  EXPECT_GE(steering_->counters().taken_local_port, 1u);
}

TEST_P(SteeringTraffic, EachConnectionArrivesOnTheShardThatUserSpacePredicts) {
  ASSERT_TRUE(steering_->add_listener({ours_, kOurPort}));
  std::array<size_t, kShards> expected{};
  constexpr uint16_t kFirst = 40000;
  constexpr uint16_t kConnections = 20;
  namespaces_->enter_a();
  for (uint16_t port = kFirst; port < kFirst + kConnections; ++port) {
    EXPECT_EQ(connect_to({ours_, kOurPort}, port, milliseconds(1)), ETIMEDOUT);
    ++expected.at(nic::shard_of({{ours_, kOurPort}, {client_, port}}, options_));
  }
  namespaces_->enter_b();
  ::poll(nullptr, 0, 50);
  EXPECT_EQ(frames(0).size(), expected[0]);
  EXPECT_EQ(frames(1).size(), expected[1]);
  EXPECT_GT(expected[0], 0u);
  EXPECT_GT(expected[1], 0u);
}

TEST_P(SteeringTraffic, DetachedListenerIsTheKernelsAgain) {
  ASSERT_TRUE(steering_->add_listener({ours_, kOurPort}));
  EXPECT_TRUE(hears_nothing(kOurPort));
  ports_.clear();
  steering_.reset();
  EXPECT_EQ(kernel_answer(kOurPort), ECONNREFUSED);
}

INSTANTIATE_TEST_SUITE_P(
    , SteeringTraffic,
    testing::Values(Case{false, true, AttachMode::kTcx}, Case{false, false, AttachMode::kTcx},
                    Case{true, true, AttachMode::kTcx}, Case{true, false, AttachMode::kTcx},
                    Case{false, true, AttachMode::kClsact}, Case{true, true, AttachMode::kClsact}),
    [](const testing::TestParamInfo<Case>& info) {
      return std::string(info.param.ipv6 ? "Ipv6" : "Ipv4") +
             (info.param.offloads ? "OffloadsOn" : "OffloadsOff") +
             (info.param.attach == AttachMode::kTcx ? "Tcx" : "Clsact");
    });

}  // namespace
}  // namespace fairlead
