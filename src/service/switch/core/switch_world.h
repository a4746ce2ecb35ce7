// SwitchWorld: a client, a switch and servers, three shards in one process on a clock of the
// test's.
//
//   client ═══ switch ═══ servers
//   192.0.2.1  192.0.2.2  198.51.100.11 … 13, port 80, and nobody at .99
//              198.51.100.2
//
// Everything is the product's own but the wires: TCP, coroutines, the switch.
#pragma once

#include <algorithm>
#include <array>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "port/memory.h"
#include "port/path.h"
#include "service/switch/core/switch.h"
#include "socket/shard.h"
#include "socket/timeout.h"

namespace fairlead::l7 {

class SwitchWorld {
 public:
  static constexpr IpAddress kClient = IpAddress::v4(0xc0000201);
  static constexpr IpAddress kFront = IpAddress::v4(0xc0000202);
  static constexpr IpAddress kBack = IpAddress::v4(0xc6336402);
  static constexpr uint32_t kServers = 0xc6336400;
  static constexpr Endpoint kListener{kFront, 8080};

  static Endpoint server(uint32_t last) { return {IpAddress::v4(kServers + last), 80}; }

  /// `stack` is the switch's.
  explicit SwitchWorld(const host::StackConfig& stack = {}) {
    auto front = port::MemoryPort::make_pair(info(1), info(2));
    auto back = port::MemoryPort::make_pair(info(3), info(4));
    std::vector<std::unique_ptr<port::Port>> client, middle, servers;
    client.push_back(std::move(front.a));
    middle.push_back(std::move(front.b));
    middle.push_back(std::move(back.a));
    servers.push_back(std::move(back.b));
    client_ = std::make_unique<Shard>(ShardOptions{}, std::move(client), client_router_);
    ShardOptions options;
    options.stack = stack;
    middle_ = std::make_unique<Shard>(options, std::move(middle), middle_router_);
    servers_ = std::make_unique<Shard>(ShardOptions{}, std::move(servers), server_router_);
  }
  ~SwitchWorld() {
    for (auto* shard : {&client_, &middle_, &servers_}) (*shard)->scheduler().cancel_all();
    switch_.reset();
    listeners_.clear();
  }

  /// One virtual server at kListener whose pool has these servers.
  static SwitchOptions options(std::vector<uint32_t> servers) {
    SwitchOptions o;
    PoolOptions pool;
    pool.pool.name = "own";
    for (uint32_t last : servers) pool.pool.servers.push_back({.endpoint = server(last)});
    pool.health_checks.resize(servers.size());
    o.pools.push_back(std::move(pool));
    VirtualServerOptions v;
    v.listen = {kListener};
    v.pool = "own";
    o.virtual_servers.push_back(std::move(v));
    return o;
  }

  void start(SwitchOptions options) {
    auto made = Switch::start(middle_->runtime(), std::move(options), 1);
    CHECK(made.has_value());
    switch_ = std::move(*made);
  }
  Switch& sut() { return *switch_; }
  const host::Stack& stack() { return middle_->stack(); }

  /// What a server does with one connection.
  using Behaviour = std::function<Task<void>(TcpSocket)>;
  void serve(uint32_t last, Behaviour behaviour) {
    auto listener = TcpListener::listen(servers_->runtime(), server(last), {});
    CHECK(listener.has_value());
    listeners_.push_back(std::move(*listener));
    CHECK(servers_->scheduler().spawn(
        accept_all(*listeners_.back(), servers_->scheduler(), std::move(behaviour))));
  }
  void stop_serving() { listeners_.clear(); }
  /// From now on no packet comes from the client any more, not even an ACK.
  void unplug_client() { client_is_there_ = false; }
  /// The route to the servers has another MTU from now on.
  void set_server_mtu(uint16_t mtu) { middle_router_.set_mtu(1, mtu); }

  Runtime client_runtime() { return client_->runtime(); }
  void spawn(Task<void> task) { CHECK(client_->scheduler().spawn(std::move(task))); }

  void run(Duration duration) {
    for (const Time until = now_ + duration; now_ <= until; now_ += milliseconds(5)) settle();
  }

  // ---- clients and servers ----

  /// Reads until `end` has been read; false when the stream ended or broke before.
  static Task<bool> read_until(TcpSocket& socket, std::string_view end, std::string& into) {
    std::array<uint8_t, 4096> buffer;
    while (into.find(end) == std::string::npos) {
      Result<size_t> n = co_await socket.read(buffer);
      if (!n || *n == 0) co_return false;
      into.append(buffer.begin(), buffer.begin() + static_cast<ptrdiff_t>(*n));
    }
    co_return true;
  }
  static Task<bool> write(TcpSocket& socket, std::string_view text) {
    co_return (
        co_await socket.write_all({reinterpret_cast<const uint8_t*>(text.data()), text.size()}))
        .has_value();
  }
  /// Answers every request head with `answer`, until the client closes.
  static Behaviour answering(std::string answer, std::string* heard = nullptr) {
    return
        [answer, heard](TcpSocket socket) { return answer_all(std::move(socket), answer, heard); };
  }
  /// Sends all of `request` and reads until the stream ends. How it ended is appended: "<eof>" or
  /// "<reset>".
  Task<void> ask(std::string request, std::string& response) {
    auto socket = co_await TcpSocket::connect(
        client_runtime(), {.remote = kListener, .source = {}, .local_port = {}, .socket = {}});
    if (!socket) {
      response = "<no connection>";
      co_return;
    }
    co_await write(*socket, request);
    std::array<uint8_t, 4096> buffer;
    while (true) {
      Result<size_t> n = co_await socket->read(buffer);
      if (!n) response += "<reset>";
      if (n && *n == 0) response += "<eof>";
      if (!n || *n == 0) break;
      response.append(buffer.begin(), buffer.begin() + static_cast<ptrdiff_t>(*n));
    }
  }
  /// ask(), run to its end.
  std::string asked(std::string request, Duration within = seconds(5)) {
    std::string response;
    spawn(ask(std::move(request), response));
    run(within);
    return response;
  }

 private:
  class Network final : public port::Router {
   public:
    Network(std::vector<std::pair<IpAddress, uint8_t>> own, uint8_t mac)
        : own_(std::move(own)), mac_(mac) {}
    Result<port::Path> resolve(const IpAddress& remote) override {
      const auto& [address, index] = way_to(remote);
      port::Path path;
      path.source = address;
      path.local_mac = MacAddress{{2, 0, 0, 0, 0, mac_}};
      path.next_hop = MacAddress{{2, 0, 0, 0, 0, 0x77}};
      path.gateway = remote;
      path.port_index = index;
      path.mtu = mtu_[index];
      return path;
    }
    std::optional<IpAddress> source_for(const IpAddress& remote) override {
      return way_to(remote).first;
    }
    std::optional<uint16_t> mtu_for(const IpAddress& remote) const override {
      return mtu_[way_to(remote).second];
    }
    uint64_t generation() const override { return generation_; }
    void set_mtu(uint8_t index, uint16_t mtu) {
      mtu_[index] = mtu;
      ++generation_;
    }
    bool is_local(const IpAddress& a) const override {
      return std::ranges::any_of(own_, [&](const auto& own) { return own.first == a; });
    }

   private:
    /// Same /24, else the first.
    const std::pair<IpAddress, uint8_t>& way_to(const IpAddress& remote) const {
      for (const auto& own : own_) {
        if (own.first.v4_value() >> 8 == remote.v4_value() >> 8) return own;
      }
      return own_.front();
    }
    std::vector<std::pair<IpAddress, uint8_t>> own_;
    std::array<uint16_t, 2> mtu_{1500, 1500};  // by port
    uint64_t generation_ = 1;
    uint8_t mac_;
  };

  static port::PortInfo info(uint8_t id) {
    port::PortInfo info;
    info.name = "memory";
    info.mac = MacAddress{{2, 0, 0, 0, 0, id}};
    info.checksum_offload = true;
    info.max_gso_bytes = 65535;
    return info;
  }
  static Task<void> accept_all(TcpListener& listener, Scheduler& scheduler, Behaviour behaviour) {
    while (true) {
      TcpSocket socket = co_await listener.accept();
      if (!socket.is_open()) co_return;
      CHECK(scheduler.spawn(behaviour(std::move(socket))));
    }
  }
  static Task<void> answer_all(TcpSocket socket, std::string answer, std::string* heard) {
    while (true) {
      std::string request;
      const bool whole = co_await read_until(socket, "\r\n\r\n", request);
      if (heard != nullptr) *heard += request;
      if (!whole || !co_await write(socket, answer)) co_return;
    }
  }
  void settle() {
    bool busy = true;
    for (int rounds = 0; busy; ++rounds) {
      CHECK(rounds < 100'000);
      busy = false;
      for (auto* shard : {&client_, &middle_, &servers_}) {
        if (shard == &client_ && !client_is_there_) continue;
        busy |= (*shard)->turn(now_);
        for (auto next :
             {(*shard)->scheduler().next_deadline(), (*shard)->stack().next_deadline()}) {
          busy |= next && *next <= now_;
        }
      }
    }
  }

  Network client_router_{{{kClient, 0}}, 1};
  Network middle_router_{{{kFront, 0}, {kBack, 1}}, 2};
  Network server_router_{{{IpAddress::v4(kServers + 11), 0},
                          {IpAddress::v4(kServers + 12), 0},
                          {IpAddress::v4(kServers + 13), 0}},
                         4};
  std::unique_ptr<Shard> client_, middle_, servers_;
  std::vector<std::unique_ptr<TcpListener>> listeners_;
  std::unique_ptr<Switch> switch_;
  bool client_is_there_ = true;
  Time now_ = monotonic_now() + seconds(1);
};

}  // namespace fairlead::l7
