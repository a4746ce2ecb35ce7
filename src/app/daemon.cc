#include "app/daemon.h"

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <iterator>
#include <utility>

#include "app/ask_shards.h"
#include "app/control_commands.h"

namespace fairlead::app {
namespace {

/// Of connections: nobody is served by them any more, and their last bytes or the peer's FIN are
/// still to come. Idle ones to servers stay as they are.
size_t closing_count(const host::Stack& stack) {
  size_t count = 0;
  stack.for_each_connection([&](const host::Connection& connection) {
    using enum host::State;
    constexpr std::array kStates{kFinWait1, kFinWait2, kClosing, kLastAck};
    if (std::ranges::find(kStates, connection.state()) != kStates.end()) ++count;
  });
  return count;
}

}  // namespace

Result<std::unique_ptr<Daemon>> Daemon::open(control::Config config, std::string file, Log& log) {
  std::unique_ptr<Daemon> daemon(new Daemon(std::move(config), std::move(file), log));
  for (const auto step : {&Daemon::open_logs, &Daemon::open_data_path, &Daemon::open_aggregators,
                          &Daemon::open_services, &Daemon::open_metrics, &Daemon::open_control,
                          &Daemon::claim_listeners}) {
    if (Result<void> done = ((*daemon).*step)(); !done) return std::unexpected(done.error());
  }
  daemon->path_->report();
  return daemon;
}

Result<void> Daemon::open_logs() {
  logs_ = std::make_unique<SwitchLogs>(config_.shards, log_);
  return logs_->open(config_);
}

Result<void> Daemon::open_data_path() {
  auto path = DataPath::open(config_, log_);
  if (!path) return std::unexpected(path.error());
  path_ = std::move(*path);
  return {};
}

Result<void> Daemon::open_aggregators() {
  auto aggregators = Aggregators::open(config_.aggregators);
  if (!aggregators) return std::unexpected(aggregators.error());
  aggregators_ = std::move(*aggregators);
  for (const control::AggregatorConfig& aggregator : config_.aggregators) {
    log_.info("aggregator from {} to {}", aggregator.from, aggregator.to);
  }
  return {};
}

Result<void> Daemon::open_services() {
  ShardGroup& shards = path_->shards();
  for (const control::EchoServerConfig& server : config_.echo_servers) {
    if (auto served = shards.serve(server, config_.listen); !served) return served;
  }
  if (auto served = shards.serve(switch_options_by_shard(config_, *logs_)); !served) {
    return fail(served.error().code, "virtual_server " + served.error().to_string());
  }
  reloader_ = std::make_unique<Reloader>(Reloader::Parts{.file = file_,
                                                         .config = config_,
                                                         .interfaces = path_->interfaces(),
                                                         .shards = shards,
                                                         .logs = *logs_,
                                                         .log = log_});
  return {};
}

Result<void> Daemon::open_metrics() {
  if (!config_.metrics) return {};
  const StatisticsView view{.shards = path_->shards(),
                            .interfaces = path_->interfaces(),
                            .aggregators = *aggregators_,
                            .logs = *logs_,
                            .started = started_};
  auto metrics = control::MetricsServer::open(config_.metrics->endpoint,
                                              [view] { return collect_metrics(view); });
  if (!metrics) return std::unexpected(metrics.error());
  metrics_ = std::move(*metrics);
  return {};
}

Result<void> Daemon::open_control() {
  if (config_.control_socket.empty()) return {};
  auto control = control::ControlServer::open(
      config_.control_socket,
      daemon_commands(
          {.statistics = {.shards = path_->shards(),
                          .interfaces = path_->interfaces(),
                          .aggregators = *aggregators_,
                          .logs = *logs_,
                          .started = started_},
           .config = config_,
           .logs = *logs_,
           .reload = [this] { return reload(); },
           .stop = [this](const StopRequest& request) { return begin_stop(request); }}));
  if (!control) return std::unexpected(control.error());
  control_ = std::move(*control);
  return {};
}

Result<void> Daemon::claim_listeners() {
  for (const control::EchoServerConfig& server : config_.echo_servers) {
    if (auto claimed = path_->interfaces().add_listener(server.endpoint); !claimed) {
      return fail(claimed.error().code,
                  fmt::format("echo_server {}: {}", server.endpoint.to_string(),
                              claimed.error().to_string()));
    }
    log_.info("echo_server {} listens", server.endpoint.to_string());
  }
  if (auto claimed = reloader_->claim_listeners(); !claimed) {
    return fail(claimed.error().code, "virtual_server " + claimed.error().to_string());
  }
  for (const control::VirtualServerConfig& server : config_.virtual_servers) {
    for (const control::ListenerConfig& listener : server.listeners) {
      log_.info("virtual_server {} listens", listener.endpoint.to_string());
    }
  }
  return {};
}

void Daemon::run(const Signals& signals) {
  path_->shards().start();
  aggregators_->start();
  log_.info("ready");
  while (!stop_is_due(monotonic_now())) {
    pollfd fds[] = {{.fd = signals.poll_fd(), .events = POLLIN, .revents = 0},
                    {.fd = path_->poll_fd(), .events = POLLIN, .revents = 0},
                    {.fd = control_ ? control_->poll_fd() : -1, .events = POLLIN, .revents = 0}};
    ::poll(fds, std::size(fds), poll_timeout(monotonic_now()));
    const Time now = monotonic_now();
    while (const auto number = signals.take()) on_signal(*number);
    path_->process(now);
    reloader_->release_unused(now);
    if (control_) control_->on_ready(now);
  }
  path_->stop(keep_rules_ ? nic::SunkSplices::kLeave : nic::SunkSplices::kReset);
}

void Daemon::on_signal(int number) {
  switch (number) {
    case SIGHUP:
      // What is wrong is in the log; nobody else asked.
      static_cast<void>(reload());
      return;
    case SIGUSR1:
      log_.info("SIGUSR1: opening log files anew");
      logs_->reopen();
      return;
    default:
      log_.info("SIG{}: stopping", ::sigabbrev_np(number));
      stop_at_ = Time{};
  }
}

Result<control::Json> Daemon::reload() {
  if (stop_at_) return fail(Errc::kInvalidArgument, "not reloaded: stopping");
  return reloader_->reload();
}

Result<void> Daemon::begin_stop(const StopRequest& request) {
  log_.info("told to stop ({})", stop_mode_name(request.mode));
  if (request.mode == StopMode::kDrain) {
    if (auto stopped = reloader_->stop_listening(); !stopped) return stopped;
    stop_at_ = monotonic_now() + request.drain;
    return {};
  }
  keep_rules_ = request.mode == StopMode::kKeep;
  stop_at_ = Time{};
  return {};
}

bool Daemon::stop_is_due(Time now) {
  if (!stop_at_) return false;
  return now >= *stop_at_ || !has_connections();
}

// A shard that does not answer in time has something to do.
bool Daemon::has_connections() const {
  const auto counts = ask_shards(
      path_->shards().members(), [echoes = !config_.echo_servers.empty()](ShardMember& member) {
        host::Stack& stack = member.shard->stack();
        stack.catch_up_teardowns(monotonic_now());
        return member.layer7->session_count() + stack.splicing_count() + stack.splices().active() +
               stack.teardown().active() +
               (echoes ? stack.connection_count() : closing_count(stack));
      });
  return !counts || std::ranges::any_of(*counts, [](size_t count) { return count > 0; });
}

int Daemon::poll_timeout(Time now) const {
  Time until = now + DataPath::kProcessInterval;
  if (control_) until = std::min(until, control_->next_deadline().value_or(until));
  // Rounded up: a deadline must not be missed by a fraction, or the loop would spin on it.
  return static_cast<int>(std::max<int64_t>(0, (until - now) / milliseconds(1) + 1));
}

Daemon::~Daemon() {
  control_.reset();
  metrics_.reset();
  reloader_.reset();
  aggregators_.reset();
  path_.reset();
}

}  // namespace fairlead::app
