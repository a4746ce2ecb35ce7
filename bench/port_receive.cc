// What the two receive modes of an AF_PACKET port cost and give: round-trip latency at low load,
// bulk throughput of super-packets, rate of small packets, and the receiver's CPU time for each.
// Needs root: makes two namespaces and a veth pair.
//
//     sender, processor 0 ── veth ── receiver, processor 1
//
// The sender never waits for the receiver, so what is dropped says how far the receiver fell
// behind. On veth the kernel's receive work, up to and including the copy into a ring and waking
// the reader, runs on the sender's processor: a ring makes the sender slower where recvmmsg() makes
// the receiver work. So a reader may also look without end, which nobody has to wake.
#include <fmt/format.h>
#include <poll.h>
#include <sched.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <thread>
#include <vector>

#include "base/check.h"
#include "base/time.h"
#include "port/af_packet.h"
#include "tests/namespaces.h"
#include "tests/port_frames.h"
#include "wire/checksum.h"

namespace fairlead::port {
namespace {

constexpr Duration kDuration = seconds(2);
constexpr int kPings = 5000;

enum class Reader : uint8_t { kSleeps, kSpins };

void pin_to(int processor) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(processor, &set);
  ::sched_setaffinity(0, sizeof set, &set);
}

/// A super-packet where there is more than fits a segment.
TxPacket packet_to(const Port& to, const Port& from, ByteSpan payload) {
  TxPacket packet = test::tcp_packet(from, to, false, payload);
  if (payload.size() > 1460) packet.gso_size = 1460;
  return packet;
}

bool wait_for_packet(const Port& port, int milliseconds_at_most) {
  pollfd waiting{.fd = port.poll_fd(), .events = POLLIN, .revents = 0};
  return ::poll(&waiting, 1, milliseconds_at_most) > 0;
}

struct Link {
  test::NamespacePair namespaces;
  std::unique_ptr<Port> sender;
  std::unique_ptr<Port> receiver;

  explicit Link(ReceiveMode mode) {
    namespaces.run_in_a("sysctl -qw net.ipv6.conf.all.disable_ipv6=1");
    namespaces.run_in_b("sysctl -qw net.ipv6.conf.all.disable_ipv6=1");
    receiver = test::open_port({.interface = "fl-b", .receive = mode});
    namespaces.enter_a();
    sender = test::open_port({.interface = "fl-a", .receive = ReceiveMode::kSocket});
    namespaces.enter_b();
  }
};

/// Receives until told to stop, reading every byte once, as a host stack would. With `answer` each
/// packet is answered by one like it.
void run_receiver(Port& port, Reader reader, const std::atomic<bool>& stop,
                  const TxPacket* answer) {
  pin_to(1);
  std::array<RxPacket, 32> burst;
  volatile uint64_t seen = 0;
  while (!stop.load(std::memory_order_relaxed)) {
    const size_t n = port.receive(burst);
    for (size_t i = 0; i < n; ++i) seen = seen + checksum_add(0, burst[i].frame);
    port.release();
    for (size_t i = 0; answer != nullptr && i < n; ++i) port.transmit({answer, 1});
    if (n == 0 && reader == Reader::kSleeps) wait_for_packet(port, 20);
  }
}

std::string latency(ReceiveMode mode, Reader reader) {
  Link link(mode);
  const TxPacket ping = packet_to(*link.receiver, *link.sender, {});
  const TxPacket pong = packet_to(*link.sender, *link.receiver, {});
  std::atomic<bool> stop{false};
  std::thread receiver([&] { run_receiver(*link.receiver, reader, stop, &pong); });
  std::array<RxPacket, 8> burst;
  std::vector<double> microseconds_each;
  for (int i = 0; i < kPings; ++i) {
    std::this_thread::sleep_for(microseconds(200));
    const Time sent = monotonic_now();
    link.sender->transmit({&ping, 1});
    if (!wait_for_packet(*link.sender, 100)) continue;
    microseconds_each.push_back(static_cast<double>((monotonic_now() - sent).count()) / 1e3);
    link.sender->receive(burst);
    link.sender->release();
  }
  stop = true;
  receiver.join();
  std::ranges::sort(microseconds_each);
  CHECK(!microseconds_each.empty());
  return fmt::format("{:>9.0f} {:>9.0f}", microseconds_each[microseconds_each.size() / 2],
                     microseconds_each[microseconds_each.size() * 99 / 100]);
}

double thread_cpu_seconds() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

std::string rate(ReceiveMode mode, Reader reader, size_t payload_size) {
  Link link(mode);
  const std::vector<uint8_t> payload(payload_size, 0x5a);
  const std::vector<TxPacket> packets(32, packet_to(*link.receiver, *link.sender, payload));
  std::atomic<bool> stop{false};
  double busy = 0;  // seconds
  std::thread receiver([&] {
    run_receiver(*link.receiver, reader, stop, nullptr);
    busy = thread_cpu_seconds();
  });
  const Time start = monotonic_now();
  while (monotonic_now() - start < kDuration) link.sender->transmit(packets);
  stop = true;
  receiver.join();
  const double elapsed = std::chrono::duration<double>(monotonic_now() - start).count();
  const PortCounters& counters = link.receiver->counters();
  const double total = static_cast<double>(counters.rx_packets + counters.rx_dropped);
  const double dropped = 100 * static_cast<double>(counters.rx_dropped) / std::max(total, 1.0);
  const double received = payload_size == 0 ? static_cast<double>(counters.rx_packets) / 1e6
                                            : static_cast<double>(counters.rx_bytes) / 1e9;
  const double each = busy * 1e6 / static_cast<double>(std::max<uint64_t>(counters.rx_packets, 1));
  return fmt::format("{:>8.2f} {:>7.0f} % {:>8.2f}", received / elapsed, dropped, each);
}

void run() {
  pin_to(0);
  fmt::print("{:<7} {:<7} {:>9} {:>9} {:>8} {:>9} {:>8} {:>8} {:>9} {:>8}\n", "receive", "reader",
             "p50 us", "p99 us", "GB/s", "dropped", "CPU us", "Mpps", "dropped", "CPU us");
  for (const Reader reader : {Reader::kSleeps, Reader::kSpins}) {
    for (const ReceiveMode mode : {ReceiveMode::kSocket, ReceiveMode::kRing}) {
      fmt::print("{:<7} {:<7} {} {} {}\n", mode == ReceiveMode::kRing ? "ring" : "socket",
                 reader == Reader::kSpins ? "spins" : "sleeps", latency(mode, reader),
                 rate(mode, reader, 64'000), rate(mode, reader, 0));
    }
  }
}

}  // namespace
}  // namespace fairlead::port

int main() {
  if (const std::string why = fairlead::test::NamespacePair::why_not(); !why.empty()) {
    fmt::print(stderr, "bench_port_receive: {}\n", why);
    return 1;
  }
  fairlead::port::run();
  return 0;
}
