// Sockets over two shards: what each call gives, and that destroying a task wherever it waits
// leaves nothing behind.
#include "socket/tcp_socket.h"

#include <gtest/gtest.h>

#include <array>
#include <functional>
#include <string>
#include <vector>

#include "socket/shard_pair.h"
#include "socket/timeout.h"

namespace fairlead {
namespace {

ByteSpan span_of(const std::string& text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

/// What a coroutine has to tell its test.
struct Log {
  std::vector<std::string> lines;
  void add(std::string line) { lines.push_back(std::move(line)); }
  template <typename T>
  void add(std::string what, const Result<T>& result) {
    lines.push_back(what + " " + std::string(errc_name(result ? Errc::kOk : result.error().code)));
  }
};
using Lines = std::vector<std::string>;

Task<void> echo(TcpSocket socket, Log& log) {
  std::array<uint8_t, 1000> buffer;
  while (true) {
    Result<size_t> n = co_await socket.read(buffer);
    if (!n || *n == 0) {
      log.add("server read", n);
      break;
    }
    Result<void> written = co_await socket.write_all(ByteSpan(buffer).first(*n));
    if (!written) co_return log.add("server write", written);
  }
  socket.shutdown();
}

Task<void> accept_one(TcpListener& listener, Log& log) {
  TcpSocket socket = co_await listener.accept();
  log.add(socket.is_open() ? "accepted" : "accept failed");
  co_await echo(std::move(socket), log);
}

Task<void> converse(Runtime runtime, host::Stack::ConnectOptions to, std::string text, Log& log) {
  Result<TcpSocket> socket = co_await TcpSocket::connect(runtime, to);
  log.add("connect", socket);
  if (!socket) co_return;
  Result<void> written = co_await socket->write_all(span_of(text));
  log.add("write", written);
  socket->shutdown();
  std::string heard;
  std::array<uint8_t, 777> buffer;
  while (true) {
    Result<size_t> n = co_await socket->read(buffer);
    if (!n || *n == 0) {
      log.add("read", n);
      break;
    }
    heard.append(buffer.begin(), buffer.begin() + static_cast<ptrdiff_t>(*n));
  }
  log.add(heard == text ? "same" : "different");
}

Task<void> write_much(TcpSocket& socket, Log& log) {
  std::vector<uint8_t> bytes(10'000'000);
  log.add("write", co_await socket.write_all(bytes));
}

class TcpSocketTest : public testing::Test {
 protected:
  void listen() {
    auto listener = TcpListener::listen(pair_.server_runtime(), pair_.server_endpoint(), {});
    ASSERT_TRUE(listener.has_value());
    listener_ = std::move(*listener);
  }
  void spawn_client(Task<void> task) {
    ASSERT_TRUE(pair_.client().scheduler().spawn(std::move(task)));
  }
  void spawn_server(Task<void> task) {
    ASSERT_TRUE(pair_.server().scheduler().spawn(std::move(task)));
  }
  /// A connection whose server end nobody reads or writes: it is held here.
  void connect_silent_server() {
    listen();
    auto hold = [](TcpListener& listener, std::vector<TcpSocket>& held) -> Task<void> {
      held.push_back(co_await listener.accept());
    };
    spawn_server(hold(*listener_, held_));
  }

  ShardPair pair_;
  std::unique_ptr<TcpListener> listener_;
  std::vector<TcpSocket> held_;
  Log client_, server_;
};

TEST_F(TcpSocketTest, AConversationFromConnectToClose) {
  for (size_t size : {size_t{1}, size_t{64}, size_t{1'000'000}}) {
    if (!listener_) listen();
    client_.lines.clear();
    spawn_server(accept_one(*listener_, server_));
    spawn_client(
        converse(pair_.client_runtime(), pair_.to_server(), std::string(size, 'x'), client_));
    pair_.run(milliseconds(500));
    EXPECT_EQ(client_.lines, (Lines{"connect OK", "write OK", "read OK", "same"}));
  }
  EXPECT_TRUE(pair_.nothing_left());
}

TEST_F(TcpSocketTest, ConnectOffersWhatItIsTold) {
  connect_silent_server();
  host::Stack::ConnectOptions to = pair_.to_server();
  to.offer = {.timestamps = false, .window_shift = 3, .mss_max = 1000};
  spawn_client(converse(pair_.client_runtime(), to, "x", client_));
  pair_.run(milliseconds(10));
  ASSERT_EQ(held_.size(), 1u);
  const host::Offer heard = held_[0].connection().peer_offer();
  EXPECT_FALSE(heard.timestamps);
  EXPECT_TRUE(heard.sack);
  EXPECT_EQ(heard.window_shift, 3);
  EXPECT_EQ(heard.mss_max, 1000);
}

TEST_F(TcpSocketTest, ConnectToNobodyIsRefused) {
  spawn_client(converse(pair_.client_runtime(), pair_.to_server(), "x", client_));
  pair_.run(milliseconds(10));
  EXPECT_EQ(client_.lines, (Lines{"connect ECONNREFUSED"}));
  EXPECT_TRUE(pair_.nothing_left());
}

TEST_F(TcpSocketTest, ErrorsOfTheStackComeThroughConnectAndListen) {
  host::Stack::ConnectOptions to = pair_.to_server();
  to.remote.port = 0;
  spawn_client(converse(pair_.client_runtime(), to, "x", client_));
  pair_.run(milliseconds(1));
  EXPECT_EQ(client_.lines, (Lines{"connect EINVAL"}));
  listen();
  auto again = TcpListener::listen(pair_.server_runtime(), pair_.server_endpoint(), {});
  ASSERT_FALSE(again.has_value());
  EXPECT_EQ(again.error().code, Errc::kAddressInUse);
  EXPECT_TRUE(pair_.nothing_left());
}

TEST_F(TcpSocketTest, AbortIsEconnabortedHereAndEconnresetThere) {
  listen();
  spawn_server(accept_one(*listener_, server_));
  auto abort = [](Runtime runtime, host::Stack::ConnectOptions to, Log& log) -> Task<void> {
    Result<TcpSocket> socket = co_await TcpSocket::connect(runtime, to);
    co_await runtime.scheduler.sleep_for(milliseconds(5));
    socket->abort();
    std::array<uint8_t, 10> buffer;
    log.add("read", co_await socket->read(buffer));
    log.add("write", co_await socket->write_all(buffer));
  };
  spawn_client(abort(pair_.client_runtime(), pair_.to_server(), client_));
  pair_.run(milliseconds(20));
  EXPECT_EQ(client_.lines, (Lines{"read ECONNABORTED", "write ECONNABORTED"}));
  EXPECT_EQ(server_.lines, (Lines{"accepted", "server read ECONNRESET"}));
  EXPECT_TRUE(pair_.nothing_left());
}

TEST_F(TcpSocketTest, WritingAfterShutdownIsEpipeAtOnce) {
  connect_silent_server();
  auto client = [](Runtime runtime, host::Stack::ConnectOptions to, Log& log) -> Task<void> {
    Result<TcpSocket> socket = co_await TcpSocket::connect(runtime, to);
    socket->shutdown();
    std::array<uint8_t, 10> buffer{};
    log.add("write", co_await socket->write_all(buffer));
    log.add("writable", co_await socket->writable());
  };
  spawn_client(client(pair_.client_runtime(), pair_.to_server(), client_));
  pair_.run(milliseconds(5));
  EXPECT_EQ(client_.lines, (Lines{"write EPIPE", "writable EPIPE"}));
  held_.clear();
  EXPECT_TRUE(pair_.nothing_left());
}

TEST_F(TcpSocketTest, ShutdownWakesAWriterThatWaits) {
  connect_silent_server();
  auto client = [](Runtime runtime, host::Stack::ConnectOptions to, TcpSocket& socket,
                   Log& log) -> Task<void> {
    Result<TcpSocket> connected = co_await TcpSocket::connect(runtime, to);
    socket = std::move(*connected);
    EXPECT_TRUE(runtime.scheduler.spawn(write_much(socket, log)));
    co_await runtime.scheduler.sleep_for(milliseconds(50));
    EXPECT_TRUE(log.lines.empty());
    socket.shutdown();
  };
  TcpSocket socket;
  spawn_client(client(pair_.client_runtime(), pair_.to_server(), socket, client_));
  pair_.run(milliseconds(100));
  EXPECT_EQ(client_.lines, (Lines{"write EPIPE"}));
  socket.abort();
  socket.close();
  held_.clear();
  EXPECT_TRUE(pair_.nothing_left());
}

TEST_F(TcpSocketTest, AListenerMayBeDestroyedBeforeWhoWaitsInIt) {
  listen();
  auto wait = [](TcpListener& listener, Log& log) -> Task<void> {
    TcpSocket socket = co_await listener.accept();
    log.add(socket.is_open() ? "accepted" : "not open");
  };
  spawn_server(wait(*listener_, server_));
  pair_.run(milliseconds(1));
  listener_.reset();
  pair_.run(milliseconds(1));
  EXPECT_TRUE(server_.lines.empty());
  pair_.server().scheduler().cancel_all();
  EXPECT_TRUE(pair_.nothing_left());
}

// ---- deadlines ----

TEST_F(TcpSocketTest, EveryWaitEndsAtItsDeadline) {
  connect_silent_server();
  auto client = [](Runtime runtime, host::Stack::ConnectOptions to, Log& log) -> Task<void> {
    Result<TcpSocket> socket = co_await TcpSocket::connect(runtime, to);
    auto patience = [&] { socket->set_deadline(runtime.scheduler.now() + milliseconds(10)); };
    std::vector<uint8_t> bytes(10'000'000);
    patience();
    log.add("readable", co_await socket->readable());
    patience();
    log.add("read", co_await socket->read(bytes));
    patience();
    log.add("write_all", co_await socket->write_all(bytes));
    patience();
    log.add("writable", co_await socket->writable());
    log.add("again", co_await socket->writable());  // a deadline in the past
    socket->abort();
  };
  spawn_client(client(pair_.client_runtime(), pair_.to_server(), client_));
  pair_.run(milliseconds(100));
  EXPECT_EQ(client_.lines, (Lines{"readable ETIMEDOUT", "read ETIMEDOUT", "write_all ETIMEDOUT",
                                  "writable ETIMEDOUT", "again ETIMEDOUT"}));
  held_.clear();
  EXPECT_TRUE(pair_.nothing_left());
}

TEST_F(TcpSocketTest, AcceptAndConnectEndByATimeout) {
  listen();
  auto server = [](Scheduler& scheduler, TcpListener& listener, Log& log) -> Task<void> {
    auto next = [](TcpListener& l) -> Task<TcpSocket> { co_return co_await l.accept(); };
    log.add("accept", co_await with_timeout(scheduler, next(listener), milliseconds(10)));
  };
  spawn_server(server(pair_.server().scheduler(), *listener_, server_));
  pair_.run(milliseconds(20));
  EXPECT_EQ(server_.lines, (Lines{"accept ETIMEDOUT"}));

  auto client = [](Runtime runtime, host::Stack::ConnectOptions to, Log& log) -> Task<void> {
    auto socket =
        co_await with_timeout(runtime.scheduler, TcpSocket::connect(runtime, to), milliseconds(10));
    log.add("connect", socket);
  };
  spawn_client(client(pair_.client_runtime(), pair_.to_server(), client_));
  for (int i = 0; i < 20; ++i) {  // the server is not there to answer
    pair_.client().turn(pair_.now() + milliseconds(i));
  }
  EXPECT_EQ(client_.lines, (Lines{"connect ETIMEDOUT"}));
  EXPECT_EQ(pair_.client().stack().connection_count(), 0u);
}

TEST_F(TcpSocketTest, AConnectThatNobodyAnswersTimesOutByItsOwnOption) {
  host::Stack::ConnectOptions to = pair_.to_server();
  to.socket.connect_timeout = seconds(2);
  spawn_client(converse(pair_.client_runtime(), to, "x", client_));
  for (int i = 0; i < 2200; ++i) pair_.client().turn(pair_.now() + milliseconds(i));
  EXPECT_EQ(client_.lines, (Lines{"connect ETIMEDOUT"}));
}

// ---- cancellation ----

/// Ways to wait, each by a coroutine that would go on for ever.
struct Wait {
  const char* name;
  std::function<Task<void>(TcpSocket&, Runtime)> wait;
};

const std::vector<Wait>& waits() {
  static const std::vector<Wait> kWaits{
      {"readable", [](TcpSocket& s, Runtime) -> Task<void> { (void)co_await s.readable(); }},
      {"read",
       [](TcpSocket& s, Runtime) -> Task<void> {
         std::array<uint8_t, 10> buffer;
         (void)co_await s.read(buffer);
       }},
      {"writable",
       [](TcpSocket& s, Runtime) -> Task<void> {
         std::vector<uint8_t> bytes(10'000'000);
         while (co_await s.writable()) s.write_now(bytes);
       }},
      {"write_all",
       [](TcpSocket& s, Runtime) -> Task<void> {
         std::vector<uint8_t> bytes(10'000'000);
         (void)co_await s.write_all(bytes);
       }},
      {"sleep",
       [](TcpSocket&, Runtime r) -> Task<void> { co_await r.scheduler.sleep_for(hours(1)); }},
      {"with_timeout",
       [](TcpSocket& s, Runtime r) -> Task<void> {
         std::array<uint8_t, 10> buffer;
         (void)co_await with_timeout(r.scheduler, s.read(buffer), hours(1));
       }},
  };
  return kWaits;
}

Task<void> connect_and_wait(Runtime runtime, host::Stack::ConnectOptions to, const Wait& wait,
                            bool deadline, bool& waiting) {
  Result<TcpSocket> socket = co_await TcpSocket::connect(runtime, to);
  if (!socket) co_return;
  if (deadline) socket->set_deadline(runtime.scheduler.now() + hours(1));
  waiting = true;
  co_await wait.wait(*socket, runtime);
  waiting = false;
}

TEST_F(TcpSocketTest, DestroyingATaskWhereverItWaitsLeavesNothing) {
  for (bool deadline : {false, true}) {
    for (const Wait& wait : waits()) {
      SCOPED_TRACE(wait.name);
      if (!listener_) listen();
      spawn_server(accept_one(*listener_, server_));
      bool waiting = false;
      auto quiet = [](TcpListener& l, std::vector<TcpSocket>& held) -> Task<void> {
        held.push_back(co_await l.accept());
      };
      pair_.server().scheduler().cancel_all();
      spawn_server(quiet(*listener_, held_));
      spawn_client(
          connect_and_wait(pair_.client_runtime(), pair_.to_server(), wait, deadline, waiting));
      pair_.run(milliseconds(50));
      EXPECT_TRUE(waiting);
      EXPECT_EQ(pair_.client().stack().connection_count(), 1u);
      pair_.client().scheduler().cancel_all();
      EXPECT_EQ(pair_.client().scheduler().task_count(), 0u);
      EXPECT_EQ(pair_.client().scheduler().timers().size(), 0u);
      held_.clear();
      EXPECT_TRUE(pair_.nothing_left());
    }
  }
}

TEST_F(TcpSocketTest, DestroyingATaskThatAcceptsOrConnectsLeavesNothing) {
  listen();
  spawn_server(accept_one(*listener_, server_));
  pair_.run(milliseconds(1));
  pair_.server().scheduler().cancel_all();
  // The listener goes on, and the next one may wait.
  spawn_server(accept_one(*listener_, server_));
  spawn_client(converse(pair_.client_runtime(), pair_.to_server(), "x", client_));
  pair_.run(milliseconds(50));
  EXPECT_EQ(client_.lines.back(), "same");

  spawn_client(converse(pair_.client_runtime(), pair_.to_server(), "x", client_));
  pair_.client().turn(pair_.now());
  EXPECT_EQ(pair_.client().stack().connection_count(), 1u);
  pair_.client().scheduler().cancel_all();
  EXPECT_EQ(pair_.client().stack().connection_count(), 0u);
  listener_.reset();
  EXPECT_TRUE(pair_.nothing_left());
}

TEST_F(TcpSocketTest, ATaskDestroyedBetweenItsEventAndItsTurnLeavesNothing) {
  listen();
  spawn_server(accept_one(*listener_, server_));
  auto wait = [](TcpListener& listener, bool& done) -> Task<void> {
    (void)co_await listener.accept();
    done = true;
  };
  pair_.server().scheduler().cancel_all();
  bool done = false;
  spawn_server(wait(*listener_, done));
  pair_.settle();
  spawn_client(converse(pair_.client_runtime(), pair_.to_server(), "x", client_));
  pair_.client().turn(pair_.now());
  // The connection is there and the acceptor ready to run, but it never does.
  pair_.server().scheduler().spawn([](Scheduler& s) -> Task<void> {
    co_await s.sleep_for(hours(1));
  }(pair_.server().scheduler()));
  pair_.server().scheduler().cancel_all();
  pair_.client().scheduler().cancel_all();
  EXPECT_FALSE(done);
  listener_.reset();
  EXPECT_TRUE(pair_.nothing_left());
}

TEST_F(TcpSocketTest, AFullBufferPoolMakesWritersWaitAndNotSpin) {
  host::StackConfig few;
  few.max_buffer_bytes = 4 * sizeof(host::Chunk);
  ShardPair pair(few);
  auto listener = *TcpListener::listen(pair.server_runtime(), pair.server_endpoint(), {});
  auto drain = [](TcpListener& l, Log& log) -> Task<void> {
    TcpSocket socket = co_await l.accept();
    size_t total = 0;
    std::array<uint8_t, 1000> buffer;
    while (true) {
      Result<size_t> n = co_await socket.read(buffer);
      if (!n || *n == 0) break;
      total += *n;
    }
    log.add(std::to_string(total));
  };
  auto send = [](Runtime runtime, host::Stack::ConnectOptions to, Log& log) -> Task<void> {
    Result<TcpSocket> socket = co_await TcpSocket::connect(runtime, to);
    log.add("write", co_await socket->write_all(std::vector<uint8_t>(200'000)));
  };
  for (int i = 0; i < 3; ++i) {  // they share the four chunks
    ASSERT_TRUE(pair.server().scheduler().spawn(drain(*listener, server_)));
    ASSERT_TRUE(
        pair.client().scheduler().spawn(send(pair.client_runtime(), pair.to_server(), client_)));
    pair.run(milliseconds(1));  // one waits to accept at a time
  }
  pair.run(seconds(5));
  EXPECT_EQ(client_.lines, (Lines{"write OK", "write OK", "write OK"}));
  EXPECT_EQ(server_.lines, (Lines{"200000", "200000", "200000"}));
  listener.reset();
  EXPECT_TRUE(pair.nothing_left());
}

TEST_F(TcpSocketTest, WriteTakesWhatThereIsRoomForAndWaitsOnlyWithoutAny) {
  connect_silent_server();
  auto task = [](Runtime runtime, host::Stack::ConnectOptions to, Log& log) -> Task<void> {
    Result<TcpSocket> socket = co_await TcpSocket::connect(runtime, to);
    const std::vector<uint8_t> bytes(10'000'000);
    Result<size_t> first = co_await socket->write(bytes);
    log.add(first && *first > 0 && *first < bytes.size() ? "some" : "all or none");
    socket->set_deadline(runtime.scheduler.now() + milliseconds(300));
    while (first) first = co_await socket->write(bytes);
    log.add("then", first);
    socket->abort();
  };
  spawn_client(task(pair_.client_runtime(), pair_.to_server(), client_));
  pair_.run(seconds(1));
  EXPECT_EQ(client_.lines, (Lines{"some", "then ETIMEDOUT"}));
}

TEST(TcpSocketPorts, APortInTimeWaitServesAgainAfterASecond) {  // RFC 6191 §2
  host::StackConfig one_port;
  one_port.local_port_first = one_port.local_port_last = 61000;
  ShardPair pair(one_port);
  auto listener = TcpListener::listen(pair.server_runtime(), pair.server_endpoint(), {});
  ASSERT_TRUE(listener.has_value());
  Log server, client;
  auto accept = [&] {
    ASSERT_TRUE(pair.server().scheduler().spawn(accept_one(**listener, server)));
  };
  auto once = [&] {
    client.lines.clear();
    ASSERT_TRUE(pair.client().scheduler().spawn(
        converse(pair.client_runtime(), pair.to_server(), "hello", client)));
    pair.run(milliseconds(200));
  };
  accept();
  once();
  EXPECT_EQ(client.lines.back(), "same");
  EXPECT_EQ(pair.client().stack().time_wait_count(), 1u);
  accept();
  once();
  EXPECT_EQ(client.lines, (Lines{"connect EADDRNOTAVAIL"}));
  pair.run(seconds(1));
  once();
  EXPECT_EQ(client.lines.back(), "same");
  EXPECT_EQ(pair.client().stack().counters().time_wait_reused, 1u);
  listener->reset();
}

}  // namespace
}  // namespace fairlead
