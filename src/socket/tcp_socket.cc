#include "socket/tcp_socket.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/check.h"

namespace fairlead {
namespace detail {
SocketWait::~SocketWait() {
  SocketWait*& slot = write_ ? socket_.writer : socket_.reader;
  if (slot == this) slot = nullptr;
  socket_.runtime.scheduler.timers().disarm(*this);
}

bool SocketWait::ready() const {
  const host::Connection& c = socket_.connection;
  bool over = c.state() == host::State::kClosed || c.state() == host::State::kTimeWait;
  if (over) return true;
  if (write_ && host::write_is_shut(c.state())) return true;
  return write_ ? c.writable() > 0 : c.readable() > beyond_ || c.fin_received();
}

bool SocketWait::await_ready() const { return ready(); }

void SocketWait::await_suspend(std::coroutine_handle<> handle) {
  SocketWait*& slot = write_ ? socket_.writer : socket_.reader;
  CHECK(slot == nullptr);  // one reader and one writer at a time
  slot = this;
  Scheduler& scheduler = socket_.runtime.scheduler;
  scheduler.suspend(*this, handle);
  if (socket_.deadline != Time::max()) scheduler.timers().arm(*this, socket_.deadline);
}

void SocketWait::on_timer() {
  timed_out_ = true;
  socket_.runtime.scheduler.make_ready(*this);
}

Result<void> SocketWait::await_resume() {
  const host::Connection& c = socket_.connection;
  if (!write_ && (c.readable() > beyond_ || c.fin_received())) return {};
  if (c.error() != Errc::kOk) return fail(c.error());
  if (write_ && c.writable() > 0) return {};
  if (timed_out_) return fail(Errc::kTimedOut);
  return fail(write_ ? Errc::kBrokenPipe : Errc::kNotConnected);
}

void SocketState::set_deadline(Time at) {
  deadline = at;
  for (SocketWait* wait : {reader, writer}) {
    if (wait == nullptr) continue;
    runtime.scheduler.timers().disarm(*wait);
    if (at != Time::max()) runtime.scheduler.timers().arm(*wait, at);
  }
}

void SocketState::on_events(uint8_t) {
  for (SocketWait* wait : {reader, writer}) {
    if (wait != nullptr && wait->ready()) runtime.scheduler.make_ready(*wait);
  }
}

}  // namespace detail

Task<Result<TcpSocket>> TcpSocket::connect(Runtime runtime, host::Stack::ConnectOptions options) {
  auto connection = runtime.stack.connect(options, runtime.scheduler.now());
  if (!connection) co_return std::unexpected(connection.error());
  TcpSocket socket(runtime, **connection);
  Result<void> open = co_await socket.writable();
  if (!open) co_return std::unexpected(open.error());
  co_return std::move(socket);
}

void TcpSocket::shutdown() {
  state_->connection.shutdown_write();
  state_->on_events(0);  // a writer that waits has nothing to wait for any more
}

Task<Result<size_t>> TcpSocket::read(MutableByteSpan into) {
  Result<void> ready = co_await readable();
  if (!ready) co_return std::unexpected(ready.error());
  const size_t copied = copy_unread(into);
  if (copied > 0) consume(copied);
  co_return copied;
}

Task<Result<size_t>> TcpSocket::write(ByteSpan bytes) {
  while (true) {
    if (const size_t n = write_now(bytes); n > 0) co_return n;
    Result<void> room = co_await writable();
    if (!room) co_return std::unexpected(room.error());
  }
}

Task<Result<void>> TcpSocket::write_all(ByteSpan bytes) {
  while (!bytes.empty()) {
    size_t n = write_now(bytes);
    bytes = bytes.subspan(n);
    if (bytes.empty()) break;
    Result<void> room = co_await writable();
    if (!room) co_return std::unexpected(room.error());
  }
  co_return Result<void>();
}

Result<std::unique_ptr<TcpListener>> TcpListener::listen(Runtime runtime, const Endpoint& endpoint,
                                                         const host::ListenOptions& options) {
  Result<host::Listener*> listener = runtime.stack.listen(endpoint, options);
  if (!listener) return std::unexpected(listener.error());
  return std::unique_ptr<TcpListener>(new TcpListener(runtime, **listener));
}

TcpListener::~TcpListener() {
  if (acceptor_ != nullptr) acceptor_->listener_ = nullptr;
  runtime_.stack.close(&listener_);
}

void TcpListener::on_events(uint8_t) {
  if (acceptor_ != nullptr && listener_.pending() > 0) runtime_.scheduler.make_ready(*acceptor_);
}

void TcpListener::Accept::await_suspend(std::coroutine_handle<> handle) {
  CHECK(listener_->acceptor_ == nullptr);
  listener_->acceptor_ = this;
  listener_->runtime_.scheduler.suspend(*this, handle);
}

TcpSocket TcpListener::Accept::await_resume() {
  if (listener_ == nullptr) return {};  // closed between event and turn
  host::Connection* connection = listener_->listener_.accept();
  return connection != nullptr ? TcpSocket(listener_->runtime_, *connection) : TcpSocket();
}

std::expected<nic::Splice*, host::SpliceRefusal> TcpSocket::splice(
    TcpSocket& client, TcpSocket& server, const nic::SpliceOptions& options) {
  auto spliced = client.state_->runtime.stack.splice(&client.state_->connection,
                                                     &server.state_->connection, options);
  if (!spliced) return spliced;
  for (TcpSocket* socket : {&client, &server}) {
    socket->state_->spliced = true;
    socket->state_.reset();
  }
  return spliced;
}

}  // namespace fairlead
