#include "api/socket.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "api/fairlead.h"

namespace fairlead::api {
namespace {

using Kind = Socket::Kind;
using host::State;

/// A socket option whose value is an int. `set` returns 0 or an errno value; nullptr: read only.
struct Option {
  int level;
  int name;
  int (*get)(const Socket& socket);
  int (*set)(Socket& socket, int value);
};

/// What only connections that are yet to come take.
bool may_configure(const Socket& socket) { return socket.kind != Kind::kConnection; }

template <typename T>
int assign(Socket& socket, int value, int least, int most, T& to) {
  if (!may_configure(socket) || value < least || value > most) return EINVAL;
  to = static_cast<T>(value);
  return 0;
}

int assign_seconds(Socket& socket, int value, Duration& to) {
  if (!may_configure(socket) || value < 1 || value > 32767) return EINVAL;  // as Linux
  to = seconds(value);
  return 0;
}

int in_seconds(Duration duration) { return static_cast<int>(duration / seconds(1)); }

int assign_buffer(Socket& socket, int value, uint32_t& least, uint32_t& most) {
  constexpr int kLeast = 2048, kMost = 1 << 30;
  if (!may_configure(socket)) return EINVAL;
  most = static_cast<uint32_t>(std::clamp(value, kLeast, kMost));
  least = std::min(least, most);
  return 0;
}

constexpr Option kOptions[] = {
    {SOL_SOCKET, SO_TYPE, [](const Socket&) { return int{SOCK_STREAM}; }, nullptr},
    {SOL_SOCKET, SO_DOMAIN, [](const Socket& s) { return s.domain; }, nullptr},
    {SOL_SOCKET, SO_PROTOCOL, [](const Socket&) { return int{IPPROTO_TCP}; }, nullptr},
    {SOL_SOCKET, SO_ACCEPTCONN, [](const Socket& s) { return int{s.kind == Kind::kListener}; },
     nullptr},
    {SOL_SOCKET, SO_REUSEADDR, [](const Socket&) { return 1; }, [](Socket&, int) { return 0; }},
    {SOL_SOCKET, SO_REUSEPORT, [](const Socket&) { return 1; }, [](Socket&, int) { return 0; }},
    {SOL_SOCKET, SO_KEEPALIVE, [](const Socket& s) { return int{s.options.socket.keepalive}; },
     [](Socket& s, int value) {
       s.options.socket.keepalive = value != 0;
       if (s.connection != nullptr) s.connection->set_keepalive(value != 0);
       return 0;
     }},
    {SOL_SOCKET, SO_SNDBUF,
     [](const Socket& s) { return static_cast<int>(s.options.socket.send_buffer_max); },
     [](Socket& s, int value) {
       return assign_buffer(s, value, s.options.socket.send_buffer_min,
                            s.options.socket.send_buffer_max);
     }},
    {SOL_SOCKET, SO_RCVBUF,
     [](const Socket& s) { return static_cast<int>(s.options.socket.receive_buffer_max); },
     [](Socket& s, int value) {
       return assign_buffer(s, value, s.options.socket.receive_buffer_min,
                            s.options.socket.receive_buffer_max);
     }},
    {IPPROTO_TCP, TCP_NODELAY, [](const Socket& s) { return int{s.options.socket.nodelay}; },
     [](Socket& s, int value) {
       s.options.socket.nodelay = value != 0;
       if (s.connection != nullptr) s.connection->set_nodelay(value != 0);
       return 0;
     }},
    {IPPROTO_TCP, TCP_CORK, [](const Socket& s) { return int{s.cork}; },
     [](Socket& s, int value) {
       s.cork = value != 0;
       if (s.connection != nullptr) s.connection->set_cork(s.cork);
       return 0;
     }},
    {IPPROTO_TCP, TCP_MAXSEG,
     [](const Socket& s) {
       if (s.connection != nullptr) return static_cast<int>(s.connection->info().mss);
       return int{s.options.socket.mss_max};
     },
     [](Socket& s, int value) {
       if (value != 0 && value < 88) return EINVAL;  // as Linux
       return assign(s, value, 0, 32767, s.options.socket.mss_max);
     }},
    {IPPROTO_TCP, TCP_DEFER_ACCEPT, [](const Socket& s) { return int{s.options.defer_accept}; },
     [](Socket& s, int value) { return assign(s, int{value != 0}, 0, 1, s.options.defer_accept); }},
    {IPPROTO_TCP, TCP_KEEPIDLE,
     [](const Socket& s) { return in_seconds(s.options.socket.keepalive_idle); },
     [](Socket& s, int value) {
       return assign_seconds(s, value, s.options.socket.keepalive_idle);
     }},
    {IPPROTO_TCP, TCP_KEEPINTVL,
     [](const Socket& s) { return in_seconds(s.options.socket.keepalive_interval); },
     [](Socket& s, int value) {
       return assign_seconds(s, value, s.options.socket.keepalive_interval);
     }},
    {IPPROTO_TCP, TCP_KEEPCNT,
     [](const Socket& s) { return static_cast<int>(s.options.socket.keepalive_probes); },
     [](Socket& s, int value) {
       return assign(s, value, 1, 127, s.options.socket.keepalive_probes);
     }},
    {IPPROTO_TCP, TCP_USER_TIMEOUT,
     [](const Socket& s) {
       return static_cast<int>(s.options.socket.user_timeout / milliseconds(1));
     },
     [](Socket& s, int value) {
       if (!may_configure(s) || value < 0) return EINVAL;
       s.options.socket.user_timeout =
           value == 0 ? host::SocketOptions{}.user_timeout : Duration(milliseconds(value));
       return 0;
     }},
    {IPPROTO_TCP, TCP_SETUP_OFFLOAD, [](const Socket& s) { return int{s.options.setup_offload}; },
     [](Socket& s, int value) { return assign(s, value, 0, 1, s.options.setup_offload); }},
    {IPPROTO_TCP, TCP_TEARDOWN_OFFLOAD,
     [](const Socket& s) { return int{s.options.socket.teardown_offload}; },
     [](Socket& s, int value) {
       if (value != 0 && value != 1) return EINVAL;
       s.options.socket.teardown_offload = value != 0;
       if (s.connection != nullptr) s.connection->set_teardown_offload(value != 0);
       return 0;
     }},
};

const Option* find(int level, int name) {
  const auto* found = std::ranges::find_if(
      kOptions, [&](const Option& o) { return o.level == level && o.name == name; });
  return found == std::end(kOptions) ? nullptr : found;
}

int set_linger(Socket& socket, ByteSpan value) {
  ::linger linger;
  if (value.size() < sizeof linger) return EINVAL;
  std::memcpy(&linger, value.data(), sizeof linger);
  socket.linger = linger.l_onoff != 0;
  socket.linger_seconds = linger.l_linger;
  return 0;
}

int get_linger(const Socket& socket, MutableByteSpan value) {
  const ::linger linger{.l_onoff = socket.linger, .l_linger = socket.linger_seconds};
  const size_t size = std::min(value.size(), sizeof linger);
  std::memcpy(value.data(), &linger, size);
  return static_cast<int>(size);
}

}  // namespace

int take_error(Socket& socket) {
  if (socket.connection == nullptr || socket.error_told) return 0;
  const int error = errno_of(socket.connection->error());
  socket.error_told = error != 0;
  return error;
}

uint32_t Socket::readiness() const {
  if (kind == Kind::kListener) return listener->pending() > 0 ? EPOLLIN : 0u;
  if (kind != Kind::kConnection) return EPOLLOUT | EPOLLHUP;  // as Linux
  const host::Connection& c = *connection;
  uint32_t ready = 0;
  const bool over = c.state() == State::kClosed || c.state() == State::kTimeWait;
  if (c.error() != Errc::kOk && !error_told) ready |= EPOLLERR;
  if (c.readable() > 0 || c.fin_received() || read_shut || over) ready |= EPOLLIN;
  if (c.fin_received() || read_shut || over) ready |= EPOLLRDHUP;
  const bool write_shut = host::write_is_shut(c.state());
  if (over || write_shut || c.writable() > 0) ready |= EPOLLOUT;
  if (over || (write_shut && (c.fin_received() || read_shut))) ready |= EPOLLHUP;
  return ready;
}

int set_option(Socket& socket, host::Stack& stack, int level, int name, ByteSpan value) {
  if (level == SOL_SOCKET && name == SO_LINGER) return set_linger(socket, value);
  const Option* option = find(level, name);
  if (option == nullptr || option->set == nullptr) return ENOPROTOOPT;
  int number;
  if (value.size() < sizeof number) return EINVAL;
  std::memcpy(&number, value.data(), sizeof number);
  const int error = option->set(socket, number);
  if (error == 0 && socket.listener != nullptr) {
    stack.set_options(*socket.listener, socket.options);
    stack.set_mss_max(*socket.listener, socket.options.socket.mss_max);
  }
  return error;
}

int get_option(Socket& socket, int level, int name, MutableByteSpan value) {
  if (level == SOL_SOCKET && name == SO_LINGER) return get_linger(socket, value);
  const bool is_error = level == SOL_SOCKET && name == SO_ERROR;
  const Option* option = find(level, name);
  if (option == nullptr && !is_error) return -ENOPROTOOPT;
  const int number = is_error ? take_error(socket) : option->get(socket);
  const size_t size = std::min(value.size(), sizeof number);
  std::memcpy(value.data(), &number, size);
  return static_cast<int>(size);
}

}  // namespace fairlead::api
