// Outgoing connections with several shards: whatever shard opens one, the answers of its peer, a
// kernel server in namespace A, come to that shard in B.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "nic/steering/steering.h"
#include "port/af_packet.h"
#include "port/netlink_router.h"
#include "socket/shard.h"
#include "tests/namespaces.h"

namespace fairlead {
namespace {

constexpr unsigned kShards = 2;
constexpr uint16_t kServerPort = 8080;
constexpr int kConnections = 50;  // of each shard; by chance all would be right with 2^-50
constexpr Duration kPatience = seconds(10);

struct Outcomes {
  int connected = 0;
  int failed = 0;
};

Task<void> open_one(Runtime runtime, Endpoint server, Outcomes& outcomes) {
  host::Stack::ConnectOptions options{
      .remote = server, .source = {}, .local_port = {}, .socket = {}};
  options.socket.connect_timeout = seconds(5);
  auto socket = co_await TcpSocket::connect(runtime, options);
  ++(socket ? outcomes.connected : outcomes.failed);
}

class OutgoingConnections : public testing::Test {
 protected:
  void SetUp() override {
    FAIRLEAD_REQUIRE_NAMESPACES();
    namespaces_ = std::make_unique<test::NamespacePair>();
    listen_in_a();
    directory_ = testing::TempDir() + "fairlead-outgoing-" + std::to_string(::getpid());
    steering_options_ = {.shards = kShards, .hash_seed = 42, .runtime_directory = directory_};
    auto steering = nic::Steering::attach("fl-b", steering_options_);
    ASSERT_TRUE(steering) << steering.error().to_string();
    steering_ = std::move(*steering);
    ASSERT_TRUE(steering_->add_local_address(*IpAddress::parse("10.77.0.2")));
    ASSERT_TRUE(steering_->set_local_ports({.first = 61000, .last = 65535}));
    open_shards();
  }
  void TearDown() override {
    shards_.clear();
    if (!directory_.empty()) std::filesystem::remove_all(directory_);
  }

  void listen_in_a() {
    namespaces_->enter_a();
    server_ = UniqueFd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in here{};
    here.sin_family = AF_INET;
    here.sin_port = htons(kServerPort);
    const auto* address = reinterpret_cast<const sockaddr*>(&here);
    ASSERT_EQ(::bind(server_.get(), address, sizeof here), 0);
    ASSERT_EQ(::listen(server_.get(), 4 * kConnections), 0);
    namespaces_->enter_b();
  }

  void open_shards() {
    auto ports = port::open_af_packet({.interface = "fl-b",
                                       .shards = kShards,
                                       .filter_fd = steering_->filter_fd(),
                                       .fanout_fd = steering_->fanout_fd()});
    ASSERT_TRUE(ports) << ports.error().to_string();
    for (unsigned index = 0; index < kShards; ++index) {
      const port::NetlinkRouter::Interface interface[] = {{.name = "fl-b", .port_index = 0}};
      auto router = port::NetlinkRouter::open(interface, monotonic_now());
      ASSERT_TRUE(router) << router.error().to_string();
      routers_.push_back(std::move(*router));
      ShardOptions options;
      options.stack.max_connections = 1024;
      options.stack.comes_here = [this, index](const FourTuple& tuple) {
        return nic::shard_of(tuple, steering_options_) == index;
      };
      std::vector<std::unique_ptr<port::Port>> mine;
      mine.push_back(std::move((*ports)[index]));
      shards_.push_back(std::make_unique<Shard>(options, std::move(mine), *routers_.back()));
    }
  }

  /// All shards' loops on this thread, until every connection has come to something.
  void run(const std::vector<Outcomes>& outcomes) {
    const Time until = monotonic_now() + kPatience;
    const auto done = [&] {
      for (const Outcomes& o : outcomes) {
        if (o.connected + o.failed < kConnections) return false;
      }
      return true;
    };
    while (!done() && monotonic_now() < until) {
      for (size_t i = 0; i < kShards; ++i) {
        static_cast<void>(routers_[i]->process(monotonic_now()));
        shards_[i]->turn(monotonic_now());
      }
    }
  }

  std::unique_ptr<test::NamespacePair> namespaces_;
  std::string directory_;
  UniqueFd server_;
  nic::SteeringOptions steering_options_;
  std::unique_ptr<nic::Steering> steering_;
  std::vector<std::unique_ptr<port::NetlinkRouter>> routers_;
  std::vector<std::unique_ptr<Shard>> shards_;
};

TEST_F(OutgoingConnections, AnswersComeToTheShardThatAsked) {
  const Endpoint server{*IpAddress::parse("10.77.0.1"), kServerPort};
  std::vector<Outcomes> outcomes(kShards);
  for (size_t i = 0; i < kShards; ++i) {
    for (int n = 0; n < kConnections; ++n) {
      ASSERT_TRUE(
          shards_[i]->scheduler().spawn(open_one(shards_[i]->runtime(), server, outcomes[i])));
    }
  }
  run(outcomes);
  for (const Outcomes& o : outcomes) {
    EXPECT_EQ(o.connected, kConnections);
    EXPECT_EQ(o.failed, 0);
  }
  for (auto& shard : shards_) shard->close();
}

}  // namespace
}  // namespace fairlead
