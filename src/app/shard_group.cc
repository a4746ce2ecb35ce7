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
  randomize(secrets.timestamps);
  randomize(secrets.seed);
  return secrets;
}

// Bounds are the machine's; each shard gets an equal share.
host::StackConfig share_of(host::StackConfig config, size_t shards) {
  const auto share = [shards](size_t bound) { return std::max<size_t>(1, bound / shards); };
  config.max_connections = share(config.max_connections);
  config.max_time_wait = share(config.max_time_wait);
  config.max_paths = share(config.max_paths);
  config.max_buffer_bytes = share(config.max_buffer_bytes);
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
    const ShardOptions shard_options{.stack = share_of(options.config.stack, ports.size()),
                                     .secrets = random_secrets()};
    Member member;
    member.router = std::move(*router);
    member.shard = std::make_unique<Shard>(shard_options, std::move(shard_ports), *member.router);
    if (auto following = follow_router(member, options.log); !following) {
      return std::unexpected(following.error());
    }
    group->members_.push_back(std::move(member));
  }
  return group;
}

Result<void> ShardGroup::follow_router(Member& member, Log& log) {
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

Result<void> ShardGroup::serve(const control::EchoServerConfig& server,
                               const host::ListenOptions& listen) {
  EchoServer::Options options{
      .endpoint = server.endpoint, .mode = mode_of(server.mode), .listen = listen};
  options.listen.backlog = server.backlog;
  for (Member& member : members_) {
    auto started = EchoServer::start(member.shard->runtime(), options);
    if (!started) {
      return fail(started.error().code,
                  fmt::format("echo_server {}: {}", server.endpoint.to_string(),
                              started.error().to_string()));
    }
    member.echo_servers.push_back(std::move(*started));
  }
  return {};
}

void ShardGroup::start() {
  for (Member& member : members_) {
    member.thread = std::thread([shard = member.shard.get()] { shard->run(); });
  }
}

void ShardGroup::stop() {
  if (std::exchange(stopped_, true)) return;
  for (Member& member : members_) member.shard->stop();
  for (Member& member : members_) {
    if (member.thread.joinable()) member.thread.join();
    member.shard->close();
    member.echo_servers.clear();
  }
}

ShardGroup::~ShardGroup() { stop(); }

std::vector<Shard*> ShardGroup::shards() const {
  std::vector<Shard*> out;
  for (const Member& member : members_) out.push_back(member.shard.get());
  return out;
}

}  // namespace fairlead::app
