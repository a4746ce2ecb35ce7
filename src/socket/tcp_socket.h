// TcpSocket and TcpListener: awaitable TCP over a host stack.
//
//   Task<void> echo(TcpSocket s) {
//     while (co_await s.readable()) {                 // bytes, end of stream, or an Error
//       if (s.end_of_stream()) break;
//       size_t n = s.write_now(s.peek());             // straight from the packet they came in
//       s.consume(n);
//       if (n == 0 && !co_await s.writable()) co_return;
//     }
//     s.shutdown();
//   }
//
// Errors are Results with the errno-like codes of base/result.h: ECONNRESET, ETIMEDOUT (the
// connection's, or the deadline's), EPIPE, ECONNABORTED. One coroutine may wait to read and one to
// write at a time. Destroying a socket releases the connection: it closes gracefully in the
// background, or by RST if unread bytes are thrown away.
#pragma once

#include <memory>
#include <optional>

#include "base/result.h"
#include "host/stack.h"
#include "socket/scheduler.h"
#include "socket/task.h"

namespace fairlead {

/// What sockets live in: one stack and its coroutines. A shard, or a test.
struct Runtime {
  host::Stack& stack;
  Scheduler& scheduler;
};

namespace detail {

class SocketState;

/// A wait for one direction of a socket, until an event or the socket's deadline.
class [[nodiscard]] SocketWait final : public Scheduler::Timed, private Waiter {
 public:
  SocketWait(SocketState& socket, bool write, size_t beyond = 0)
      : socket_(socket), beyond_(beyond), write_(write) {}
  ~SocketWait();
  SocketWait(const SocketWait&) = delete;

  bool await_ready() const;
  void await_suspend(std::coroutine_handle<> handle);
  Result<void> await_resume();

 private:
  friend class SocketState;
  void on_timer() override;
  bool ready() const;

  SocketState& socket_;
  size_t beyond_;  // a reader's: so many bytes are not enough
  bool write_;
  bool timed_out_ = false;
};

class SocketState final : public host::Observer, public Pooled {
 public:
  SocketState(Runtime runtime, host::Connection& connection)
      : runtime(runtime), connection(connection) {
    connection.set_observer(this);
  }
  ~SocketState() {
    if (!spliced) runtime.stack.release(&connection);
  }

  void on_events(uint8_t events) override;
  void set_deadline(Time at);

  Runtime runtime;
  host::Connection& connection;
  SocketWait* reader = nullptr;
  SocketWait* writer = nullptr;
  Time deadline = Time::max();
  bool spliced = false;  // the connection is the stack's own
};

}  // namespace detail

class TcpSocket {
 public:
  TcpSocket() = default;
  TcpSocket(Runtime runtime, host::Connection& connection)
      : state_(std::make_unique<detail::SocketState>(runtime, connection)) {}

  /// Waits for the handshake. Errors of Stack::connect(), ECONNREFUSED, ETIMEDOUT.
  static Task<Result<TcpSocket>> connect(Runtime runtime, host::Stack::ConnectOptions options);

  /// Makes one connection of two of one stack, see Stack::splice(); both sockets are closed then.
  /// Nobody may be waiting on either.
  static std::expected<nic::Splice*, host::SpliceRefusal> splice(TcpSocket& client,
                                                                 TcpSocket& server,
                                                                 const nic::SpliceOptions& options);

  bool is_open() const { return state_ != nullptr; }
  const host::Connection& connection() const { return state_->connection; }

  /// Until there are bytes to read or the stream has ended. ECONNRESET etc. when it broke.
  detail::SocketWait readable() { return {*state_, false}; }
  /// Likewise, until there are more than `n` unread bytes.
  detail::SocketWait readable_beyond(size_t n) { return {*state_, false, n}; }
  size_t unread() const { return state_->connection.readable(); }
  /// Copies the first unread bytes and leaves them unread. See Connection::copy_unread().
  size_t copy_unread(MutableByteSpan into) const { return state_->connection.copy_unread(into); }
  /// Where the next unread bytes lie; valid until the next suspension. See Connection::peek().
  ByteSpan peek() const { return state_->connection.peek(); }
  void consume(size_t n) { state_->connection.consume(n); }
  bool end_of_stream() const { return state_->connection.end_of_stream(); }
  /// At least one byte, 0 at the end of the stream. Copies.
  Task<Result<size_t>> read(MutableByteSpan into);

  /// Until there is room to write. EPIPE after shutdown().
  detail::SocketWait writable() { return {*state_, true}; }
  /// As much as there is room for, without waiting.
  size_t write_now(ByteSpan bytes) { return state_->connection.write(bytes); }
  /// At least one byte, as many as there is room for. Copies. `bytes` is not empty.
  Task<Result<size_t>> write(ByteSpan bytes);
  Task<Result<void>> write_all(ByteSpan bytes);
  /// Moves unread bytes, `limit` at most, to what `to` sends, as much as there is room for, without
  /// waiting. Bulk data is not copied.
  size_t forward_now(TcpSocket& to, size_t limit = SIZE_MAX) {
    return state_->connection.forward(to.state_->connection, limit);
  }

  /// FIN after what was written. A coroutine that waits to write gets EPIPE.
  void shutdown();
  /// RST now.
  void abort() { state_->connection.abort(); }
  /// Operations that wait, now or later, end with ETIMEDOUT at this time. Time::max(): never.
  void set_deadline(Time deadline) { state_->set_deadline(deadline); }
  void set_nodelay(bool on) { state_->connection.set_nodelay(on); }
  void set_cork(bool on) { state_->connection.set_cork(on); }
  void set_keepalive(bool on) { state_->connection.set_keepalive(on); }
  /// Whether the NIC stack closes the connection when the socket is closed or destroyed, where it
  /// can (doc/offload.md); else the host does. At any time before; at first it is as
  /// SocketOptions::teardown_offload of the listener, or of connect(), says.
  void set_teardown_offload(bool on) { state_->connection.set_teardown_offload(on); }
  /// See host::Connection::hold_acks().
  void hold_acks(bool on) { state_->connection.hold_acks(on); }
  /// Releases the connection now.
  void close() { state_.reset(); }

 private:
  std::unique_ptr<detail::SocketState> state_;
};

class TcpListener final : private host::Observer {
 public:
  static Result<std::unique_ptr<TcpListener>> listen(Runtime runtime, const Endpoint& endpoint,
                                                     const host::ListenOptions& options);
  /// Who waits in accept() is not woken any more, and may be destroyed later.
  ~TcpListener();

  const host::Listener& listener() const { return listener_; }
  /// For connections that are yet to come.
  void set_options(const host::ListenOptions& options) {
    runtime_.stack.set_options(listener_, options);
  }
  /// See host::Stack::set_mss_max().
  void set_mss_max(uint16_t mss) { runtime_.stack.set_mss_max(listener_, mss); }

  class [[nodiscard]] Accept final : private Waiter {
   public:
    explicit Accept(TcpListener& listener) : listener_(&listener) {}
    ~Accept() {
      if (listener_ != nullptr && listener_->acceptor_ == this) listener_->acceptor_ = nullptr;
    }
    bool await_ready() const { return listener_->listener_.pending() > 0; }
    void await_suspend(std::coroutine_handle<> handle);
    TcpSocket await_resume();

   private:
    friend class TcpListener;
    TcpListener* listener_;  // nullptr: closed meanwhile
  };
  /// The next connection. One coroutine may wait at a time.
  Accept accept() { return Accept(*this); }

 private:
  TcpListener(Runtime runtime, host::Listener& listener) : runtime_(runtime), listener_(listener) {
    listener.set_observer(this);
  }
  void on_events(uint8_t events) override;

  Runtime runtime_;
  host::Listener& listener_;
  Accept* acceptor_ = nullptr;
};

}  // namespace fairlead
