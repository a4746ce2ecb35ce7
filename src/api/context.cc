#include "api/context.h"

#include <netinet/in.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "api/sockaddr.h"
#include "base/check.h"
#include "host/in_use.h"

namespace fairlead::api {
namespace {

using Kind = Socket::Kind;
using host::SpliceRefusal;
using host::State;

constexpr uint32_t kAlways = EPOLLERR | EPOLLHUP;
constexpr uint32_t kMostBacklog = 4096;  // as net.core.somaxconn

auto failed(int error) { return std::unexpected(error); }
auto failed(const Error& error) { return std::unexpected(errno_of(error.code)); }

bool is_unused_yet(State state) { return state == State::kSynSent || state == State::kSynReceived; }

int errno_of_refusal(SpliceRefusal refusal) {
  switch (refusal) {
    case SpliceRefusal::kNone:
      return 0;
    case SpliceRefusal::kNotEstablished:
      return ENOTCONN;
    case SpliceRefusal::kFamily:
      return EAFNOSUPPORT;
    case SpliceRefusal::kTimestamps:
    case SpliceRefusal::kSack:
    case SpliceRefusal::kEcn:
      return EPROTO;
    case SpliceRefusal::kSegmentSize:
      return EMSGSIZE;
    case SpliceRefusal::kHalfClosed:
      return EPIPE;
    case SpliceRefusal::kTableFull:
      return ENOBUFS;
  }
  return EIO;
}

fl_nsplice_end end_of(nic::SpliceEnd end) {
  switch (end) {
    case nic::SpliceEnd::kClosed:
      return FL_NSPLICE_CLOSED;
    case nic::SpliceEnd::kResetByClient:
      return FL_NSPLICE_RESET_A;
    case nic::SpliceEnd::kResetByServer:
      return FL_NSPLICE_RESET_B;
    case nic::SpliceEnd::kIdle:
      return FL_NSPLICE_IDLE;
    case nic::SpliceEnd::kReused:
      return FL_NSPLICE_REUSED;
    case nic::SpliceEnd::kRemoved:
      break;
  }
  return FL_NSPLICE_REMOVED;
}

}  // namespace

/// Tells of a splice's end, once, and is free for another then.
class Context::SpliceEnd final : public nic::SpliceObserver {
 public:
  explicit SpliceEnd(std::vector<SpliceEnd*>& free) : free_(free) {}
  void begin(fl_nsplice_callback* callback, void* argument) {
    callback_ = callback;
    argument_ = argument;
  }
  void on_splice_end(const nic::SpliceReport& report) override {
    free_.push_back(this);
    if (callback_ == nullptr) return;
    const fl_nsplice_report out{.peer_a = sockaddr_of(report.client.remote),
                                .peer_b = sockaddr_of(report.server.remote),
                                .from_a = {report.up.packets, report.up.bytes},
                                .from_b = {report.down.packets, report.down.bytes},
                                .end = end_of(report.end)};
    callback_(argument_, &out);
  }

 private:
  fl_nsplice_callback* callback_ = nullptr;
  void* argument_ = nullptr;
  std::vector<SpliceEnd*>& free_;
};

Context::Context(Shard& shard, Options options) : shard_(shard), options_(std::move(options)) {}

Context::~Context() { CHECK(ready_.empty()); }

void Context::close() {
  for (Socket& socket : sockets_) {
    if (socket.kind == Kind::kConnection) socket.connection->abort();
    if (socket.kind != Kind::kUnused) close(socket);
  }
  closed_ = true;
  end_turn(options_.clock());
}

Outcome<Socket*> Context::find(int fd) {
  const auto index = static_cast<size_t>(fd);
  if (fd < 0 || index >= sockets_.size() || sockets_[index].kind == Kind::kUnused) {
    return failed(EBADF);
  }
  return &sockets_[index];
}

Outcome<Socket*> Context::find_connection(int fd) {
  const auto found = find(fd);
  if (found && (*found)->kind != Kind::kConnection) return failed(ENOTCONN);
  return found;
}

Socket* Context::make(const host::ListenOptions& options, int domain) {
  if (free_.empty()) {
    if (sockets_.size() == options_.max_sockets) return nullptr;
    free_.push_back(static_cast<int>(sockets_.size()));
    sockets_.emplace_back(ready_, free_.back());
  }
  Socket& socket = sockets_[static_cast<size_t>(free_.back())];
  free_.pop_back();
  socket.kind = Kind::kNew;
  socket.domain = domain;
  socket.options = options;
  return &socket;
}

void Context::forget(Socket& socket) {
  if (ReadySockets::is_linked(socket)) ready_.erase(socket);
  const int fd = socket.fd;
  std::destroy_at(&socket);
  std::construct_at(&socket, ready_, fd);
  free_.push_back(fd);
}

// ---- sockets ----

Outcome<int> Context::socket(int domain, int type, int protocol) {
  if (domain != AF_INET && domain != AF_INET6) return failed(EAFNOSUPPORT);
  if ((type & ~(SOCK_NONBLOCK | SOCK_CLOEXEC)) != SOCK_STREAM) return failed(EPROTONOSUPPORT);
  if (protocol != 0 && protocol != IPPROTO_TCP) return failed(EPROTONOSUPPORT);
  if (closed_) return failed(ECANCELED);
  const Socket* socket = make(options_.listen, domain);
  if (socket == nullptr) return failed(EMFILE);
  return socket->fd;
}

Outcome<void> Context::bind(int fd, const Endpoint& endpoint) {
  const auto found = find(fd);
  if (!found) return failed(found.error());
  Socket& socket = **found;
  if (socket.kind != Kind::kNew || socket.bound) return failed(EINVAL);
  if (endpoint.address.is_v4() != (socket.domain == AF_INET)) return failed(EAFNOSUPPORT);
  socket.local = endpoint;
  socket.bound = true;
  return {};
}

Outcome<void> Context::listen(int fd, int backlog) {
  const auto found = find(fd);
  if (!found) return failed(found.error());
  Socket& socket = **found;
  if (socket.kind == Kind::kConnection) return failed(EINVAL);
  if (socket.local.port == 0) return failed(EDESTADDRREQ);
  socket.options.backlog = backlog < 0 ? kMostBacklog : static_cast<uint32_t>(std::max(backlog, 1));
  if (socket.kind == Kind::kListener) {
    shard_.stack().set_options(*socket.listener, socket.options);
    return {};
  }
  const auto listener = shard_.stack().listen(socket.local, socket.options);
  if (!listener) return failed(listener.error());
  if (const Result<void> claimed = options_.claim(socket.local); !claimed) {
    shard_.stack().close(*listener);
    return failed(claimed.error());
  }
  socket.kind = Kind::kListener;
  socket.listener = *listener;
  socket.listener->set_observer(&socket);
  socket.look();
  return {};
}

Outcome<int> Context::accept(int fd) {
  const auto found = find(fd);
  if (!found) return failed(found.error());
  Socket& listener = **found;
  if (listener.kind != Kind::kListener) return failed(EINVAL);
  if (listener.listener->pending() == 0) return failed(EAGAIN);
  Socket* socket = make(listener.options, listener.domain);
  if (socket == nullptr) return failed(EMFILE);
  socket->kind = Kind::kConnection;
  socket->connection = listener.listener->accept();
  socket->connection->set_observer(socket);
  socket->linger = listener.linger;
  socket->linger_seconds = listener.linger_seconds;
  return socket->fd;
}

Outcome<void> Context::connect(int fd, const Endpoint& remote) {
  const auto found = find(fd);
  if (!found) return failed(found.error());
  Socket& socket = **found;
  if (socket.kind == Kind::kConnection) {
    if (is_unused_yet(socket.connection->state())) return failed(EALREADY);
    const int error = take_error(socket);
    return failed(error != 0 ? error : EISCONN);
  }
  if (socket.kind != Kind::kNew) return failed(EINVAL);
  if (remote.address.is_v4() != (socket.domain == AF_INET)) return failed(EAFNOSUPPORT);
  const nic::LocalPorts ours = options_.local_ports;
  host::Stack::ConnectOptions options{.remote = remote,
                                      .source = std::nullopt,
                                      .local_port = std::nullopt,
                                      .socket = socket.options.socket};
  if (!socket.local.address.is_unspecified()) options.source = socket.local.address;
  if (socket.local.port != 0) {
    if (socket.local.port < ours.first || socket.local.port > ours.last) {
      return failed(EADDRNOTAVAIL);
    }
    options.local_port = socket.local.port;
  }
  const auto connection = shard_.stack().connect(options, options_.clock());
  if (!connection) return failed(connection.error());
  socket.kind = Kind::kConnection;
  socket.connection = *connection;
  socket.connection->set_observer(&socket);
  if (socket.cork) socket.connection->set_cork(true);
  return failed(EINPROGRESS);
}

Outcome<size_t> Context::read(int fd, MutableByteSpan into) {
  const auto found = find_connection(fd);
  if (!found) return failed(found.error());
  if (into.empty()) return 0;
  host::Connection& c = *(*found)->connection;
  const size_t copied = c.copy_unread(into);
  if (copied > 0) c.consume(copied);
  if (copied > 0 || c.fin_received() || (*found)->read_shut) return copied;
  if (c.error() != Errc::kOk) return failed(errno_of(c.error()));
  return failed(EAGAIN);
}

Outcome<size_t> Context::write(int fd, ByteSpan bytes) {
  const auto found = find_connection(fd);
  if (!found) return failed(found.error());
  host::Connection& c = *(*found)->connection;
  if (c.error() != Errc::kOk) return failed(errno_of(c.error()));
  if (is_unused_yet(c.state())) return failed(EAGAIN);
  if (host::write_is_shut(c.state()) || c.state() == State::kClosed) return failed(EPIPE);
  const size_t taken = c.write(bytes);
  if (taken == 0 && !bytes.empty()) return failed(EAGAIN);
  return taken;
}

Outcome<void> Context::shutdown(int fd, int how) {
  if (how != SHUT_RD && how != SHUT_WR && how != SHUT_RDWR) return failed(EINVAL);
  const auto found = find_connection(fd);
  if (!found) return failed(found.error());
  Socket& socket = **found;
  if (how != SHUT_WR) socket.read_shut = true;
  if (how != SHUT_RD) socket.connection->shutdown_write();
  socket.look();
  return {};
}

Outcome<void> Context::close(int fd) {
  const auto found = find(fd);
  if (!found) return failed(found.error());
  close(**found);
  return {};
}

void Context::close(Socket& socket) {
  if (socket.kind == Kind::kListener) {
    shard_.stack().close(socket.listener);
    retired_.push_back(socket.local);
  } else if (socket.kind == Kind::kConnection) {
    if (socket.linger && socket.linger_seconds == 0) socket.connection->abort();
    shard_.stack().release(socket.connection);
  }
  forget(socket);
}

Outcome<Endpoint> Context::local(int fd) {
  const auto found = find(fd);
  if (!found) return failed(found.error());
  const Socket& socket = **found;
  if (socket.kind == Kind::kConnection) return socket.connection->tuple().local;
  if (!socket.bound && socket.domain == AF_INET) return Endpoint{IpAddress::v4(0), 0};
  return socket.local;
}

Outcome<Endpoint> Context::remote(int fd) {
  const auto found = find_connection(fd);
  if (!found) return failed(found.error());
  const host::Connection& c = *(*found)->connection;
  const State state = c.state();
  if (is_unused_yet(state) || state == State::kClosed) return failed(ENOTCONN);
  return c.tuple().remote;
}

Outcome<void> Context::set_option(int fd, int level, int name, ByteSpan value) {
  const auto found = find(fd);
  if (!found) return failed(found.error());
  const int error = api::set_option(**found, shard_.stack(), level, name, value);
  if (error != 0) return failed(error);
  return {};
}

Outcome<size_t> Context::option(int fd, int level, int name, MutableByteSpan value) {
  const auto found = find(fd);
  if (!found) return failed(found.error());
  const int size = get_option(**found, level, name, value);
  if (size < 0) return failed(-size);
  return static_cast<size_t>(size);
}

Outcome<void> Context::splice(int a, int b, fl_nsplice_callback* callback, void* argument) {
  const auto first = find_connection(a), second = find_connection(b);
  if (!first) return failed(first.error());
  if (!second) return failed(second.error());
  if (a == b) return failed(EINVAL);
  if (free_ends_.empty()) {
    splices_.push_back(std::make_unique<SpliceEnd>(free_ends_));
    free_ends_.push_back(splices_.back().get());
  }
  SpliceEnd* const end = free_ends_.back();
  const auto spliced =
      shard_.stack().splice((*first)->connection, (*second)->connection, {.observer = end});
  if (!spliced) return failed(errno_of_refusal(spliced.error()));
  free_ends_.pop_back();
  end->begin(callback, argument);
  forget(**first);
  forget(**second);
  return {};
}

// ---- epoll ----

Outcome<void> Context::control(int operation, int fd, const epoll_event* event) {
  const auto found = find(fd);
  if (!found) return failed(found.error());
  Socket& socket = **found;
  const bool adds = operation == EPOLL_CTL_ADD;
  if (!adds && operation != EPOLL_CTL_MOD && operation != EPOLL_CTL_DEL) return failed(EINVAL);
  if (adds && socket.watched) return failed(EEXIST);
  if (!adds && !socket.watched) return failed(ENOENT);
  if (operation == EPOLL_CTL_DEL) {
    socket.watched = false;
    if (ReadySockets::is_linked(socket)) ready_.erase(socket);
    return {};
  }
  if (event == nullptr) return failed(EFAULT);
  socket.watched = true;
  socket.watch = *event;
  socket.watch.events |= kAlways;
  socket.disarmed = false;
  socket.look();
  return {};
}

Outcome<size_t> Context::wait(std::span<epoll_event> events, int timeout) {
  if (events.empty()) return failed(EINVAL);
  Time now = options_.clock();
  const Time until = timeout < 0 ? Time::max() : now + milliseconds(timeout);
  const bool was_busy = in_turn_;
  end_turn(now);
  if (was_busy && !shard_.rest(true, now)) return failed(EINTR);
  while (true) {
    give_back_unused(now);
    const bool busy = shard_.begin_turn(now);
    in_turn_ = true;
    const size_t count = collect(events);
    if (count > 0 || now >= until) return count;
    end_turn(now);
    if (!shard_.rest(busy || !ready_.empty(), now, until)) return failed(EINTR);
    now = options_.clock();
  }
}

void Context::end_turn(Time now) {
  in_turn_ = false;
  shard_.end_turn(now);
}

// Level-triggered ones stay, behind the others, and are looked at again by the next call.
size_t Context::collect(std::span<epoll_event> events) {
  size_t count = 0;
  ReadySockets again;
  while (count < events.size() && !ready_.empty()) {
    Socket& socket = *ready_.pop_front();
    const uint32_t ready = socket.readiness() & socket.watch.events;
    if (ready == 0 || socket.disarmed) continue;
    events[count++] = {.events = ready, .data = socket.watch.data};
    if ((socket.watch.events & EPOLLONESHOT) != 0) {
      socket.disarmed = true;
    } else if ((socket.watch.events & EPOLLET) == 0) {
      again.push_back(socket);
    }
  }
  while (!again.empty()) ready_.push_back(*again.pop_front());
  return count;
}

void Context::give_back_unused(Time now) {
  if (retired_.empty() || now < next_give_back_) return;
  next_give_back_ = now + kGiveBackInterval;
  const std::vector<bool> used = host::in_use(shard_.stack(), retired_);
  size_t index = 0;
  std::erase_if(retired_, [&](const Endpoint& endpoint) {
    if (used[index++]) return false;
    options_.give_back(endpoint);
    return true;
  });
}

}  // namespace fairlead::api
