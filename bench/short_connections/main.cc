// short_connections: one measurement of AccelTCP's (NSDI '20, §6.1): many clients, each with one
// short connection after the other, against an echo server on Fairlead's host stack.
//
//     processor 0                               processor 1
//     echo server, host stack (HostCore) ══════ NIC, clients (NicCore)
//                                        pipes
//
// Prints one JSON object. The rate is that of a host core which is never idle: transactions by the
// time that its thread had something to do, in cycles of the time stamp counter, less the share of
// time in which another process ran there. A core that was idle is told of a frame 20 us after it
// came, as by a network card with interrupt moderation, and so takes bursts like a busy one.
// bench/short_connections.py makes the paper's tables.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <bit>
#include <string>
#include <thread>
#include <utility>

#include "bench/short_connections/host_core.h"
#include "bench/short_connections/nic_core.h"
#include "bench/short_connections/thread.h"
#include "nic/channel/channel.h"

namespace fairlead::bench {
namespace {

constexpr Endpoint kServer{IpAddress::v4(0x0a000001), 7};
constexpr MacAddress kHostMac{{2, 0, 0, 0, 0, 1}};
constexpr MacAddress kClientMac{{2, 0, 0, 0, 0, 2}};
constexpr uint32_t kHeaders = 14 + 20 + 60;

struct Arguments {
  uint32_t clients = 16384;
  uint32_t message = 64;
  uint32_t per_connection = 1;
  bool client_closes = false;
  bool separate_acks = false;
  bool setup = false;
  bool teardown = false;
  bool quasi = false;
  uint32_t ring = 1024;
  double warm_up = 0.5;
  double seconds = 2;
  int host_processor = 0;
  int nic_processor = 1;
};

HostCore::Options host_options(const Arguments& arguments) {
  HostCore::Options options;
  options.processor = arguments.host_processor;
  options.port.name = "ring";
  options.port.mac = kHostMac;
  options.path.source = kServer.address;
  options.path.local_mac = kHostMac;
  options.path.next_hop = kClientMac;
  options.service.endpoint = kServer;
  // All clients come at once at the start.
  options.service.listen.backlog = options.service.listen.syn_queue = 2 * arguments.clients;
  options.service.listen.setup_offload = arguments.setup;
  options.service.listen.socket.teardown_offload = arguments.teardown;
  options.service.listen.socket.quasi_tcb = arguments.quasi;
  if (arguments.per_connection > 0 && !arguments.client_closes) {
    options.service.bytes = size_t{arguments.message} * arguments.per_connection;
  }
  return options;
}

NicCore::Options nic_options(const Arguments& arguments) {
  return {.processor = arguments.nic_processor,
          .clients = {.server = kServer,
                      .server_mac = kHostMac,
                      .mac = kClientMac,
                      .clients = arguments.clients,
                      .message = arguments.message,
                      .per_connection = arguments.per_connection,
                      .client_closes = arguments.client_closes,
                      .separate_acks = arguments.separate_acks},
          .path = host_options(arguments).path};
}

void sleep_for(double seconds) {
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
}

/// At one instant, about.
struct Instant {
  Instant(HostCore& host_core, NicCore& nic_core)
      : time(monotonic_now()), counter(cycles()), host(host_core.read()), nic(nic_core.read()) {}

  Time time;
  uint64_t counter;
  HostCore::Reading host;
  NicCore::Reading nic;
};

/// Members of a JSON object.
std::string rates(const Instant& from, const Instant& to) {
  const double seconds = std::chrono::duration<double>(to.time - from.time).count();
  const double hertz = static_cast<double>(to.counter - from.counter) / seconds;
  const double host_cpu = (to.host.cpu_seconds - from.host.cpu_seconds) / seconds;
  const double nic_cpu = (to.nic.cpu_seconds - from.nic.cpu_seconds) / seconds;
  const auto transactions = static_cast<double>(to.nic.transactions - from.nic.transactions);
  const double busy = static_cast<double>(to.host.busy - from.host.busy) / hertz * host_cpu;
  const auto each = [&](uint64_t first, uint64_t last) {
    return static_cast<double>(last - first) / transactions;
  };
  return fmt::format(
      R"("transactions_per_second": {:.0f}, "cycles": {:.0f}, "seconds": {:.3f}, )"
      R"("transactions": {:.0f}, "connections": {}, "host_busy": {:.4f}, "host_processor": {:.4f}, )"
      R"("nic_processor": {:.4f}, "gigahertz": {:.4f}, "rx_frames": {:.3f}, "tx_frames": {:.3f}, )"
      R"("frames_per_turn": {:.1f})",
      transactions / busy, busy * hertz / transactions, seconds, transactions,
      to.nic.connections - from.nic.connections, busy / seconds / host_cpu, host_cpu, nic_cpu,
      hertz / 1e9, each(from.host.rx_frames, to.host.rx_frames),
      each(from.host.tx_frames, to.host.tx_frames),
      static_cast<double>(to.host.rx_frames - from.host.rx_frames) /
          static_cast<double>(to.host.turns - from.host.turns));
}

std::string errors(const ClientCounters& counters) {
  return fmt::format(
      R"("errors": {{"wrong_bytes": {}, "resets": {}, "malformed": {}, "refused_options": {}, )"
      R"("unanswered": {}}}, "late": {{"gaps": {}, "repeated": {}, "retries": {}}})",
      counters.wrong_bytes, counters.resets, counters.malformed, counters.refused_options,
      counters.unanswered, counters.gaps, counters.repeated, counters.retries);
}

int run(const Arguments& arguments) {
  const uint32_t largest = kHeaders + arguments.message;
  FramePipe to_host(arguments.ring, ClientGenerator::kMaxFrame + nic::kMaxChannelOverhead);
  FramePipe from_host(arguments.ring, std::max<size_t>(ClientGenerator::kMaxFrame, largest) +
                                          nic::kMaxChannelOverhead);
  HostCore host(host_options(arguments), to_host, from_host);
  NicCore nic(nic_options(arguments), to_host, from_host);
  sleep_for(arguments.warm_up);
  const Instant from(host, nic);
  sleep_for(arguments.seconds);
  const Instant to(host, nic);
  nic.stop();
  host.stop();
  if (to.nic.transactions == from.nic.transactions) {
    fmt::print(stderr, "short_connections: not one transaction in {} s\n", arguments.seconds);
    return 1;
  }
  fmt::print("{{{}, {}, \"host\": {{", rates(from, to), errors(nic.counters()));
  std::string_view comma;
  host.counters().for_each([&](std::string_view name, uint64_t value) {
    if (value > 0) fmt::print("{}\"{}\": {}", std::exchange(comma, ", "), name, value);
  });
  fmt::print("}}}}\n");
  return nic.counters().errors() == 0 ? 0 : 1;
}

std::string power_of_two(const std::string& text) {
  uint32_t value = 0;
  const bool is_one = CLI::detail::lexical_cast(text, value) && std::has_single_bit(value);
  return is_one ? "" : text + " is not a power of two";
}

}  // namespace
}  // namespace fairlead::bench

int main(int argc, char** argv) {
  fairlead::bench::Arguments arguments;
  CLI::App app("One measurement of short connections. Status 1: a client was not served right.");
  app.add_option("--clients", arguments.clients, "at a time; a power of two")
      ->capture_default_str()
      ->check(CLI::Range(1u, fairlead::bench::ClientGenerator::kMaxClients))
      ->check(fairlead::bench::power_of_two);
  app.add_option("--message", arguments.message, "bytes of a request and of its response")
      ->capture_default_str()
      ->check(CLI::Range(1u, fairlead::bench::ClientGenerator::kMaxMessage));
  app.add_option("--per-connection", arguments.per_connection,
                 "transactions of a connection; 0: all")
      ->capture_default_str();
  app.add_flag("--client-closes", arguments.client_closes, "the client closes first");
  app.add_flag("--separate-acks", arguments.separate_acks,
               "clients acknowledge before they send, as a kernel's do");
  app.add_flag("--setup", arguments.setup, "the NIC does handshakes");
  app.add_flag("--teardown", arguments.teardown, "the NIC closes connections");
  app.add_flag("--quasi", arguments.quasi, "the host begins with quasi-TCBs");
  app.add_option("--ring", arguments.ring, "frames under way, each direction; a power of two")
      ->capture_default_str()
      ->check(fairlead::bench::power_of_two);
  app.add_option("--warm-up", arguments.warm_up, "seconds")->capture_default_str();
  app.add_option("--seconds", arguments.seconds)->capture_default_str();
  app.add_option("--host-processor", arguments.host_processor)->capture_default_str();
  app.add_option("--nic-processor", arguments.nic_processor)->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  return fairlead::bench::run(arguments);
}
