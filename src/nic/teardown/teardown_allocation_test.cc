// Once the pools have grown, a flow through teardown allocates nothing. This binary counts every
// operator new.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <cstdlib>
#include <new>

#include "nic/teardown/teardown.h"
#include "wire/tcp.h"

namespace {
std::atomic<uint64_t> allocations{0};
}  // namespace

void* operator new(size_t size) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  void* block = std::malloc(size == 0 ? 1 : size);
  if (block == nullptr) std::abort();
  return block;
}
void operator delete(void* block) noexcept { std::free(block); }
void operator delete(void* block, size_t) noexcept { std::free(block); }

namespace fairlead::nic {
namespace {

constexpr uint32_t kFlows = 200;
constexpr std::array<uint8_t, 64> kAnswer{};
const std::array<ByteSpan, 1> kData{ByteSpan(kAnswer)};

/// `kFlows` connections closed by us, then by their peers, and their TIME-WAIT.
void round_of_flows(Teardown& teardown, Time& now) {
  static port::PacketBurst burst;
  for (uint16_t port = 1; port <= kFlows; ++port) {
    const FourTuple tuple{{IpAddress::v4(1), 80}, {IpAddress::v4(2), port}};
    const Handover handover{.tuple = tuple,
                            .local_mac = {},
                            .next_hop = {},
                            .mss = 1460,
                            .window = 1000,
                            .receive_window = 1000,
                            .send_window = 1000,
                            .rto = milliseconds(200),
                            .snd_una = SeqNum(1),
                            .snd_nxt = SeqNum(1),
                            .rcv_nxt = SeqNum(1),
                            .timestamps = wire::Timestamps{1, 2},
                            .data = kData};
    ASSERT_TRUE(teardown.take(handover, now).has_value());
    if (burst.size() == port::PacketBurst::kCapacity) burst.clear();
    teardown.transmit(burst, now);
    TeardownSegment fin;
    fin.tuple = tuple;
    fin.seq = SeqNum(1);
    fin.ack = SeqNum(66);
    fin.flags = wire::tcp_flag::kFin | wire::tcp_flag::kAck;
    fin.timestamps = wire::Timestamps{3, 1};
    teardown.on_segment(fin, now);
    burst.clear();
    teardown.transmit(burst, now);
    burst.clear();
    now += microseconds(100);
    teardown.on_timer(now);
  }
  now += seconds(61);
  teardown.on_timer(now);
  ASSERT_EQ(teardown.size(), 0u);
}

TEST(TeardownAllocation, AFlowAllocatesNothing) {
  Time now{seconds(1)};
  Teardown teardown({.max_flows = 1000, .max_held_bytes = 1 << 20}, SipKey{1, 2}, nullptr, now);
  round_of_flows(teardown, now);
  const uint64_t before = allocations.load();
  for (int i = 0; i < 3; ++i) round_of_flows(teardown, now);
  EXPECT_EQ(allocations.load(), before);
  EXPECT_EQ(teardown.counters().closed, 4 * kFlows);
}

}  // namespace
}  // namespace fairlead::nic
