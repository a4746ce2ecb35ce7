#include "app/shard_group.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/random.h"

namespace fairlead::app {
namespace {

// NetlinkRouter::process() wants to be called at least once a second.
constexpr Duration kRouterInterval = milliseconds(500);

template <typename T>
void randomize(T& value) {
  fill_secure_random({reinterpret_cast<uint8_t*>(&value), sizeof(value)});
}

host::Secrets random_secrets() {
  host::Secrets secrets;
  randomize(secrets.hash);
  randomize(secrets.isn);
  randomize(secrets.seed);
  return secrets;
}

// Bounds are the machine's; each shard gets an equal share.
host::StackConfig share_of(host::StackConfig config, size_t shards) {
  const auto share = [shards](size_t bound) { return std::max<size_t>(1, bound / shards); };
  config.max_connections = share(config.max_connections);
  config.max_time_wait = share(config.max_time_wait);
  config.max_teardowns = static_cast<uint32_t>(share(config.max_teardowns));
  config.max_teardown_bytes = share(config.max_teardown_bytes);
  config.max_setup_replays = share(config.max_setup_replays);
  config.max_paths = share(config.max_paths);
  config.max_buffer_bytes = share(config.max_buffer_bytes);
  config.max_splices = share(config.max_splices);
  config.max_splices_over = share(config.max_splices_over);
  return config;
}

// Says so once when the router falls behind, and once when it has caught up.
Task<void> keep_current(Scheduler& scheduler, port::NetlinkRouter& router, Log& log) {
  bool current = true;
  while (true) {
    const Result<void> done = router.process(scheduler.now());
    if (current && !done) {
      log.warning("routes and neighbours may be out of date: {}", done.error().to_string());
    } else if (!current && done) {
      log.info("routes and neighbours are up to date again");
    }
    current = done.has_value();
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

Result<std::unique_ptr<ShardGroup>> ShardGroup::open(const Options& options, PortsByShard ports) {
  std::unique_ptr<ShardGroup> group(new ShardGroup);
  for (auto& shard_ports : ports) {
    auto router = port::NetlinkRouter::open(options.interfaces, monotonic_now());
    if (!router) return std::unexpected(router.error());
    auto member = std::make_unique<ShardMember>();
    member->index = group->members_.size();
    member->router = std::move(*router);
    ShardOptions shard_options{.stack = share_of(options.config.stack, ports.size()),
                               .secrets = random_secrets(),
                               .coalesce = options.config.coalesce};
    shard_options.secrets.setup = options.setup_secrets;
    shard_options.secrets.setup_since = monotonic_now();
    shard_options.stack.teardown_time_wait = options.config.listen.socket.time_wait;
    shard_options.stack.shard = static_cast<uint16_t>(member->index);
    if (ports.size() > 1) {
      shard_options.stack.comes_here = [steering = options.steering, index = member->index,
                                        &split = group->split_](const FourTuple& tuple) {
        return nic::shard_of(tuple, steering) == index && !split.contains(tuple);
      };
    }
    member->shard = std::make_unique<Shard>(shard_options, std::move(shard_ports), *member->router);
    if (auto following = follow_router(*member, options.log); !following) {
      return std::unexpected(following.error());
    }
    if (options.seat != nullptr) group->use_seat(*member, *options.seat);
    if (options.setup_seats != nullptr) {
      member->shard->stack().use_setup_seat(options.setup_seats->of(member->index));
    }
    if (options.teardowns != nullptr) {
      member->shard->stack().use_kernel_teardown(
          options.teardowns->table(static_cast<unsigned>(member->index)));
    }
    group->members_.push_back(std::move(member));
  }
  return group;
}

Result<void> ShardGroup::follow_router(ShardMember& member, Log& log) {
  port::NetlinkRouter* router = member.router.get();
  Scheduler& scheduler = member.shard->scheduler();
  if (!scheduler.spawn(keep_current(scheduler, *router, log))) {
    return fail(Errc::kNoBufferSpace, "no room for the shard's first task");
  }
  member.shard->watch(router->poll_fd(), [router] {
    // A failure shows again in the next periodic call, which reports it.
    static_cast<void>(router->process(monotonic_now()));
  });
  return {};
}

void ShardGroup::use_seat(ShardMember& member, nic::KernelSeat& seat) {
  host::Stack& stack = member.shard->stack();
  const auto index = static_cast<unsigned>(member.index);
  stack.use_kernel_seat(&seat);
  member.shard->watch(seat.event_fd(index), [&stack, &seat, index] {
    const Time now = monotonic_now();
    seat.poll_events(index, [&stack, now](const fl_splice_event& event) {
      stack.splices().on_event(event, now);
    });
  });
}

bool ShardGroup::adopt(const nic::SplicePair& pair, const Adoption& how) {
  const bool split = how.client_shard != how.server_shard;
  nic::SpliceTable& table = members_.at(how.client_shard)->shard->stack().splices();
  return table.adopt(
      pair, {.shard = static_cast<uint16_t>(how.client_shard), .split = split ? &split_ : nullptr},
      how.now);
}

Result<void> ShardGroup::serve(const control::EchoServerConfig& server,
                               const host::ListenOptions& listen) {
  EchoServer::Options options{
      .endpoint = server.endpoint, .mode = mode_of(server.mode), .listen = listen};
  if (server.limit) options.limit = *server.limit;
  options.listen.backlog = server.backlog;
  apply(server.setup_offload, server.mode == control::EchoServerConfig::Mode::kChargen,
        options.listen);
  options.listen.socket.teardown_offload =
      server.teardown_offload.value_or(listen.socket.teardown_offload);
  for (const auto& member : members_) {
    auto started = EchoServer::start(member->shard->runtime(), options);
    if (!started) {
      return fail(started.error().code,
                  fmt::format("echo_server {}: {}", server.endpoint.to_string(),
                              started.error().to_string()));
    }
    member->echo_servers.push_back(std::move(*started));
  }
  return {};
}

Result<void> ShardGroup::serve(std::vector<l7::SwitchOptions> by_shard) {
  CHECK(by_shard.size() == members_.size());
  for (const auto& member : members_) {
    uint64_t seed = 0;
    randomize(seed);
    auto started =
        l7::Switch::start(member->shard->runtime(), std::move(by_shard[member->index]), seed);
    if (!started) return std::unexpected(started.error());
    member->layer7 = std::move(*started);
  }
  return {};
}

void ShardGroup::start() {
  for (const auto& member : members_) {
    member->thread = std::thread([shard = member->shard.get()] { shard->run(); });
  }
}

bool ShardGroup::set_setup_secrets(const fl_setup_secrets& secrets) {
  bool all = true;
  for (const auto& member : members_) {
    all &= member->post(
        [shard = member->shard.get(), secrets] { shard->stack().setup().set_secrets(secrets); });
  }
  return all;
}

void ShardGroup::stop(nic::SunkSplices sunk) {
  if (std::exchange(stopped_, true)) return;
  for (const auto& member : members_) member->shard->stop();
  for (const auto& member : members_) {
    if (member->thread.joinable()) member->thread.join();
    member->shard->close(sunk);
    member->echo_servers.clear();
    member->layer7.reset();
  }
}

ShardGroup::~ShardGroup() { stop(nic::SunkSplices::kLeave); }

std::vector<ShardMember*> ShardGroup::members() const {
  std::vector<ShardMember*> out;
  for (const auto& member : members_) out.push_back(member.get());
  return out;
}

}  // namespace fairlead::app
