// ShardOptions::coalesce in real time: a shard in a thread of its own, a port that wakes it.
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "port/path.h"
#include "socket/shard.h"

namespace fairlead {
namespace {

/// Frames that are no packets of anybody's; how many there are is all that counts.
class WakingPort final : public port::Port {
 public:
  WakingPort() { info_.name = "waking"; }

  /// One frame comes. Any thread.
  void come() {
    uint64_t one = 1;
    ASSERT_EQ(write(waiting_.get(), &one, sizeof one), ssize_t{sizeof one});
  }
  uint64_t received() const { return received_; }
  uint64_t bursts() const { return bursts_; }

  const port::PortInfo& info() const override { return info_; }
  const port::PortCounters& counters() override { return counters_; }
  size_t receive(std::span<port::RxPacket> burst) override {
    uint64_t waiting = 0;
    if (read(waiting_.get(), &waiting, sizeof waiting) != sizeof waiting) return 0;
    size_t n = std::min<size_t>(waiting, burst.size());
    for (size_t i = 0; i < n; ++i) burst[i] = port::RxPacket{.frame = frame_};
    received_ += n;
    ++bursts_;
    return n;
  }
  void release() override {}
  size_t transmit(std::span<const port::TxPacket> packets) override { return packets.size(); }
  int poll_fd() const override { return waiting_.get(); }

 private:
  port::PortInfo info_;
  port::PortCounters counters_;
  UniqueFd waiting_{eventfd(0, EFD_NONBLOCK)};
  std::array<uint8_t, 60> frame_{};
  std::atomic<uint64_t> received_ = 0;
  std::atomic<uint64_t> bursts_ = 0;
};

class NoRoute final : public port::Router {
 public:
  Result<port::Path> resolve(const IpAddress&) override {
    return fail(Errc::kNetworkUnreachable, "none");
  }
  std::optional<IpAddress> source_for(const IpAddress&) override { return {}; }
  std::optional<uint16_t> mtu_for(const IpAddress&) const override { return {}; }
  uint64_t generation() const override { return 1; }
  bool is_local(const IpAddress&) const override { return false; }
};

class CoalescingShard {
 public:
  explicit CoalescingShard(Duration coalesce) {
    std::vector<std::unique_ptr<port::Port>> ports;
    ports.push_back(std::make_unique<WakingPort>());
    port_ = static_cast<WakingPort*>(ports[0].get());
    ShardOptions options;
    options.coalesce = coalesce;
    shard_ = std::make_unique<Shard>(options, std::move(ports), router_);
    thread_ = std::thread([this] { shard_->run(); });
  }
  ~CoalescingShard() { stop(); }

  WakingPort& port() { return *port_; }
  void wait_for(uint64_t received) {
    while (port_->received() < received) std::this_thread::yield();
  }
  /// What it has counted, at its end.
  const ShardCounters& stop() {
    shard_->stop();
    if (thread_.joinable()) thread_.join();
    return shard_->counters();
  }

 private:
  NoRoute router_;
  WakingPort* port_;
  std::unique_ptr<Shard> shard_;
  std::thread thread_;
};

constexpr Duration kPause = milliseconds(5);

TEST(ShardCoalesce, BurstsAreAPauseApart) {
  CoalescingShard shard(kPause);
  const Time start = monotonic_now();
  for (uint64_t i = 0; i < 40; ++i) {
    shard.port().come();
    std::this_thread::sleep_for(milliseconds(1));
  }
  shard.wait_for(40);
  const auto pauses = static_cast<uint64_t>((monotonic_now() - start) / kPause);
  EXPECT_LE(shard.port().bursts(), pauses + 1);
  EXPECT_GE(shard.stop().pauses, shard.port().bursts() - 1);
}

TEST(ShardCoalesce, AnIdleShardSleepsUntilSomethingComes) {
  CoalescingShard shard(kPause);
  for (uint64_t i = 1; i <= 3; ++i) {
    std::this_thread::sleep_for(4 * kPause);
    shard.port().come();
    shard.wait_for(i);
  }
  std::this_thread::sleep_for(4 * kPause);
  const ShardCounters& counters = shard.stop();
  EXPECT_GE(counters.pauses, 1u);
  EXPECT_LE(counters.pauses, 3u);
  EXPECT_GE(counters.sleeps, 1u);
  EXPECT_LE(counters.sleeps, counters.pauses + 1);
}

TEST(ShardCoalesce, WithoutItThereAreNoPauses) {
  CoalescingShard shard(Duration::zero());
  for (uint64_t i = 1; i <= 3; ++i) {
    shard.port().come();
    shard.wait_for(i);
  }
  EXPECT_EQ(shard.stop().pauses, 0u);
}

}  // namespace
}  // namespace fairlead
