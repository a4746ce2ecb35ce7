// The clients against a shard with an echo service, on one thread and a clock of the test's.
#include "bench/short_connections/client_generator.h"

#include <gtest/gtest.h>

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "bench/short_connections/echo_service.h"
#include "bench/short_connections/host_core.h"
#include "port/memory.h"
#include "socket/shard.h"

namespace fairlead::bench {
namespace {

constexpr Endpoint kServer{IpAddress::v4(0x0a000001), 7};
constexpr MacAddress kHostMac{{2, 0, 0, 0, 0, 1}};
constexpr MacAddress kClientMac{{2, 0, 0, 0, 0, 2}};

class Bench {
 public:
  /// What becomes of a frame from the server: nullopt: it is lost.
  using Wire = std::function<std::optional<std::vector<uint8_t>>(std::vector<uint8_t>)>;

  explicit Bench(ClientOptions options) : clients_(complete(options), now_) {
    port::PortInfo info;
    info.mac = kHostMac;
    info.checksum_offload = true;
    info.max_gso_bytes = 32 * 1024;
    auto pair = port::MemoryPort::make_pair(info, {}, 1 << 14);
    server_end_ = pair.a.get();
    wire_ = std::move(pair.b);
    std::vector<std::unique_ptr<port::Port>> ports;
    ports.push_back(std::move(pair.a));
    shard_ = std::make_unique<Shard>(ShardOptions{}, std::move(ports), router_);
    const size_t bytes = options.per_connection > 0 && !options.client_closes
                             ? size_t{options.message} * options.per_connection
                             : SIZE_MAX;
    service_ =
        *EchoService::start(shard_->runtime(), {.endpoint = kServer, .bytes = bytes, .listen = {}});
  }
  ~Bench() { shard_->scheduler().cancel_all(); }

  void set_wire(Wire wire) { on_wire_ = std::move(wire); }
  const ClientCounters& counters() const { return clients_.counters(); }
  const host::Stack& stack() const { return shard_->stack(); }

  /// A millisecond each, in which every packet under way arrives.
  void run(int rounds) {
    for (int i = 0; i < rounds; ++i, now_ += milliseconds(1)) {
      clients_.on_timer(now_);
      send();
      shard_->turn(now_);
      receive();
    }
  }

 private:
  static ClientOptions complete(ClientOptions options) {
    options.server = kServer;
    options.server_mac = kHostMac;
    options.mac = kClientMac;
    return options;
  }
  void send() {
    std::array<uint8_t, ClientGenerator::kMaxFrame> frame;
    for (int i = 0; i < 4096; ++i) {
      const size_t size = clients_.next_frame(frame);
      if (size == 0) return;
      ASSERT_TRUE(server_end_->inject(ByteSpan(frame).first(size), port::ChecksumState::kVerified));
    }
  }
  void receive() {
    std::array<port::RxPacket, 64> packets;
    while (const size_t count = wire_->receive(packets)) {
      for (size_t i = 0; i < count; ++i) {
        const ByteSpan frame = packets[i].frame;
        const auto arrived = on_wire_({frame.begin(), frame.end()});
        if (arrived) clients_.on_frame(*arrived);
      }
      wire_->release();
    }
  }

  Time now_ = monotonic_now() + seconds(1);
  ClientGenerator clients_;
  OneHop router_{
      {.source = kServer.address, .local_mac = kHostMac, .next_hop = kClientMac, .gateway = {}}};
  port::MemoryPort* server_end_ = nullptr;
  std::unique_ptr<port::MemoryPort> wire_;
  std::unique_ptr<Shard> shard_;
  std::unique_ptr<EchoService> service_;
  Wire on_wire_ = [](std::vector<uint8_t> frame) { return std::optional(std::move(frame)); };
};

constexpr size_t kTcpAt = 14 + 20;

bool has_payload(const std::vector<uint8_t>& frame) {
  return frame.size() > kTcpAt + (frame[kTcpAt + 12] >> 4) * 4u;
}

struct Case {
  uint32_t message;
  uint32_t per_connection;
  bool client_closes;
  bool separate_acks;
};

class ClientGeneratorCases : public testing::TestWithParam<Case> {};

INSTANTIATE_TEST_SUITE_P(All, ClientGeneratorCases,
                         testing::Values(Case{64, 1, false, false}, Case{64, 1, true, false},
                                         Case{64, 1, false, true}, Case{64, 1, true, true},
                                         Case{1, 3, false, false}, Case{8192, 1, false, false},
                                         Case{8192, 2, true, true}));

TEST_P(ClientGeneratorCases, EveryConnectionEndsInGoodOrderAndNobodyComplains) {
  const Case c = GetParam();
  Bench bench({.server = {},
               .server_mac = {},
               .mac = {},
               .clients = 32,
               .message = c.message,
               .per_connection = c.per_connection,
               .client_closes = c.client_closes,
               .separate_acks = c.separate_acks});
  bench.run(400);
  EXPECT_EQ(bench.counters().errors() + bench.counters().late(), 0u);
  EXPECT_GE(bench.counters().connections, 32u * 10);
  EXPECT_GE(bench.counters().transactions, bench.counters().connections * c.per_connection);
  const host::Counters& host = bench.stack().counters();
  EXPECT_EQ(host.resets_sent + host.drop_out_of_window + host.drop_bad_ack + host.drop_paws, 0u);
  EXPECT_EQ(host.retransmitted_segments + host.challenge_acks_sent, 0u);
  EXPECT_EQ(bench.stack().time_wait_count() > 0, !c.client_closes);
  EXPECT_LE(bench.stack().connection_count(), 32u);
}

TEST(ClientGenerator, ConnectionsWithoutAnEndStayTheSame) {
  Bench bench({.server = {}, .server_mac = {}, .mac = {}, .clients = 32, .per_connection = 0});
  bench.run(100);
  EXPECT_EQ(bench.counters().errors() + bench.counters().late(), 0u);
  EXPECT_EQ(bench.counters().connections, 0u);
  EXPECT_GE(bench.counters().transactions, 32u * 40);
  EXPECT_EQ(bench.stack().counters().connections_accepted, 32u);
}

TEST(ClientGenerator, AWrongByteIsNoticed) {
  Bench bench({.server = {}, .server_mac = {}, .mac = {}, .clients = 1});
  bench.set_wire([&](std::vector<uint8_t> frame) {
    if (has_payload(frame)) frame.back() ^= 1;
    return std::optional(std::move(frame));
  });
  bench.run(20);
  EXPECT_EQ(bench.counters().wrong_bytes, 1u);
  EXPECT_EQ(bench.counters().transactions, 0u);
}

TEST(ClientGenerator, ALostFrameIsNoticedAndTheTransactionGoesOn) {
  Bench bench({.server = {}, .server_mac = {}, .mac = {}, .clients = 1});
  bool lost = false;
  bench.set_wire([&](std::vector<uint8_t> frame) -> std::optional<std::vector<uint8_t>> {
    if (lost || !has_payload(frame)) return frame;
    lost = true;
    return std::nullopt;
  });
  bench.run(3000);
  EXPECT_TRUE(lost);
  EXPECT_GT(bench.stack().counters().retransmitted_segments, 0u);
  EXPECT_GT(bench.counters().transactions, 100u);
  EXPECT_EQ(bench.counters().errors(), 0u);
}

TEST(ClientGenerator, ClientsWithoutAnswerAreGivenUpAfterSomeTries) {
  Bench bench({.server = {}, .server_mac = {}, .mac = {}, .clients = 4, .patience = seconds(1)});
  bench.set_wire([](std::vector<uint8_t>) { return std::nullopt; });
  bench.run(5500);
  EXPECT_EQ(bench.counters().unanswered, 4u);
  EXPECT_EQ(bench.counters().retries, 4u * ClientGenerator::kTries);
  EXPECT_EQ(bench.counters().transactions, 0u);
}

TEST(ClientGenerator, WhatIsNoSegmentForAClientIsCounted) {
  ClientGenerator clients({.server = kServer, .server_mac = {}, .mac = {}, .clients = 1}, Time{});
  const std::vector<uint8_t> rubbish(100, 0x45);
  for (size_t size = 0; size <= rubbish.size(); ++size) {
    clients.on_frame(ByteSpan(rubbish).first(size));
  }
  EXPECT_EQ(clients.counters().malformed, rubbish.size() + 1);
}

}  // namespace
}  // namespace fairlead::bench
