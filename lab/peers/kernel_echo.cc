// kernel_echo: Fairlead's echo service as a program on kernel sockets. The reference in tests (what
// passes against it and not against Fairlead is Fairlead's fault) and the peer in benchmarks: one
// thread, epoll, the same modes.
//
//   kernel_echo --echo 198.18.0.1 7 --discard 198.18.0.1 9 --chargen 2001:db8::1 19
//
// Prints "ready" when all of them listen; ends on SIGTERM.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "lab/peers/echo_connection.h"
#include "lab/peers/sockets.h"

namespace fairlead::lab {
namespace {

// Large enough that a system call moves what the socket holds at most times, small enough for L2.
constexpr size_t kScratch = 256 * 1024;
constexpr int kAcceptsPerTurn = 64;

class EchoListener : public Pollable {
 public:
  EchoListener(UniqueFd socket, const EchoService& service, Poller& poller,
               std::span<std::byte> scratch)
      : socket_(std::move(socket)), service_(service), poller_(poller), scratch_(scratch) {
    set_nodelay(socket_);  // what is accepted inherits it
    poller_.add(socket_, *this, Interest::kInput);
  }

  void on_ready() override {
    for (int i = 0; i < kAcceptsPerTurn; ++i) {
      UniqueFd accepted = accept_from(socket_);
      if (!accepted) return;
      EchoConnection::start(std::move(accepted), service_, poller_, scratch_);
    }
    poller_.again(*this);
  }

 private:
  UniqueFd socket_;
  EchoService service_;
  Poller& poller_;
  std::span<std::byte> scratch_;
};

using AddressAndPort = std::pair<std::string, uint16_t>;

struct Options {
  std::vector<AddressAndPort> by_mode[3];  // indexed by EchoMode
  int backlog = 1024;                      // Fairlead's default
  uint64_t limit = EchoService{}.limit;
};

Result<void> serve(const Options& options) {
  raise_descriptor_limit();
  Poller poller;
  std::vector<std::byte> scratch(kScratch);
  std::deque<EchoListener> listeners;
  for (const EchoMode mode : {EchoMode::kEcho, EchoMode::kDiscard, EchoMode::kChargen}) {
    for (const auto& [text, port] : options.by_mode[static_cast<size_t>(mode)]) {
      const auto address = IpAddress::parse(text);
      if (!address) return fail(address.error().code, address.error().message);
      auto socket = listen_on({*address, port}, options.backlog);
      if (!socket) return fail(socket.error().code, socket.error().message);
      listeners.emplace_back(std::move(*socket), EchoService{mode, options.limit}, poller, scratch);
    }
  }
  if (listeners.empty()) return fail(Errc::kInvalidArgument, "nothing to serve; see --help");
  std::puts("ready");
  std::fflush(stdout);
  while (true) poller.wait(hours(1));
}

}  // namespace
}  // namespace fairlead::lab

int main(int argc, char** argv) {
  fairlead::lab::Options options;
  CLI::App app("Echo, discard and chargen servers on kernel sockets");
  app.add_option("--echo", options.by_mode[0], "ADDRESS PORT: send back what comes");
  app.add_option("--discard", options.by_mode[1], "ADDRESS PORT: throw away what comes");
  app.add_option("--chargen", options.by_mode[2], "ADDRESS PORT: send while somebody reads");
  app.add_option("--backlog", options.backlog, "connections that may wait to be accepted");
  app.add_option("--limit", options.limit, "bytes after which an echo server closes (none)")
      ->check(CLI::Range(uint64_t{1}, UINT64_MAX));
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  if (const auto served = fairlead::lab::serve(options); !served) {
    fmt::print(stderr, "kernel_echo: {}\n", served.error().to_string());
    return 1;
  }
}
