#include "lab/peers/sockets.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

namespace fairlead::lab {
namespace {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;

  explicit SocketAddress(const Endpoint& endpoint) {
    const ByteSpan address = endpoint.address.header_bytes();
    if (endpoint.address.is_v4()) {
      auto* v4 = reinterpret_cast<sockaddr_in*>(&storage);
      v4->sin_family = AF_INET;
      v4->sin_port = htons(endpoint.port);
      std::ranges::copy(address, reinterpret_cast<uint8_t*>(&v4->sin_addr));
      size = sizeof *v4;
    } else {
      auto* v6 = reinterpret_cast<sockaddr_in6*>(&storage);
      v6->sin6_family = AF_INET6;
      v6->sin6_port = htons(endpoint.port);
      std::ranges::copy(address, reinterpret_cast<uint8_t*>(&v6->sin6_addr));
      size = sizeof *v6;
    }
  }
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  int family() const { return storage.ss_family; }
};

UniqueFd open_socket(int family) {
  return UniqueFd(::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
}

void set_option(const UniqueFd& socket, int level, int name, int value) {
  ::setsockopt(socket.get(), level, name, &value, sizeof value);
}

bool would_block(int error) { return error == EAGAIN || error == EWOULDBLOCK; }

}  // namespace

std::string errno_name(int error_number) {
  const char* name = ::strerrorname_np(error_number);
  return name ? name : fmt::format("errno {}", error_number);
}

Result<UniqueFd> listen_on(const Endpoint& endpoint, int backlog) {
  const SocketAddress address(endpoint);
  UniqueFd socket = open_socket(address.family());
  set_option(socket, SOL_SOCKET, SO_REUSEADDR, 1);
  set_option(socket, SOL_SOCKET, SO_REUSEPORT, 1);
  if (endpoint.address.is_v6()) set_option(socket, IPPROTO_IPV6, IPV6_V6ONLY, 1);
  if (::bind(socket.get(), address.get(), address.size) != 0 ||
      ::listen(socket.get(), backlog) != 0) {
    const int error = errno;
    return fail(errc_from_errno(error),
                fmt::format("cannot listen on {}: {}", endpoint.to_string(), errno_name(error)));
  }
  return socket;
}

UniqueFd start_connect(const Endpoint& endpoint) {
  const SocketAddress address(endpoint);
  UniqueFd socket = open_socket(address.family());
  if (!socket) return socket;
  if (::connect(socket.get(), address.get(), address.size) != 0 && errno != EINPROGRESS) {
    const int error = errno;
    socket.reset();
    errno = error;
  }
  return socket;
}

UniqueFd accept_from(const UniqueFd& listener) {
  return UniqueFd(::accept4(listener.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
}

int pending_error(const UniqueFd& socket) {
  int error = 0;
  socklen_t size = sizeof error;
  return ::getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error : errno;
}

void set_nodelay(const UniqueFd& socket) { set_option(socket, IPPROTO_TCP, TCP_NODELAY, 1); }

void reset_on_close(const UniqueFd& socket) {
  const linger now{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(socket.get(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

IoResult read_some(const UniqueFd& socket, std::span<std::byte> into) {
  const ssize_t n = ::recv(socket.get(), into.data(), into.size(), 0);
  if (n < 0) return {.error = would_block(errno) ? 0 : errno};
  return {.bytes = static_cast<size_t>(n), .ended = n == 0};
}

IoResult write_some(const UniqueFd& socket, std::span<const std::byte> from) {
  const ssize_t n = ::send(socket.get(), from.data(), from.size(), MSG_NOSIGNAL);
  if (n < 0) return {.error = would_block(errno) ? 0 : errno};
  return {.bytes = static_cast<size_t>(n)};
}

void raise_descriptor_limit() {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace fairlead::lab
