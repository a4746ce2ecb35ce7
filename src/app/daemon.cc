#include "app/daemon.h"

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <cstdio>

#include "app/ask_shards.h"
#include "app/exit_status.h"
#include "app/version.h"
#include "base/random.h"
#include "control/show/snapshot.h"
#include "port/af_packet.h"

namespace fairlead::app {
namespace {

/// How long the control thread waits for the shards' answers.
constexpr Duration kAnswerTimeout = seconds(5);
/// NetlinkRouter::process() wants to be called at least this often.
constexpr Duration kRouterInterval = milliseconds(500);

host::Secrets random_secrets() {
  host::Secrets secrets;
  auto fill = [](auto& value) {
    fill_secure_random({reinterpret_cast<uint8_t*>(&value), sizeof value});
  };
  fill(secrets.hash);
  fill(secrets.isn);
  fill(secrets.timestamps);
  fill(secrets.seed);
  return secrets;
}

host::StackConfig share_of(host::StackConfig config, uint32_t shards) {
  config.max_connections /= shards;
  config.max_time_wait /= shards;
  config.max_paths /= shards;
  config.max_buffer_bytes /= shards;
  return config;
}

Error in_interface(const std::string& name, Error error) {
  if (error.message.find(name) == std::string::npos) {
    error.message = fmt::format("interface {}: {}", name, error.to_string());
  }
  return error;
}

Task<void> keep_router_current(Scheduler& scheduler, port::NetlinkRouter& router, Log& log) {
  while (true) {
    Result<void> done = router.process(scheduler.now());
    if (!done)
      log.warning("routes and neighbours may be out of date: {}", done.error().to_string());
    co_await scheduler.sleep_for(kRouterInterval);
  }
}

EchoServer::Mode mode_of(control::EchoServerConfig::Mode mode) {
  switch (mode) {
    case control::EchoServerConfig::Mode::kEcho:
      return EchoServer::Mode::kEcho;
    case control::EchoServerConfig::Mode::kDiscard:
      return EchoServer::Mode::kDiscard;
    case control::EchoServerConfig::Mode::kChargen:
      return EchoServer::Mode::kChargen;
  }
  check_failed("Mode has a counterpart", __FILE__, __LINE__);
}

}  // namespace

Result<std::unique_ptr<Daemon>> Daemon::open(const control::Config& config, Log& log) {
  std::unique_ptr<Daemon> daemon(new Daemon(config, log));
  for (auto step : {&Daemon::open_interfaces, &Daemon::open_shards, &Daemon::open_services,
                    &Daemon::open_control}) {
    Result<void> done = ((*daemon).*step)();
    if (!done) return std::unexpected(done.error());
  }
  return daemon;
}

Result<void> Daemon::open_interfaces() {
  uint64_t hash_seed = random_secrets().seed;
  ports_.resize(config_.shards);
  for (const control::InterfaceConfig& interface : config_.interfaces) {
    nic::SteeringOptions options;
    options.shards = config_.shards;
    options.hash_seed = hash_seed;
    auto steering = nic::Steering::attach(interface.name, options);
    if (!steering) return std::unexpected(in_interface(interface.name, steering.error()));
    if ((*steering)->replaced_leftover()) {
      log_.warning("interface {}: replaced what a crashed fairlead left behind", interface.name);
    }
    bool ring = interface.receive_mode == control::InterfaceConfig::ReceiveMode::kRing;
    port::AfPacketOptions port_options;
    port_options.interface = interface.name;
    port_options.shards = config_.shards;
    port_options.receive = ring ? port::ReceiveMode::kRing : port::ReceiveMode::kSocket;
    port_options.filter_fd = (*steering)->filter_fd();
    port_options.fanout_fd = (*steering)->fanout_fd();
    port_options.receive_bytes = interface.receive_buffer;
    auto ports = port::open_af_packet(port_options);
    if (!ports) return std::unexpected(in_interface(interface.name, ports.error()));
    for (uint32_t i = 0; i < config_.shards; ++i) ports_[i].push_back(std::move((*ports)[i]));
    steerings_.push_back(std::move(*steering));
  }
  return {};
}

Result<void> Daemon::open_shards() {
  std::vector<port::NetlinkRouter::Interface> names;
  for (const control::InterfaceConfig& interface : config_.interfaces) {
    names.push_back({interface.name, static_cast<uint8_t>(names.size())});
  }
  for (uint32_t i = 0; i < config_.shards; ++i) {
    auto router = port::NetlinkRouter::open(names, monotonic_now());
    if (!router) return std::unexpected(router.error());
    ShardParts parts;
    parts.router = std::move(*router);
    ShardOptions options;
    options.stack = share_of(config_.stack, config_.shards);
    options.secrets = random_secrets();
    parts.shard = std::make_unique<Shard>(options, std::move(ports_[i]), *parts.router);
    Scheduler& scheduler = parts.shard->scheduler();
    if (!scheduler.spawn(keep_router_current(scheduler, *parts.router, log_))) {
      return fail(Errc::kNoBufferSpace);
    }
    parts.shard->watch(parts.router->poll_fd(), [router = parts.router.get()] {
      // A failure shows in the next periodic call, which reports it.
      [[maybe_unused]] Result<void> done = router->process(monotonic_now());
    });
    shards_.push_back(std::move(parts));
  }
  for (size_t i = 0; i < steerings_.size(); ++i) {
    for (const IpAddress& address : shards_[0].router->local_addresses(static_cast<uint8_t>(i))) {
      Result<void> added = steerings_[i]->add_local_address(address);
      if (!added) return added;
    }
  }
  return {};
}

Result<void> Daemon::open_services() {
  for (const control::EchoServerConfig& server : config_.echo_servers) {
    for (ShardParts& parts : shards_) {
      EchoServer::Options options;
      options.endpoint = server.endpoint;
      options.mode = mode_of(server.mode);
      options.listen = config_.listen;
      options.listen.backlog = server.backlog;
      auto started = EchoServer::start(parts.shard->runtime(), options);
      if (!started) {
        return fail(started.error().code,
                    fmt::format("echo_server {}: {}", server.endpoint.to_string(),
                                started.error().to_string()));
      }
      parts.echo_servers.push_back(std::move(*started));
    }
    // Last, so that no packet comes before there is a listener for it.
    for (auto& steering : steerings_) {
      Result<void> added = steering->add_listener(server.endpoint);
      if (!added) {
        return fail(added.error().code,
                    fmt::format("echo_server {}: {}", server.endpoint.to_string(),
                                added.error().to_string()));
      }
    }
  }
  return {};
}

Result<void> Daemon::open_control() {
  if (config_.control_socket.empty()) return {};
  control::CommandTable commands;
  auto shards = [this] {
    std::vector<Shard*> result;
    for (ShardParts& parts : shards_) result.push_back(parts.shard.get());
    return result;
  };
  auto uptime = [this] { return (monotonic_now() - started_) / seconds(1); };
  commands.add("version", [uptime](const control::Json&) -> Result<control::Json> {
    return control::Json{{"version", kVersion}, {"pid", getpid()}, {"uptime_seconds", uptime()}};
  });
  commands.add(
      "show connections", [shards](const control::Json& arguments) -> Result<control::Json> {
        size_t limit = arguments.value("limit", size_t{1000});
        auto all = shards();
        auto answers = ask_shards(
            all, [limit](Shard& s) { return control::snapshot_connections(s.stack(), limit); },
            kAnswerTimeout);
        if (!answers) return std::unexpected(answers.error());
        return control::connections_json(*answers, limit);
      });
  commands.add("show listeners", [shards](const control::Json&) -> Result<control::Json> {
    auto all = shards();
    auto answers = ask_shards(
        all, [](Shard& s) { return control::snapshot_listeners(s.stack()); }, kAnswerTimeout);
    if (!answers) return std::unexpected(answers.error());
    return control::listeners_json(*answers);
  });
  commands.add("show stats", [this, shards, uptime](const control::Json&) -> Result<control::Json> {
    auto all = shards();
    auto answers = ask_shards(
        all,
        [](Shard& s) {
          auto ports = s.ports();
          return control::snapshot_stats(s.stack(), ports);
        },
        kAnswerTimeout);
    if (!answers) return std::unexpected(answers.error());
    control::Json json = control::stats_json(*answers);
    json["uptime_seconds"] = uptime();
    control::Json steering = control::Json::object();
    for (size_t i = 0; i < steerings_.size(); ++i) {
      steerings_[i]->counters().for_each([&](std::string_view name, uint64_t value) {
        steering[config_.interfaces[i].name][std::string(name)] = value;
      });
    }
    json["steering"] = steering;
    return json;
  });
  auto server = control::ControlServer::open(config_.control_socket, std::move(commands));
  if (!server) return std::unexpected(server.error());
  control_ = std::move(*server);
  return {};
}

Result<void> Daemon::run(const StopSignals& signals) {
  for (ShardParts& parts : shards_) {
    parts.thread = std::thread([shard = parts.shard.get()] { shard->run(); });
  }
  for (const control::EchoServerConfig& server : config_.echo_servers) {
    log_.info("echo_server {} listens", server.endpoint.to_string());
  }
  log_.info("ready");
  while (true) {
    pollfd fds[2] = {{signals.poll_fd(), POLLIN, 0}, {-1, POLLIN, 0}};
    int timeout = -1;
    if (control_ != nullptr) {
      fds[1].fd = control_->poll_fd();
      if (std::optional<Time> deadline = control_->next_deadline()) {
        auto left = std::max(Duration::zero(), *deadline - monotonic_now());
        timeout = static_cast<int>(left / milliseconds(1)) + 1;
      }
    }
    poll(fds, 2, timeout);
    if (control_ != nullptr) control_->on_ready(monotonic_now());
    if (const char* signal = signals.take()) {
      log_.info("{}: stopping", signal);
      return {};
    }
  }
}

Daemon::~Daemon() {
  control_.reset();
  for (ShardParts& parts : shards_) parts.shard->stop();
  for (ShardParts& parts : shards_) {
    if (parts.thread.joinable()) parts.thread.join();
  }
  // The kernel must not see segments of connections that are about to be reset: steering goes last.
  for (ShardParts& parts : shards_) close_shard(parts);
  shards_.clear();
  steerings_.clear();
}

void Daemon::close_shard(ShardParts& parts) {
  parts.shard->close();
  parts.echo_servers.clear();
  parts.shard.reset();
}

int run_daemon(const std::string& config_file, const std::optional<control::LogLevel>& log_level) {
  auto config = control::load_config(config_file);
  if (!config) {
    fmt::print(stderr, "{}\n", config.error().to_string());
    return kUsageError;
  }
  auto signals = StopSignals::block();
  if (!signals) {
    fmt::print(stderr, "fairlead: {}\n", signals.error().to_string());
    return kRuntimeError;
  }
  Log log(log_level.value_or(config->log_level));
  auto daemon = Daemon::open(*config, log);
  if (!daemon) {
    fmt::print(stderr, "fairlead: {}\n", daemon.error().to_string());
    return kRuntimeError;
  }
  Result<void> done = (*daemon)->run(*signals);
  return done ? kSuccess : kRuntimeError;
}

}  // namespace fairlead::app
