#include "api/host.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <iterator>
#include <utility>

#include "api/sockaddr.h"
#include "app/privileges.h"

namespace fairlead::api {
namespace {

/// What a program that brings its own service has no use for.
std::string_view service_in(const control::Config& config) {
  if (!config.echo_servers.empty()) return "echo_server";
  if (!config.virtual_servers.empty()) return "virtual_server";
  if (!config.aggregators.empty()) return "aggregator";
  if (config.metrics) return "metrics";
  return {};
}

Result<void> check(const control::Config& config) {
  if (const std::string_view service = service_in(config); !service.empty()) {
    return fail(Errc::kInvalidArgument,
                fmt::format("found \"{}\"; services are for \"fairlead run\", a program's sockets "
                            "take interface, shards, tcp, local_ports and bounds",
                            service));
  }
  return app::check_privileges();
}

/// No program on kernel sockets listens there, nor will one: packets would not reach it any more.
Result<UniqueFd> reserve_in_kernel(const Endpoint& endpoint) {
  const int family = endpoint.address.is_v4() ? AF_INET : AF_INET6;
  const int on = 1;
  const sockaddr_storage at = sockaddr_of(endpoint);
  UniqueFd fd(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  // What rests in TIME-WAIT there does not matter.
  if (fd) ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (fd && family == AF_INET6) {
    ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  }
  if (fd && ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&at), sizeof at) == 0) return fd;
  return fail(errc_from_errno(errno),
              fmt::format("{}: {}", endpoint.to_string(), std::strerror(errno)));
}

/// Keeps signals from the threads that are made meanwhile: they are the program's.
class NoSignals {
 public:
  NoSignals() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~NoSignals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  NoSignals(const NoSignals&) = delete;

 private:
  sigset_t before_{};
};

}  // namespace

Result<std::unique_ptr<Host>> Host::open(control::Config config) {
  if (auto checked = check(config); !checked) return std::unexpected(checked.error());
  config.reserve_local_ports = true;  // for fl_connect()
  const NoSignals no_signals;
  std::unique_ptr<Host> host(new Host(config.log_level));
  if (auto started = host->start(config); !started) return std::unexpected(started.error());
  return host;
}

Result<void> Host::start(const control::Config& config) {
  stop_ = UniqueFd(::eventfd(0, EFD_CLOEXEC));
  if (!stop_) return fail(errc_from_errno(errno), fmt::format("eventfd: {}", std::strerror(errno)));
  auto path = app::DataPath::open(config, log_);
  if (!path) return std::unexpected(path.error());
  path_ = std::move(*path);
  make_contexts(config);
  thread_ = std::thread([this] { run(); });
  return {};
}

void Host::make_contexts(const control::Config& config) {
  Context::Options options{.listen = config.listen,
                           .local_ports = app::local_ports_of(config),
                           .max_sockets = config.stack.max_connections + config.stack.max_listeners,
                           .claim = [this](const Endpoint& endpoint) { return claim(endpoint); },
                           .give_back = [this](const Endpoint& endpoint) { give_back(endpoint); }};
  for (app::ShardMember* member : path_->shards().members()) {
    contexts_.push_back(std::make_unique<Context>(*member->shard, options));
  }
}

Host::~Host() {
  if (thread_.joinable()) {
    const uint64_t one = 1;
    [[maybe_unused]] const ssize_t n = ::write(stop_.get(), &one, sizeof one);
    thread_.join();
  }
  for (const auto& context : contexts_) context->close();
  path_.reset();  // splices report to contexts to its end
}

void Host::run() {
  constexpr int kInterval = static_cast<int>(app::DataPath::kProcessInterval / milliseconds(1));
  while (true) {
    pollfd fds[] = {{.fd = stop_.get(), .events = POLLIN, .revents = 0},
                    {.fd = path_->poll_fd(), .events = POLLIN, .revents = 0}};
    ::poll(fds, std::size(fds), kInterval);
    if (fds[0].revents != 0) return;
    const std::lock_guard lock(mutex_);
    path_->process(monotonic_now());
  }
}

Result<void> Host::claim(const Endpoint& endpoint) {
  const std::lock_guard lock(mutex_);
  if (const auto found = claimed_.find(endpoint); found != claimed_.end()) {
    ++found->second.users;
    return {};
  }
  auto reserved = reserve_in_kernel(endpoint);
  if (!reserved) return std::unexpected(reserved.error());
  if (auto added = path_->interfaces().add_listener(endpoint); !added) return added;
  claimed_.emplace(endpoint, Claim{.users = 1, .reserved = std::move(*reserved)});
  return {};
}

void Host::give_back(const Endpoint& endpoint) {
  const std::lock_guard lock(mutex_);
  const auto found = claimed_.find(endpoint);
  if (--found->second.users > 0) return;
  claimed_.erase(found);
  if (auto removed = path_->interfaces().remove_listener(endpoint); !removed) {
    log_.warning("{} is still taken from the kernel: {}", endpoint.to_string(),
                 removed.error().to_string());
  }
}

}  // namespace fairlead::api
