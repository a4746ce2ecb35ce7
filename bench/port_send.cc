// What a short frame costs its sender in the two ways of sending of an AF_PACKET port: each by a
// message of its own, and in bursts that leave with one system call (port/send_burst.h). Needs
// root: makes two namespaces and a veth pair.
//
//     sender, processor 0 ── veth ── nobody, processor 1
//
// Bursts leave with a pause between them, in which all that was sent has been dealt with. With
// receive packet steering (RPS) that is done on the receiver's processor, which has other work (a
// loop) that must be interrupted for it; without, on the sender's, in its time.
#include <fmt/format.h>
#include <sched.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <thread>
#include <vector>

#include "base/check.h"
#include "base/time.h"
#include "nic/steering/send_bursts.h"
#include "tests/namespaces.h"
#include "tests/port_frames.h"

namespace fairlead::port {
namespace {

constexpr int kBursts = 2000;
constexpr int kRuns = 5;
constexpr Duration kPause = microseconds(100);
constexpr size_t kPayload = 64;

double thread_microseconds() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_nsec) / 1e3;
}

/// The sender's CPU time for each frame, the median of the runs.
double microseconds_each(Port& port, std::span<const TxPacket> packets) {
  std::array<double, kRuns> runs{};
  for (double& run : runs) {
    double busy = 0;
    for (int i = 0; i < kBursts; ++i) {
      const double before = thread_microseconds();
      CHECK(port.transmit(packets) == packets.size());
      busy += thread_microseconds() - before;
      std::this_thread::sleep_for(kPause);
    }
    run = busy / (kBursts * static_cast<double>(packets.size()));
  }
  std::ranges::nth_element(runs, runs.begin() + kRuns / 2);
  return runs[kRuns / 2];
}

void pin_to(int processor) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(processor, &set);
  ::sched_setaffinity(0, sizeof set, &set);
}

void run() {
  std::jthread other_work([](const std::stop_token& stop) {
    pin_to(1);
    while (!stop.stop_requested()) {
    }
  });
  pin_to(0);
  test::NamespacePair namespaces;
  namespaces.run_in_a("sysctl -qw net.ipv6.conf.all.disable_ipv6=1");
  namespaces.run_in_b("sysctl -qw net.ipv6.conf.all.disable_ipv6=1");
  namespaces.enter_a();
  const std::unique_ptr<Port> receiver = test::open_port({.interface = "fl-a"});
  namespaces.enter_b();
  auto bursts = nic::SendBursts::attach("fl-b", 1);
  CHECK(bursts.has_value());
  const std::unique_ptr<Port> messages = test::open_port({.interface = "fl-b"});
  const std::unique_ptr<Port> burst =
      test::open_port({.interface = "fl-b", .bursts = (*bursts)->memory()});
  const std::vector<uint8_t> payload(kPayload, 0x5a);
  fmt::print("{:>8} {:>6} {:>9} {:>9} {:>16}\n", "at once", "RPS", "messages", "burst",
             "burst ÷ messages");
  for (const bool rps : {true, false}) {
    // /sys shows the namespace it was mounted in.
    namespaces.run_in_a(
        fmt::format("unshare -m sh -c 'mount -t sysfs none /sys; "
                    "echo {} >/sys/class/net/fl-a/queues/rx-0/rps_cpus'",
                    rps ? 2 : 0));
    for (const size_t count : {1uz, 2uz, 4uz, 8uz, 16uz, 32uz, 64uz}) {
      const std::vector<TxPacket> packets(count,
                                          test::tcp_packet(*burst, *receiver, false, payload));
      const double one = microseconds_each(*messages, packets);
      const double other = microseconds_each(*burst, packets);
      fmt::print("{:>8} {:>6} {:>6.2f} µs {:>6.2f} µs {:>16.2f}\n", count, rps ? "on" : "off", one,
                 other, other / one);
    }
  }
}

}  // namespace
}  // namespace fairlead::port

int main() {
  if (const std::string why = fairlead::test::NamespacePair::why_not(); !why.empty()) {
    fmt::print(stderr, "bench_port_send: {}\n", why);
    return 1;
  }
  fairlead::port::run();
  return 0;
}
