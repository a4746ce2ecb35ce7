// Many connections that do nothing must cost nothing: no timer work, no buffers.
#include <gtest/gtest.h>

#include <vector>

#include "sim/host.h"

namespace fairlead::sim {
namespace {

constexpr size_t kConnections = 100'000;
constexpr IpAddress kServer = IpAddress::v4(0xc6120001);

std::vector<IpAddress> client_addresses() { return {IpAddress::v4(0xc6120002)}; }

class IdleConnections : public testing::Test {
 protected:
  IdleConnections()
      : client_(simulator_, options(client_addresses(), 2)),
        server_(simulator_, options({kServer}, 1)),
        there_(simulator_, {}, [this](auto f) { server_.receive(std::move(f)); }),
        back_(simulator_, {}, [this](auto f) { client_.receive(std::move(f)); }) {
    client_.attach([this](auto f) { there_.send(std::move(f)); });
    server_.attach([this](auto f) { back_.send(std::move(f)); });
  }
  ~IdleConnections() override {
    for (host::Connection* c : client_connections_) client_.stack().release(c);
    for (host::Connection* c : server_connections_) server_.stack().release(c);
  }

  static SimHostOptions options(std::vector<IpAddress> addresses, uint8_t id) {
    SimHostOptions o{.addresses = std::move(addresses), .id = id, .stack = {}};
    o.stack.local_port_first = 10'000;
    return o;
  }

  void establish(const host::SocketOptions& socket) {
    host::ListenOptions listen{.socket = socket};
    std::vector<host::Listener*> listeners;
    for (uint16_t port = 7; port <= 8; ++port)
      listeners.push_back(*server_.stack().listen({kServer, port}, listen));
    server_.set_application([this, listeners] {
      for (host::Listener* l : listeners) {
        while (host::Connection* c = l->accept()) server_connections_.push_back(c);
      }
    });
    for (size_t i = 0; i < kConnections; ++i) {
      uint16_t port = i % 2 == 0 ? 7 : 8;
      auto c = client_.stack().connect(
          {.remote = {kServer, port}, .source = {}, .local_port = {}, .socket = socket},
          simulator_.now());
      ASSERT_TRUE(c.has_value());
      client_connections_.push_back(*c);
      if (i % 500 == 499) {
        client_.turn();
        simulator_.run(simulator_.now() + milliseconds(5));
      }
    }
    simulator_.run(simulator_.now() + seconds(2));
    ASSERT_EQ(server_connections_.size(), kConnections);
  }

  Simulator simulator_{1};
  SimHost client_;
  SimHost server_;
  Link there_;
  Link back_;
  std::vector<host::Connection*> client_connections_;
  std::vector<host::Connection*> server_connections_;
};

TEST_F(IdleConnections, CostNothingForAnHour) {
  establish({});
  uint64_t events = simulator_.run(simulator_.now() + hours(1));
  // Not even timers: two per connection at most are left over from the handshake.
  EXPECT_LE(events, 4 * kConnections);
  EXPECT_EQ(server_.stack().buffer_bytes(), 0u);
  EXPECT_EQ(server_.stack().sent_run_count(), 0u);
  EXPECT_EQ(server_.stack().connection_count(), kConnections);
}

TEST_F(IdleConnections, KeepAliveCostsTwoSegmentsAnInterval) {
  host::SocketOptions socket;
  socket.keepalive = true;
  socket.keepalive_idle = minutes(30);
  establish(socket);
  uint64_t before = server_.stack().counters().segments_received;
  simulator_.run(simulator_.now() + hours(1));
  uint64_t segments = server_.stack().counters().segments_received - before;
  EXPECT_GE(segments, 2 * kConnections);
  EXPECT_LE(segments, 8 * kConnections);
  EXPECT_EQ(server_.stack().connection_count(), kConnections);
  EXPECT_EQ(server_.stack().counters().connections_timed_out, 0u);
}

}  // namespace
}  // namespace fairlead::sim
