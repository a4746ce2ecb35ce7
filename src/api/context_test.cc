// Two contexts over two shards, joined by memory ports: what each call of the C API does.
#include "api/context.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <array>
#include <cerrno>
#include <map>
#include <string>

#include "api/sockaddr.h"
#include "socket/shard_pair.h"

namespace fairlead::api {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

template <typename T>
int error_of(const Outcome<T>& outcome) {
  return outcome ? 0 : outcome.error();
}

class Contexts : public testing::Test {
 protected:
  Contexts()
      : server_endpoint_(pair_.server_endpoint()),
        client_(pair_.client(), options()),
        server_(pair_.server(), options()) {}
  ~Contexts() override {
    client_.close();
    server_.close();
    EXPECT_TRUE(pair_.nothing_left());
  }

  Context::Options options() {
    return {.listen = {},
            .local_ports = {.first = 61000, .last = 65535},
            .max_sockets = 8,
            .claim =
                [this](const Endpoint& endpoint) {
                  claimed_.push_back(endpoint);
                  return Result<void>();
                },
            .give_back = [this](const Endpoint& endpoint) { std::erase(claimed_, endpoint); },
            .clock = [this] { return now_; }};
  }

  /// Events of one call, by descriptor.
  using Events = std::map<int, uint32_t>;
  static Events poll(Context& context) {
    std::array<epoll_event, 8> events{};
    const auto count = context.wait(events, 0);
    EXPECT_TRUE(count.has_value());
    Events out;
    for (size_t i = 0; i < count.value_or(0); ++i) out[events[i].data.fd] = events[i].events;
    return out;
  }
  /// Both, for so long. What was told of the server's descriptors.
  Events run(Duration duration = milliseconds(5)) {
    Events all;
    for (const Time until = now_ + duration; now_ <= until; now_ += milliseconds(1)) {
      for (int i = 0; i < 4; ++i) {
        poll(client_);
        for (const auto& [fd, events] : poll(server_)) all[fd] |= events;
      }
    }
    return all;
  }

  static void watch(Context& context, int fd, uint32_t events) {
    epoll_event event{.events = events, .data = {.fd = fd}};
    EXPECT_EQ(error_of(context.control(EPOLL_CTL_ADD, fd, &event)), 0);
  }
  static int make(Context& context) { return *context.socket(AF_INET, SOCK_STREAM, 0); }
  static int set(Context& context, int fd, int level, int name, int value) {
    return error_of(context.set_option(fd, level, name,
                                       {reinterpret_cast<const uint8_t*>(&value), sizeof value}));
  }
  static int get(Context& context, int fd, int level, int name) {
    int value = -1;
    const auto size =
        context.option(fd, level, name, {reinterpret_cast<uint8_t*>(&value), sizeof value});
    return size ? value : -size.error();
  }
  static void close(Context& context, int fd) { EXPECT_EQ(error_of(context.close(fd)), 0); }
  static std::string read(Context& context, int fd) {
    std::array<uint8_t, 4096> buffer{};
    std::string out;
    while (true) {
      const auto n = context.read(fd, buffer);
      if (!n || *n == 0) return out;
      out.append(reinterpret_cast<const char*>(buffer.data()), *n);
    }
  }
  static size_t write(Context& context, int fd, const std::string& text) {
    return context.write(fd, {reinterpret_cast<const uint8_t*>(text.data()), text.size()})
        .value_or(0);
  }

  int listen(int backlog = 16) {
    const int fd = make(server_);
    EXPECT_EQ(error_of(server_.bind(fd, server_endpoint_)), 0);
    EXPECT_EQ(error_of(server_.listen(fd, backlog)), 0);
    return fd;
  }
  int connect() {
    const int fd = make(client_);
    EXPECT_EQ(error_of(client_.connect(fd, server_endpoint_)), EINPROGRESS);
    return fd;
  }
  /// A listener, and a connection's two ends.
  struct Ends {
    int listener, client, server;
  };
  Ends connected() {
    Ends ends{.listener = listen(), .client = connect(), .server = -1};
    run();
    ends.server = server_.accept(ends.listener).value_or(-1);
    EXPECT_GE(ends.server, 0);
    return ends;
  }

  ShardPair pair_;
  Endpoint server_endpoint_;
  Time now_ = pair_.now();
  std::vector<Endpoint> claimed_;
  Context client_;
  Context server_;
};

TEST_F(Contexts, AConversation) {
  const int listener = listen();
  watch(server_, listener, EPOLLIN);
  EXPECT_THAT(run(), IsEmpty());
  const int client = connect();
  EXPECT_EQ(run(), (Events{{listener, EPOLLIN}}));
  const int server = *server_.accept(listener);
  EXPECT_EQ(error_of(server_.accept(listener)), EAGAIN);
  EXPECT_EQ(*server_.remote(server), *client_.local(client));
  EXPECT_EQ(*client_.remote(client), server_endpoint_);

  watch(server_, server, EPOLLIN | EPOLLRDHUP);
  EXPECT_EQ(write(client_, client, "hello"), 5u);
  EXPECT_EQ(run(), (Events{{server, EPOLLIN}}));
  EXPECT_EQ(read(server_, server), "hello");
  EXPECT_EQ(write(server_, server, "and you"), 7u);
  EXPECT_THAT(run(), IsEmpty());
  EXPECT_EQ(read(client_, client), "and you");
  EXPECT_EQ(error_of(client_.close(client)), 0);
  EXPECT_EQ(run(), (Events{{server, EPOLLIN | EPOLLRDHUP}}));
  EXPECT_EQ(read(server_, server), "");
  EXPECT_EQ(error_of(server_.close(server)), 0);
  EXPECT_EQ(error_of(server_.close(server)), EBADF);
}

TEST_F(Contexts, LevelEdgeAndOneShot) {
  const Ends ends = connected();
  write(client_, ends.client, "x");
  run();
  watch(server_, ends.server, EPOLLIN);
  EXPECT_EQ(poll(server_), (Events{{ends.server, EPOLLIN}}));
  EXPECT_EQ(poll(server_), (Events{{ends.server, EPOLLIN}}));  // for as long as it is true

  const auto modify = [&](uint32_t events) {
    epoll_event event{.events = events, .data = {.fd = ends.server}};
    EXPECT_EQ(error_of(server_.control(EPOLL_CTL_MOD, ends.server, &event)), 0);
  };
  modify(EPOLLIN | EPOLLET);
  EXPECT_EQ(poll(server_), (Events{{ends.server, EPOLLIN}}));
  EXPECT_THAT(poll(server_), IsEmpty());
  write(client_, ends.client, "y");
  EXPECT_EQ(run(), (Events{{ends.server, EPOLLIN}}));

  modify(EPOLLIN | EPOLLONESHOT);
  EXPECT_EQ(poll(server_), (Events{{ends.server, EPOLLIN}}));
  write(client_, ends.client, "z");
  EXPECT_THAT(run(), IsEmpty());  // until it is asked for again
  modify(EPOLLIN);
  EXPECT_EQ(poll(server_), (Events{{ends.server, EPOLLIN}}));

  EXPECT_EQ(error_of(server_.control(EPOLL_CTL_ADD, ends.server, nullptr)), EEXIST);
  EXPECT_EQ(error_of(server_.control(EPOLL_CTL_DEL, ends.server, nullptr)), 0);
  EXPECT_EQ(error_of(server_.control(EPOLL_CTL_DEL, ends.server, nullptr)), ENOENT);
  EXPECT_THAT(poll(server_), IsEmpty());
  EXPECT_EQ(read(server_, ends.server), "xyz");
}

TEST_F(Contexts, WhoFillsTheSendBufferToTheLastByteIsToldOfRoom) {
  const Ends ends = connected();
  watch(server_, ends.server, EPOLLOUT);
  EXPECT_EQ(poll(server_), (Events{{ends.server, EPOLLOUT}}));
  const std::string all(host::SocketOptions{}.send_buffer_min, 'x');
  EXPECT_EQ(write(server_, ends.server, all), all.size());
  EXPECT_THAT(poll(server_), IsEmpty());
  Events told;
  while (told.empty()) {
    poll(client_);
    told = poll(server_);
  }
  EXPECT_EQ(told, (Events{{ends.server, EPOLLOUT}}));
  pair_.server().stack().for_each_connection([](const host::Connection& connection) {
    EXPECT_TRUE(connection.unsent_or_unacked()) << "not with the first room, but when all was sent";
  });
  run();
  EXPECT_EQ(read(client_, ends.client).size(), all.size());
}

TEST_F(Contexts, OffloadsAreSocketOptions) {
  const int listener = listen();
  EXPECT_EQ(get(server_, listener, IPPROTO_TCP, TCP_SETUP_OFFLOAD), 0);
  EXPECT_EQ(set(server_, listener, IPPROTO_TCP, TCP_SETUP_OFFLOAD, 1), 0);
  EXPECT_EQ(get(server_, listener, IPPROTO_TCP, TCP_SETUP_OFFLOAD), 1);
  const int client = connect();
  write(client_, client, "x");
  run();
  const int server = *server_.accept(listener);
  const host::Stack& stack = pair_.server().stack();
  EXPECT_EQ(stack.setup().count(FL_SETUP_NEW_CONNECTION), 1u);

  EXPECT_EQ(set(server_, server, IPPROTO_TCP, TCP_SETUP_OFFLOAD, 1), EINVAL);  // too late
  EXPECT_EQ(set(server_, server, IPPROTO_TCP, TCP_TEARDOWN_OFFLOAD, 2), EINVAL);
  EXPECT_EQ(get(server_, server, IPPROTO_TCP, TCP_TEARDOWN_OFFLOAD), 0);
  EXPECT_EQ(set(server_, server, IPPROTO_TCP, TCP_TEARDOWN_OFFLOAD, 1), 0);
  EXPECT_EQ(server_.close(server).has_value(), true);
  EXPECT_EQ(stack.connection_count(), 0u);
  EXPECT_EQ(stack.teardown().active(), 1u);
  run();
  EXPECT_EQ(read(client_, client), "");
}

TEST_F(Contexts, ADeferredConnectionBeginsWithItsData) {
  const int listener = listen();
  EXPECT_EQ(set(server_, listener, IPPROTO_TCP, TCP_SETUP_OFFLOAD, 1), 0);
  EXPECT_EQ(set(server_, listener, IPPROTO_TCP, TCP_DEFER_ACCEPT, 5), 0);
  const int client = connect();
  run();
  EXPECT_EQ(error_of(server_.accept(listener)), EAGAIN);
  write(client_, client, "now");
  run();
  const int server = server_.accept(listener).value_or(-1);
  EXPECT_EQ(read(server_, server), "now");
}

TEST_F(Contexts, WhatIsReadAnsweredAndClosedBetweenTwoCallsHasNoTcb) {
  const int listener = listen();
  EXPECT_EQ(set(server_, listener, IPPROTO_TCP, TCP_SETUP_OFFLOAD, 1), 0);
  EXPECT_EQ(set(server_, listener, IPPROTO_TCP, TCP_DEFER_ACCEPT, 1), 0);
  EXPECT_EQ(set(server_, listener, IPPROTO_TCP, TCP_TEARDOWN_OFFLOAD, 1), 0);
  watch(server_, listener, EPOLLIN);
  const int client = connect();
  run();
  write(client_, client, "request");
  poll(client_);
  poll(client_);  // it leaves
  EXPECT_EQ(poll(server_), (Events{{listener, EPOLLIN}}));
  const int server = *server_.accept(listener);
  EXPECT_EQ(read(server_, server), "request");
  EXPECT_EQ(write(server_, server, "answer"), 6u);
  const host::Stack& stack = pair_.server().stack();
  stack.for_each_connection(
      [](const host::Connection& connection) { EXPECT_TRUE(connection.is_quasi()); });
  EXPECT_EQ(error_of(server_.close(server)), 0);
  EXPECT_EQ(stack.connection_count(), 0u);
  run();
  EXPECT_EQ(read(client_, client), "answer");
}

TEST_F(Contexts, AConnectionThatIsRefused) {
  const int fd = make(client_);
  watch(client_, fd, EPOLLOUT);
  EXPECT_EQ(error_of(client_.connect(fd, server_endpoint_)), EINPROGRESS);
  EXPECT_EQ(error_of(client_.connect(fd, server_endpoint_)), EALREADY);
  EXPECT_EQ(write(client_, fd, "x"), 0u);
  EXPECT_EQ(error_of(client_.remote(fd)), ENOTCONN);
  run();
  const Events events = poll(client_);
  EXPECT_TRUE(events.contains(fd) && (events.at(fd) & EPOLLERR) != 0);
  EXPECT_EQ(error_of(client_.remote(fd)), ENOTCONN);
  EXPECT_EQ(error_of(client_.connect(fd, server_endpoint_)), ECONNREFUSED);
  EXPECT_EQ(get(client_, fd, SOL_SOCKET, SO_ERROR), 0);
  EXPECT_EQ(error_of(client_.read(fd, {})), 0);
  std::array<uint8_t, 1> byte{};
  EXPECT_EQ(error_of(client_.read(fd, byte)), ECONNREFUSED);
}

TEST_F(Contexts, ResetsAreErrorsAndLingerOfZeroMakesThem) {
  const Ends ends = connected();
  const ::linger at_once{.l_onoff = 1, .l_linger = 0};
  EXPECT_EQ(
      error_of(server_.set_option(ends.server, SOL_SOCKET, SO_LINGER,
                                  {reinterpret_cast<const uint8_t*>(&at_once), sizeof at_once})),
      0);
  close(server_, ends.server);
  run();
  std::array<uint8_t, 1> byte{};
  EXPECT_EQ(error_of(client_.read(ends.client, byte)), ECONNRESET);
  EXPECT_EQ(error_of(client_.write(ends.client, byte)), ECONNRESET);
}

TEST_F(Contexts, HalfClosedBothWays) {
  const Ends ends = connected();
  EXPECT_EQ(error_of(client_.shutdown(ends.client, SHUT_WR)), 0);
  run();
  EXPECT_EQ(error_of(client_.write(ends.client, std::array<uint8_t, 1>{})), EPIPE);
  write(server_, ends.server, "still");
  run();
  EXPECT_EQ(read(client_, ends.client), "still");
  watch(server_, ends.server, EPOLLIN);
  EXPECT_EQ(error_of(server_.shutdown(ends.server, SHUT_RDWR)), 0);
  const Events events = run();
  EXPECT_EQ(events, (Events{{ends.server, EPOLLIN | EPOLLHUP}}));
  EXPECT_EQ(error_of(server_.write(ends.server, std::array<uint8_t, 1>{})), EPIPE);  // it is over
}

TEST_F(Contexts, ASplice) {
  const int listener = listen();
  const std::array clients{connect(), connect()};
  run();
  const std::array servers{*server_.accept(listener), *server_.accept(listener)};
  const std::array peers{*server_.remote(servers[0]), *server_.remote(servers[1])};
  write(client_, clients[0], "before ");
  run();

  std::vector<fl_nsplice_report> reports;
  const auto note = [](void* to, const fl_nsplice_report* report) {
    static_cast<std::vector<fl_nsplice_report>*>(to)->push_back(*report);
  };
  EXPECT_EQ(error_of(server_.splice(servers[0], servers[0], note, &reports)), EINVAL);
  EXPECT_EQ(error_of(server_.splice(servers[0], listener, note, &reports)), ENOTCONN);
  EXPECT_EQ(error_of(server_.splice(servers[0], servers[1], note, &reports)), 0);
  EXPECT_EQ(error_of(server_.close(servers[0])), EBADF);
  run();
  write(client_, clients[0], "and after");
  write(client_, clients[1], "back");
  run();
  EXPECT_EQ(read(client_, clients[1]), "before and after");
  EXPECT_EQ(read(client_, clients[0]), "back");
  close(client_, clients[0]);
  run();
  close(client_, clients[1]);
  run(seconds(70));
  ASSERT_EQ(reports.size(), 1u);
  EXPECT_EQ(reports[0].end, FL_NSPLICE_CLOSED);
  EXPECT_EQ(reports[0].from_b.bytes, 4u);
  for (const auto& [address, peer] :
       {std::pair(reports[0].peer_a, peers[0]), std::pair(reports[0].peer_b, peers[1])}) {
    EXPECT_EQ(endpoint_of(reinterpret_cast<const sockaddr*>(&address), sizeof address), peer);
  }
}

TEST_F(Contexts, AnAddressIsTakenFromTheKernelUntilNothingIsLeft) {
  const Ends ends = connected();
  EXPECT_THAT(claimed_, ElementsAre(server_endpoint_));
  const int second = make(server_);
  EXPECT_EQ(error_of(server_.bind(second, server_endpoint_)), 0);
  EXPECT_EQ(error_of(server_.listen(second, 1)), EADDRINUSE);
  close(server_, ends.listener);
  run(seconds(3));
  EXPECT_THAT(claimed_, ElementsAre(server_endpoint_));  // a connection is left
  close(client_, ends.client);
  close(server_, ends.server);
  run(seconds(3));
  EXPECT_THAT(claimed_, IsEmpty());
}

TEST_F(Contexts, AnAddressIsInUseWhileTheNicStackClosesAConnectionOfIt) {
  const Ends ends = connected();
  EXPECT_EQ(set(server_, ends.server, IPPROTO_TCP, TCP_TEARDOWN_OFFLOAD, 1), 0);
  close(server_, ends.server);
  close(server_, ends.listener);
  EXPECT_EQ(pair_.server().stack().connection_count(), 0u);
  for (int i = 0; i < 3; ++i, now_ += seconds(2)) poll(server_);  // the client does not answer
  EXPECT_THAT(claimed_, ElementsAre(server_endpoint_));
  close(client_, ends.client);
  run(seconds(3));
  EXPECT_THAT(claimed_, IsEmpty());
}

TEST_F(Contexts, WhatWasReceivedIsReadAfterShutdown) {
  const Ends ends = connected();
  write(client_, ends.client, "late");
  run();
  EXPECT_EQ(error_of(server_.shutdown(ends.server, SHUT_RD)), 0);
  EXPECT_EQ(read(server_, ends.server), "late");
  std::array<uint8_t, 1> byte{};
  EXPECT_EQ(server_.read(ends.server, byte), 0u);
}

TEST_F(Contexts, AClosedContextMakesNoSockets) {
  const Ends ends = connected();
  write(client_, ends.client, "x");
  server_.close();
  EXPECT_EQ(error_of(server_.socket(AF_INET, SOCK_STREAM, 0)), ECANCELED);
  run();
  std::array<uint8_t, 1> byte{};
  EXPECT_EQ(error_of(client_.read(ends.client, byte)), ECONNRESET);
}

TEST_F(Contexts, WrongUseIsAnError) {
  EXPECT_EQ(error_of(server_.socket(AF_UNIX, SOCK_STREAM, 0)), EAFNOSUPPORT);
  EXPECT_EQ(error_of(server_.socket(AF_INET, SOCK_DGRAM, 0)), EPROTONOSUPPORT);
  EXPECT_EQ(error_of(server_.read(-1, {})), EBADF);
  EXPECT_EQ(error_of(server_.read(1000, {})), EBADF);
  EXPECT_EQ(error_of(server_.wait({}, 0)), EINVAL);
  const int fd = make(server_);
  EXPECT_EQ(error_of(server_.listen(fd, 1)), EDESTADDRREQ);
  EXPECT_EQ(error_of(server_.accept(fd)), EINVAL);
  EXPECT_EQ(error_of(server_.shutdown(fd, SHUT_WR)), ENOTCONN);
  EXPECT_EQ(error_of(server_.bind(fd, {IpAddress(), 80})), EAFNOSUPPORT);
  EXPECT_EQ(error_of(server_.bind(fd, {IpAddress::v4(0), 80})), 0);
  EXPECT_EQ(error_of(server_.bind(fd, {IpAddress::v4(0), 81})), EINVAL);
  EXPECT_EQ(error_of(server_.connect(fd, server_endpoint_)), EADDRNOTAVAIL);  // 80 is the kernel's
  const int foreign = make(client_);
  EXPECT_EQ(error_of(client_.bind(foreign, {IpAddress::v4(0xc6336409), 0})), 0);
  EXPECT_EQ(error_of(client_.connect(foreign, server_endpoint_)), EADDRNOTAVAIL);
  EXPECT_EQ(set(server_, fd, IPPROTO_TCP, 12345, 1), ENOPROTOOPT);
  EXPECT_EQ(set(server_, fd, SOL_SOCKET, SO_ERROR, 1), ENOPROTOOPT);
  EXPECT_EQ(get(server_, fd, IPPROTO_TCP, 12345), -ENOPROTOOPT);
  EXPECT_EQ(set(server_, fd, IPPROTO_TCP, TCP_MAXSEG, 5), EINVAL);
  EXPECT_EQ(error_of(server_.set_option(fd, IPPROTO_TCP, TCP_NODELAY, {})), EINVAL);
}

TEST_F(Contexts, DescriptorsEndAtTheirBoundAndComeBack) {
  for (int i = 0; i < 8; ++i) EXPECT_EQ(make(client_), i);
  EXPECT_EQ(error_of(client_.socket(AF_INET, SOCK_STREAM, 0)), EMFILE);
  close(client_, 3);
  EXPECT_EQ(make(client_), 3);
}

}  // namespace
}  // namespace fairlead::api
