// ShardPair: two shards in one process, joined by memory ports, on a clock of the test's.
//
//    client ── MemoryPort ═══ MemoryPort ── server
//    192.0.2.1                              192.0.2.2
#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <vector>

#include "base/check.h"
#include "port/memory.h"
#include "port/path.h"
#include "socket/shard.h"
#include "socket/tcp_socket.h"

namespace fairlead {

class ShardPair {
 public:
  static constexpr uint16_t kPort = 7;

  /// `queue`: frames under way, each direction.
  explicit ShardPair(const host::StackConfig& stack = {},
                     size_t queue = port::MemoryPort::kDefaultQueue) {
    auto ports = port::MemoryPort::make_pair(info(1), info(2), queue);
    client_ = make(std::move(ports.a), client_router_, stack);
    server_ = make(std::move(ports.b), server_router_, stack);
  }

  Shard& client() { return *client_; }
  Shard& server() { return *server_; }
  Runtime client_runtime() { return {client_->stack(), client_->scheduler()}; }
  Runtime server_runtime() { return {server_->stack(), server_->scheduler()}; }
  Endpoint server_endpoint() const { return {address(2), kPort}; }
  host::Stack::ConnectOptions to_server() const {
    return {.remote = server_endpoint(), .source = {}, .local_port = {}, .socket = {}};
  }
  Time now() const { return now_; }

  /// Both take turns until neither has anything to do, at every millisecond.
  void run(Duration duration) {
    for (Time until = now_ + duration; now_ <= until; now_ += milliseconds(1)) settle();
  }
  /// Both take turns, time stands still.
  void settle() {
    int rounds = 0;
    bool busy = true;
    while (busy) {
      bool client_busy = client_->turn(now_);
      busy = server_->turn(now_) || client_busy || is_due(*client_) || is_due(*server_);
      ++rounds;
      CHECK(rounds < 10'000);
    }
  }
  /// Minutes later, when every timer has had its time, nothing may be left of connections.
  bool nothing_left() {
    for (int i = 0; i < 200; ++i, now_ += seconds(1)) settle();
    return is_empty(*client_) && is_empty(*server_);
  }

 private:
  /// The other end is the next hop to everywhere.
  class OneHop final : public port::Router {
   public:
    explicit OneHop(uint8_t id) : id_(id) {}
    Result<port::Path> resolve(const IpAddress&) override {
      port::Path path;
      path.source = address(id_);
      path.local_mac = MacAddress{{2, 0, 0, 0, 0, id_}};
      path.next_hop = MacAddress{{2, 0, 0, 0, 0, static_cast<uint8_t>(3 - id_)}};
      path.gateway = address(static_cast<uint8_t>(3 - id_));
      return path;
    }
    std::optional<IpAddress> source_for(const IpAddress&) override { return address(id_); }
    std::optional<uint16_t> mtu_for(const IpAddress&) const override { return 1500; }
    uint64_t generation() const override { return 1; }
    bool is_local(const IpAddress& a) const override { return a == address(id_); }

   private:
    uint8_t id_;
  };

  static IpAddress address(uint8_t id) { return IpAddress::v4(0xc0000200u + id); }
  static port::PortInfo info(uint8_t id) {
    port::PortInfo info;
    info.name = "memory";
    info.mac = MacAddress{{2, 0, 0, 0, 0, id}};
    info.checksum_offload = true;
    return info;
  }
  static std::unique_ptr<Shard> make(std::unique_ptr<port::Port> port, port::Router& router,
                                     const host::StackConfig& stack) {
    std::vector<std::unique_ptr<port::Port>> ports;
    ports.push_back(std::move(port));
    ShardOptions options;
    options.stack = stack;
    return std::make_unique<Shard>(options, std::move(ports), router);
  }
  /// Somebody was made ready at the end of the turn.
  bool is_due(Shard& shard) const {
    auto due = [this](std::optional<Time> next) { return next && *next <= now_; };
    return due(shard.scheduler().next_deadline()) || due(shard.stack().next_deadline());
  }
  static bool is_empty(Shard& shard) {
    const host::Stack& stack = shard.stack();
    return stack.connection_count() == 0 && stack.time_wait_count() == 0 &&
           stack.buffer_bytes() == 0 && stack.sent_run_count() == 0 &&
           shard.scheduler().task_count() == 0 && shard.scheduler().timers().size() == 0;
  }

  OneHop client_router_{1};
  OneHop server_router_{2};
  std::unique_ptr<Shard> client_;
  std::unique_ptr<Shard> server_;
  Time now_ = monotonic_now() + seconds(1);  // the shards' own clock began before
};

}  // namespace fairlead
