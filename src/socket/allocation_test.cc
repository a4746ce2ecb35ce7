// Short connections on the steady path allocate nothing: no heap per connection, per await or per
// packet. This binary counts every operator new.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <cstdlib>
#include <memory>
#include <new>

#include "socket/shard_pair.h"

namespace {
std::atomic<uint64_t> allocations{0};

void* counted(size_t size) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  void* block = std::malloc(size == 0 ? 1 : size);
  if (block == nullptr) std::abort();
  return block;
}
void* counted(size_t size, std::align_val_t alignment) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  auto align = static_cast<size_t>(alignment);
  void* block = std::aligned_alloc(align, (size + align - 1) / align * align);
  if (block == nullptr) std::abort();
  return block;
}
}  // namespace

void* operator new(size_t size) { return counted(size); }
void* operator new[](size_t size) { return counted(size); }
void* operator new(size_t size, std::align_val_t a) { return counted(size, a); }
void* operator new[](size_t size, std::align_val_t a) { return counted(size, a); }
void operator delete(void* block) noexcept { std::free(block); }
void operator delete[](void* block) noexcept { std::free(block); }
void operator delete(void* block, size_t) noexcept { std::free(block); }
void operator delete[](void* block, size_t) noexcept { std::free(block); }
void operator delete(void* block, std::align_val_t) noexcept { std::free(block); }
void operator delete[](void* block, std::align_val_t) noexcept { std::free(block); }
void operator delete(void* block, size_t, std::align_val_t) noexcept { std::free(block); }
void operator delete[](void* block, size_t, std::align_val_t) noexcept { std::free(block); }

namespace fairlead {
namespace {

constexpr size_t kRequest = 64;

Task<void> serve(TcpSocket socket) {
  std::array<uint8_t, kRequest> buffer;
  Result<size_t> n = co_await socket.read(buffer);
  if (n) (void)co_await socket.write_all(ByteSpan(buffer).first(*n));
}

Task<void> server(Runtime runtime, TcpListener& listener) {
  while (true) {
    TcpSocket socket = co_await listener.accept();
    if (socket.is_open()) (void)runtime.scheduler.spawn(serve(std::move(socket)));
  }
}

Task<void> client(Runtime runtime, host::Stack::ConnectOptions to, int count, int& done) {
  std::array<uint8_t, kRequest> buffer{};
  for (int i = 0; i < count; ++i) {
    Result<TcpSocket> socket = co_await TcpSocket::connect(runtime, to);
    if (!socket) co_return;
    (void)co_await socket->write_all(buffer);
    Result<size_t> n = co_await socket->read(buffer);
    if (!n || *n != kRequest) co_return;
    socket->close();
    ++done;
    // In no time at all a port may come again while the server's clocks show the same.
    co_await runtime.scheduler.sleep_for(milliseconds(1));
  }
}

TEST(Allocations, AShortConnectionMakesNone) {
  host::StackConfig config;
  config.max_time_wait = 64;   // full after the warm-up
  ShardPair pair(config, 32);  // the port's own frame buffers are warm soon
  auto listener = *TcpListener::listen(pair.server_runtime(), pair.server_endpoint(), {});
  ASSERT_TRUE(pair.server().scheduler().spawn(server(pair.server_runtime(), *listener)));
  int done = 0;
  auto connections = [&](int count) {
    for (int at_once = 0; at_once < 4; ++at_once) {
      (void)pair.client().scheduler().spawn(
          client(pair.client_runtime(), pair.to_server(), count, done));
    }
    pair.run(milliseconds(500));
  };
  connections(100);
  EXPECT_EQ(done, 400);
  uint64_t before = allocations;
  connections(100);
  EXPECT_EQ(done, 800);
  EXPECT_EQ(allocations - before, 0u);
  pair.server().scheduler().cancel_all();
}

}  // namespace
}  // namespace fairlead
