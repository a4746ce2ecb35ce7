// What an idle established connection costs in memory: Fairlead's host stack, and the kernel's TCP
// in the same run.
//
// Fairlead: two simulated hosts open kConnections connections; what the process has grown by,
// divided by the number of ends. That counts everything: connection, flow table, pools' slack.
// Kernel: loopback connections; the growth of its slab caches. Other activity on the machine shows
// in that figure, so it is the smallest of a few rounds.
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "host/connection.h"
#include "host/flight.h"
#include "host/time_wait.h"
#include "sim/host.h"

namespace fairlead {
namespace {

constexpr size_t kConnections = 100'000;
constexpr int kKernelRounds = 3;
constexpr IpAddress kServer = IpAddress::v4(0xc6120001);
constexpr IpAddress kClient = IpAddress::v4(0xc6120002);

/// Bytes of the line "name   N kB" of a /proc file; 0 when there is none.
size_t proc_kilobytes(const char* file, std::string_view name) {
  std::ifstream in(file);
  std::string line;
  while (std::getline(in, line)) {
    if (line.starts_with(name)) return std::stoul(line.substr(name.size())) * 1024;
  }
  return 0;
}

/// Opens kConnections connections; returns bytes per end, or nullopt when that failed.
std::optional<double> fairlead_bytes_per_end() {
  auto options = [](IpAddress address, uint8_t id) {
    sim::SimHostOptions o{.addresses = {address}, .id = id, .stack = {}};
    o.stack.local_port_first = 10'000;
    return o;
  };
  sim::Simulator simulator(1);
  sim::SimHost client(simulator, options(kClient, 2));
  sim::SimHost server(simulator, options(kServer, 1));
  sim::Link there(simulator, {}, [&](auto f) { server.receive(std::move(f)); });
  sim::Link back(simulator, {}, [&](auto f) { client.receive(std::move(f)); });
  client.attach([&](auto f) { there.send(std::move(f)); });
  server.attach([&](auto f) { back.send(std::move(f)); });

  std::vector<host::Listener*> listeners;
  for (uint16_t port = 7; port <= 8; ++port)
    listeners.push_back(*server.stack().listen({kServer, port}, {}));
  std::vector<host::Connection*> ours;
  std::vector<host::Connection*> theirs;
  ours.reserve(kConnections);
  theirs.reserve(kConnections);
  server.set_application([&] {
    for (host::Listener* l : listeners) {
      while (host::Connection* c = l->accept()) theirs.push_back(c);
    }
  });

  const size_t before = proc_kilobytes("/proc/self/status", "VmRSS:");
  for (size_t i = 0; i < kConnections; ++i) {
    const auto port = static_cast<uint16_t>(7 + i % 2);
    auto c = client.stack().connect(
        {.remote = {kServer, port}, .source = {}, .local_port = {}, .socket = {}}, simulator.now());
    if (!c) return std::nullopt;
    ours.push_back(*c);
    if (i % 500 == 499) {
      client.turn();
      simulator.run(simulator.now() + milliseconds(5));
    }
  }
  simulator.run(simulator.now() + minutes(1));
  const size_t after = proc_kilobytes("/proc/self/status", "VmRSS:");
  const bool complete = theirs.size() == kConnections;
  for (host::Connection* c : ours) client.stack().release(c);
  for (host::Connection* c : theirs) server.stack().release(c);
  if (!complete) return std::nullopt;
  return static_cast<double>(after - before) / (2.0 * kConnections);
}

/// As many loopback connections as descriptors allow; bytes of slab memory per end.
std::optional<double> kernel_bytes_per_end() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  const size_t count = std::min<size_t>((limit.rlim_max - 100) / 2, 20'000);

  UniqueFd listener(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (bind(listener.get(), generic, size) != 0 || listen(listener.get(), 1024) != 0 ||
      getsockname(listener.get(), generic, &size) != 0) {
    return std::nullopt;
  }
  std::vector<UniqueFd> ends;
  ends.reserve(2 * count);
  const size_t before = proc_kilobytes("/proc/meminfo", "Slab:");
  for (size_t i = 0; i < count; ++i) {
    UniqueFd client(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (connect(client.get(), generic, size) != 0) return std::nullopt;
    UniqueFd server(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (server.get() < 0) return std::nullopt;
    ends.push_back(std::move(client));
    ends.push_back(std::move(server));
  }
  const size_t after = proc_kilobytes("/proc/meminfo", "Slab:");
  if (after <= before) return std::nullopt;
  return static_cast<double>(after - before) / static_cast<double>(2 * count);
}

int run() {
  const std::optional<double> ours = fairlead_bytes_per_end();
  if (!ours) {
    fmt::print(stderr, "idle_memory_bench: not all connections were established\n");
    return 1;
  }
  double kernel = std::numeric_limits<double>::max();
  for (int i = 0; i < kKernelRounds; ++i) {
    kernel = std::min(kernel, kernel_bytes_per_end().value_or(kernel));
  }
  if (kernel != std::numeric_limits<double>::max()) {
    fmt::print("ratio to the kernel's TCP            {:.2f}\n", *ours / kernel);
    fmt::print("kernel, all slab caches              {:.0f} bytes\n", kernel);
  }
  fmt::print("Fairlead, resident, {} connections  {:.0f} bytes\n", kConnections, *ours);
  fmt::print("  Connection, with its quasi-TCB     {} bytes\n", sizeof(host::Connection));
  fmt::print("  + full TCB                         {} bytes\n", sizeof(host::Tcb));
  fmt::print("  + Flight, while data is in flight  {} bytes\n", sizeof(host::Flight));
  fmt::print("  instead of both, in TIME-WAIT      {} bytes\n", sizeof(host::TimeWait));
  return 0;
}

}  // namespace
}  // namespace fairlead

int main() { return fairlead::run(); }
