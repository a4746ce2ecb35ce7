#include "service/switch/core/switch.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "service/switch/core/http_session.h"
#include "service/switch/core/session.h"
#include "service/switch/core/shared_state.h"
#include "service/switch/core/spliced_session.h"
#include "service/switch/core/stream_session.h"
#include "service/switch/core/virtual_server.h"
#include "socket/fork.h"

namespace fairlead::l7 {
namespace {

Task<void> serve(SharedState& shared, VirtualServer::Slot slot, TcpSocket client,
                 Endpoint listener) {
  Session session(shared, std::move(slot), std::move(client), listener);
  if (session.options().accept_proxy && !co_await session.read_proxy_header()) co_return;
  if (session.options().protocol == Protocol::kHttp) {
    HttpSession http(session);
    co_await http.run();
  } else {
    StreamSession stream(session);
    co_await stream.run();
  }
}

/// A listener, and whose connections it takes now.
class Door {
 public:
  static Result<std::unique_ptr<Door>> open(SharedState& shared, const Endpoint& endpoint,
                                            std::shared_ptr<VirtualServer> target) {
    auto listener = TcpListener::listen(shared.runtime, endpoint, target->options.tcp);
    if (!listener) {
      return fail(listener.error().code,
                  fmt::format("{}: {}", endpoint.to_string(), listener.error().to_string()));
    }
    return std::make_unique<Door>(shared, endpoint, std::move(*listener), std::move(target));
  }

  Door(SharedState& shared, const Endpoint& endpoint, std::unique_ptr<TcpListener> listener,
       std::shared_ptr<VirtualServer> target)
      : shared_(shared),
        endpoint_(endpoint),
        listener_(std::move(listener)),
        target_(std::move(target)),
        room_(shared.runtime.scheduler),
        accept_(shared.runtime.scheduler, accept_all()) {
    limit_segments();
  }

  ~Door() { std::erase(target_->waiting, &room_); }

  const Endpoint& endpoint() const { return endpoint_; }
  void lead_to(std::shared_ptr<VirtualServer> target) {
    std::erase(target_->waiting, &room_);
    target_ = std::move(target);
    listener_->set_options(target_->options.tcp);
    limit_segments();
    room_.set();  // if we wait, there may be some here
  }
  /// New clients are told what the paths to the servers take now.
  void limit_segments() { listener_->set_mss_max(target_->mss_max(shared_.runtime.stack)); }

 private:
  Task<bool> accept_all() {
    while (true) {
      TcpSocket client = co_await listener_->accept();
      if (!client.is_open()) continue;
      while (target_->full()) {
        target_->waiting.push_back(&room_);
        co_await room_.wait();
      }
      ++shared_.counters.clients_accepted;
      // Refused: the task is destroyed, and with it the connection closed.
      if (!shared_.runtime.scheduler.spawn(
              serve(shared_, VirtualServer::Slot(target_), std::move(client), endpoint_))) {
        ++shared_.counters.clients_refused;
      }
    }
  }

  SharedState& shared_;
  Endpoint endpoint_;
  std::unique_ptr<TcpListener> listener_;
  std::shared_ptr<VirtualServer> target_;
  Event room_;
  Fork<bool> accept_;
};

}  // namespace

/// All that one configuration has made, and the doors, which outlive it.
class Generation {
 public:
  std::shared_ptr<Pools> pools;
  std::vector<std::shared_ptr<VirtualServer>> virtual_servers;
  std::vector<std::unique_ptr<Door>> doors;
};

namespace {

/// What splices have moved is counted for so many of them at a time, in turn: each may cost a call
/// of the kernel.
constexpr size_t kCountedAtOnce = 1000;

void count_spliced(SharedState& shared) {
  for (size_t left = std::min(shared.spliced_count, kCountedAtOnce); left > 0; --left) {
    SplicedSession& session = shared.spliced.front();
    shared.spliced.erase(session);
    shared.spliced.push_back(session);
    session.count();
  }
}

}  // namespace

struct Switch::Parts {
  explicit Parts(Runtime runtime) : shared(runtime), housekeeper(runtime.scheduler, keep_house()) {}

  Task<bool> keep_house() {
    while (true) {
      co_await shared.runtime.scheduler.sleep_for(seconds(1));
      shared.idle.expire();
      count_spliced(shared);
      // Routes change, path MTUs are learned and forgotten.
      for (const auto& door : current.doors) door->limit_segments();
    }
  }

  SharedState shared;
  Generation current;
  Fork<bool> housekeeper;
};

Switch::Switch(Runtime runtime, uint64_t seed)
    : parts_(std::make_unique<Parts>(runtime)), seed_(seed) {}

Switch::~Switch() {
  SharedState& shared = parts_->shared;
  CHECK(shared.sessions.empty());
  while (!shared.spliced.empty()) delete &shared.spliced.front();
}

Result<std::unique_ptr<Switch>> Switch::start(Runtime runtime, SwitchOptions options,
                                              uint64_t seed) {
  std::unique_ptr<Switch> made(new Switch(runtime, seed));
  if (auto done = made->reconfigure(std::move(options)); !done) {
    return std::unexpected(done.error());
  }
  made->adopt_spliced();
  return made;
}

// As the stack finds a listener: the address itself before any address of its family.
std::shared_ptr<VirtualServer> Switch::virtual_server_at(const Endpoint& endpoint) const {
  const Endpoint any{endpoint.address.is_v4() ? IpAddress::v4(0) : IpAddress(), endpoint.port};
  for (const Endpoint& wanted : {endpoint, any}) {
    for (const auto& v : parts_->current.virtual_servers) {
      if (std::ranges::find(v->options.listen, wanted) != v->options.listen.end()) return v;
    }
  }
  return nullptr;
}

void Switch::adopt_spliced() {
  std::vector<nic::Splice*> found;
  const auto begun_before = [&](nic::Splice& splice) {
    if (!splice.is_over() && splice.options.observer == nullptr) found.push_back(&splice);
  };
  parts_->shared.runtime.stack.splices().for_each(begun_before);
  for (nic::Splice* splice : found) {
    SplicedSession::adopt(parts_->shared, *splice, virtual_server_at(splice->client().local));
  }
}

Result<void> Switch::reconfigure(SwitchOptions options) {
  SharedState& shared = parts_->shared;
  Generation& current = parts_->current;
  Generation next;
  next.pools = std::make_shared<Pools>(shared, std::move(options.pools), options.server_socket,
                                       current.pools.get(), seed_);
  for (VirtualServerOptions& one : options.virtual_servers) {
    next.virtual_servers.push_back(
        std::make_shared<VirtualServer>(std::move(one), next.pools, options.server_socket));
  }
  // New doors are opened before any other is touched: what can fail comes first.
  struct Kept {
    std::unique_ptr<Door>* door;
    std::shared_ptr<VirtualServer> target;
  };
  std::vector<Kept> kept;
  for (const auto& target : next.virtual_servers) {
    for (const Endpoint& endpoint : target->options.listen) {
      const auto same = std::ranges::find_if(
          current.doors, [&](const auto& door) { return door->endpoint() == endpoint; });
      if (same != current.doors.end()) {
        kept.push_back({&*same, target});
        continue;
      }
      auto door = Door::open(shared, endpoint, target);
      if (!door) return std::unexpected(door.error());
      next.doors.push_back(std::move(*door));
    }
  }
  for (Kept& one : kept) {
    (*one.door)->lead_to(one.target);
    next.doors.push_back(std::move(*one.door));
  }
  std::erase(current.doors, nullptr);
  shared.events = options.events;
  if (current.pools) current.pools->stop_checks();
  current = std::move(next);
  return {};
}

size_t Switch::set_admin(std::string_view name, balance::AdminState state) {
  size_t found = 0;
  for (const auto& pool : parts_->current.pools->all()) {
    balance::Server* server = pool->find(name);
    if (server == nullptr) continue;
    ++found;
    server->set_admin(state);
    if (state == balance::AdminState::kDisabled) end_sessions_of(*server);
  }
  return found;
}

void Switch::end_sessions_of(const balance::Server& server) {
  parts_->shared.idle.forget(server);
  for (Session& session : parts_->shared.sessions) {
    const balance::Server* chosen = session.chosen();
    if (chosen != nullptr && chosen->is_same_as(server)) session.end_by_command();
  }
  std::vector<SplicedSession*> theirs;  // each is gone when it has ended
  for (SplicedSession& session : parts_->shared.spliced) {
    const balance::Server* chosen = session.server();
    if (chosen != nullptr && chosen->is_same_as(server)) theirs.push_back(&session);
  }
  for (SplicedSession* session : theirs) session->end_by_command();
}

std::vector<ServerSnapshot> Switch::servers() const {
  count_spliced(parts_->shared);
  std::vector<ServerSnapshot> out;
  for (const auto& pool : parts_->current.pools->all()) {
    std::string users;
    for (const auto& v : parts_->current.virtual_servers) {
      const bool uses = v->options.pool == pool->name() ||
                        std::ranges::any_of(v->options.rules, [&](const RuleOptions& rule) {
                          return rule.pool == pool->name();
                        });
      if (uses) users += (users.empty() ? "" : " ") + v->options.listen.front().to_string();
    }
    for (const auto& server : pool->servers()) {
      out.push_back({.virtual_servers = users,
                     .pool = pool->name(),
                     .server = server->name(),
                     .admin = server->admin(),
                     .up = server->up(),
                     .backup = server->backup(),
                     .weight = server->weight(),
                     .max_connections = server->max_connections(),
                     .active = server->active(),
                     .counters = server->counters()});
    }
  }
  return out;
}

std::vector<SessionSnapshot> Switch::sessions(size_t limit) const {
  std::vector<SessionSnapshot> out;
  for (const Session& session : parts_->shared.sessions) {
    if (out.size() == limit) break;
    out.push_back(session.snapshot());
  }
  for (const SplicedSession& session : parts_->shared.spliced) {
    if (out.size() == limit) break;
    out.push_back(session.snapshot());
  }
  return out;
}

size_t Switch::session_count() const {
  return parts_->shared.session_count + parts_->shared.spliced_count;
}
const SwitchCounters& Switch::counters() const { return parts_->shared.counters; }

}  // namespace fairlead::l7
