// Context: one thread's descriptors and epoll set, over a shard that this thread drives.
//
//   wait():  end_turn │ begin_turn: packets, events ──▶ ready_ ──▶ epoll events
//                     └──────────── the caller reads, writes, closes ◀─┘
//
// So the caller has the place that coroutines have in the daemon: between a burst's packets and
// what is sent for them. fairlead.h says what calls do; errors are errno values.
#pragma once

#include <sys/epoll.h>
#include <sys/socket.h>

#include <deque>
#include <expected>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "api/fairlead.h"
#include "api/socket.h"
#include "base/bytes.h"
#include "base/intrusive_list.h"
#include "nic/steering/steering.h"
#include "socket/shard.h"

namespace fairlead::api {

template <typename T>
using Outcome = std::expected<T, int>;

class Context {
 public:
  struct Options {
    host::ListenOptions listen;  // every socket's to begin with
    nic::LocalPorts local_ports;
    size_t max_sockets = 1 << 20;  // beyond: EMFILE
    /// Whose packets are ours: taken from the kernel, given back.
    std::function<Result<void>(const Endpoint&)> claim;
    std::function<void(const Endpoint&)> give_back;
    std::function<Time()> clock = monotonic_now;
  };

  /// `shard` is this thread's to drive, and outlives close().
  Context(Shard& shard, Options options);
  /// After close(), and the shard's own.
  ~Context();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;
  /// Resets all connections, forgets all descriptors; there will be no others. Splices go on, and
  /// report.
  void close();

  Outcome<int> socket(int domain, int type, int protocol);
  Outcome<void> bind(int fd, const Endpoint& endpoint);
  Outcome<void> listen(int fd, int backlog);
  /// The peer's address by getpeername().
  Outcome<int> accept(int fd);
  Outcome<void> connect(int fd, const Endpoint& remote);
  Outcome<size_t> read(int fd, MutableByteSpan into);
  Outcome<size_t> write(int fd, ByteSpan bytes);
  Outcome<void> shutdown(int fd, int how);
  Outcome<void> close(int fd);
  Outcome<Endpoint> local(int fd);
  Outcome<Endpoint> remote(int fd);
  Outcome<void> set_option(int fd, int level, int name, ByteSpan value);
  /// How many bytes of `value` it has.
  Outcome<size_t> option(int fd, int level, int name, MutableByteSpan value);
  Outcome<void> control(int operation, int fd, const epoll_event* event);
  /// How many of `events` there are. timeout: milliseconds, negative: none.
  Outcome<size_t> wait(std::span<epoll_event> events, int timeout);
  Outcome<void> splice(int a, int b, fl_nsplice_callback* callback, void* argument);

 private:
  /// Looking whether an address is still in use means a look at every connection.
  static constexpr Duration kGiveBackInterval = seconds(1);

  class SpliceEnd;

  Outcome<Socket*> find(int fd);
  /// ENOTCONN: it is none.
  Outcome<Socket*> find_connection(int fd);
  /// nullptr: at the bound.
  Socket* make(const host::ListenOptions& options, int domain);
  void close(Socket& socket);
  void forget(Socket& socket);
  size_t collect(std::span<epoll_event> events);
  void end_turn(Time now);
  void give_back_unused(Time now);

  Shard& shard_;
  Options options_;
  std::deque<Socket> sockets_;  // by descriptor
  std::vector<int> free_;       // descriptors
  ReadySockets ready_;
  bool in_turn_ = false;
  bool closed_ = false;
  std::vector<Endpoint> retired_;  // listened to before; connections may be left
  Time next_give_back_{};
  std::vector<SpliceEnd*> free_ends_;
  std::vector<std::unique_ptr<SpliceEnd>> splices_;
};

}  // namespace fairlead::api
