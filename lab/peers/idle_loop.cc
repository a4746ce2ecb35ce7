// idle_loop: counts on what is left of a processor, at the lowest priority there is. What it
// counted in a second, beside what it counts when it is alone, says how busy the processor was with
// everything, interrupts included, which no statistics of the kernel do that are sampled at clock
// ticks.
//
//   taskset -c 0 idle_loop FILE      the first 8 bytes of FILE, host order: how far it has counted
#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>

#include "base/unique_fd.h"

namespace {

constexpr int kStepsPerCount = 1000;  // about a microsecond

int failed(const char* what) {
  fmt::print(stderr, "idle_loop: {}: {}\n", what, std::strerror(errno));
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    fmt::print(stderr, "usage: idle_loop FILE\n");
    return 2;
  }
  const fairlead::UniqueFd file(::open(argv[1], O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!file || ::ftruncate(file.get(), sizeof(uint64_t)) != 0) return failed(argv[1]);
  void* const page =
      ::mmap(nullptr, sizeof(uint64_t), PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
  if (page == MAP_FAILED) return failed("mmap");
  const sched_param none{};
  if (::sched_setscheduler(0, SCHED_IDLE, &none) != 0) return failed("SCHED_IDLE");
  const std::atomic_ref count(*static_cast<uint64_t*>(page));
  uint64_t value = 1;
  for (;;) {
    // Each step waits for the one before.
    for (int i = 0; i < kStepsPerCount; ++i) {
      value = value * 3 + 1;
      asm volatile("" : "+r"(value));
    }
    count.fetch_add(1, std::memory_order_relaxed);
  }
}
