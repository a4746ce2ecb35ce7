// Short connections on the steady path allocate nothing and call no kernel: not per connection, per
// await or per packet, whatever the NIC stack does of them. This binary counts every operator new,
// and in a child process every system call.
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <functional>
#include <memory>
#include <new>
#include <string>

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

/// Who does what of a connection beside the application.
struct Offload {
  const char* name;
  bool setup = false;
  bool teardown = false;
};

class SteadyPath : public testing::TestWithParam<Offload> {
 protected:
  void SetUp() override {
    host::ListenOptions options;
    options.setup_offload = GetParam().setup;
    options.socket.teardown_offload = GetParam().teardown;
    auto listener = TcpListener::listen(pair_.server_runtime(), pair_.server_endpoint(), options);
    ASSERT_TRUE(listener.has_value());
    listener_ = std::move(*listener);
    ASSERT_TRUE(pair_.server().scheduler().spawn(server(pair_.server_runtime(), *listener_)));
    make_connections();  // pools grow, tables fill
    ASSERT_EQ(done_, kConnections);
  }
  void TearDown() override { pair_.server().scheduler().cancel_all(); }

  void make_connections() {
    for (int at_once = 0; at_once < 4; ++at_once) {
      (void)pair_.client().scheduler().spawn(
          client(pair_.client_runtime(), pair_.to_server(), kConnections / 4, done_));
    }
    pair_.run(milliseconds(500));
  }
  static host::StackConfig config() {
    host::StackConfig config;
    config.max_time_wait = 64;  // full after the warm-up
    config.max_teardowns = 64;
    return config;
  }

  static constexpr int kConnections = 400;

  ShardPair pair_{config(), 32};  // the port's own frame buffers are warm soon
  std::unique_ptr<TcpListener> listener_;
  int done_ = 0;
};

TEST_P(SteadyPath, AShortConnectionAllocatesNothing) {
  const uint64_t before = allocations;
  make_connections();
  EXPECT_EQ(done_, 2 * kConnections);
  EXPECT_EQ(allocations - before, 0u);
  const host::Stack& stack = pair_.server().stack();
  EXPECT_EQ(stack.setup().count(FL_SETUP_NEW_CONNECTION) > 0, GetParam().setup);
  EXPECT_EQ(stack.teardown().counters().taken > 0, GetParam().teardown);
}

volatile std::sig_atomic_t system_calls = 0;

/// From here on they are counted, fail, and go no further; but for those that end the process.
void count_system_calls() {
  struct sigaction action{};
  action.sa_handler = [](int) { system_calls = system_calls + 1; };
  CHECK(::sigaction(SIGSYS, &action, nullptr) == 0);
  constexpr auto kNumber = static_cast<uint32_t>(offsetof(seccomp_data, nr));
  sock_filter filter[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, kNumber),
                          BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 2, 0),
                          BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_rt_sigreturn, 1, 0),
                          BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
                          BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  sock_fprog program{.len = static_cast<uint16_t>(std::size(filter)), .filter = filter};
  CHECK(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
  CHECK(::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}

/// How many `act` makes, up to 250; in a child process.
int system_calls_of(const std::function<void()>& act) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::alarm(10);
    count_system_calls();
    act();
    ::_exit(std::min(int{system_calls}, 250));
  }
  int status = 0;
  CHECK(::waitpid(child, &status, 0) == child);
  EXPECT_TRUE(WIFEXITED(status)) << "signal " << WTERMSIG(status);
  return WEXITSTATUS(status);
}

TEST_P(SteadyPath, AShortConnectionMakesNoSystemCall) {
  EXPECT_EQ(system_calls_of([] { ::getppid(); }), 1);
  EXPECT_EQ(system_calls_of([this] {
              make_connections();
              if (done_ != 2 * kConnections) ::_exit(255);
            }),
            0);
}

INSTANTIATE_TEST_SUITE_P(ByOffload, SteadyPath,
                         testing::Values(Offload{.name = "none"},
                                         Offload{.name = "setup", .setup = true},
                                         Offload{"setupAndTeardown", true, true}),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace fairlead
