// How a ControlServer gets its place in the file system, and leaves it again.
#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "control/socket/server.h"
#include "control/socket/unix_address.h"

namespace fairlead::control {
namespace {

std::unexpected<Error> failed(const std::string& path, std::string_view what, int error_number) {
  return fail(errc_from_errno(error_number),
              fmt::format("control socket {}: {}: {}", path, what, std::strerror(error_number)));
}

// True when nobody listens at `address` any more.
bool left_behind(const sockaddr_un& address) {
  const UniqueFd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  return probe && ::connect(probe.get(), as_sockaddr(address), sizeof(address)) != 0 &&
         errno == ECONNREFUSED;
}

}  // namespace

Result<std::unique_ptr<ControlServer>> ControlServer::open(const std::string& path,
                                                           CommandTable commands) {
  std::unique_ptr<ControlServer> server(new ControlServer(path, std::move(commands)));
  if (Result<void> listening = server->listen(); !listening) {
    return std::unexpected(listening.error());
  }
  return server;
}

ControlServer::~ControlServer() {
  struct stat now{};
  if (inode_ != 0 && ::lstat(path_.c_str(), &now) == 0 && now.st_ino == inode_ &&
      now.st_dev == device_) {
    ::unlink(path_.c_str());
  }
}

Result<void> ControlServer::listen() {
  const std::string directory = std::filesystem::path(path_).parent_path();
  if (::mkdir(directory.c_str(), 0755) != 0 && errno != EEXIST) {
    return failed(path_, "can't make its directory", errno);
  }
  listener_ = UniqueFd(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  epoll_ = UniqueFd(::epoll_create1(EPOLL_CLOEXEC));
  if (!listener_ || !epoll_) return failed(path_, "can't open", errno);
  if (Result<void> bound = bind_socket(); !bound) return bound;

  struct stat mine{};
  if (::lstat(path_.c_str(), &mine) != 0) return failed(path_, "can't find", errno);
  device_ = mine.st_dev;
  inode_ = mine.st_ino;
  // Nobody can connect before listen(): the mode is right from the first moment that matters.
  epoll_event event{.events = EPOLLIN, .data = {.ptr = nullptr}};
  if (::chmod(path_.c_str(), 0600) != 0 || ::listen(listener_.get(), int{kMaxClients}) != 0 ||
      ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, listener_.get(), &event) != 0) {
    return failed(path_, "can't listen", errno);
  }
  return {};
}

Result<void> ControlServer::bind_socket() {
  const Result<sockaddr_un> address = unix_address(path_);
  if (!address) return std::unexpected(address.error());
  if (::bind(listener_.get(), as_sockaddr(*address), sizeof(*address)) == 0) return {};
  if (errno != EADDRINUSE) return failed(path_, "can't bind", errno);

  struct stat there{};
  if (::lstat(path_.c_str(), &there) == 0 && !S_ISSOCK(there.st_mode)) {
    return fail(Errc::kAddressInUse,
                fmt::format("control socket {}: a file that is no socket is in its place", path_));
  }
  if (!left_behind(*address)) {
    return fail(Errc::kAddressInUse,
                fmt::format("control socket {}: in use by another Fairlead; give this one its own "
                            "with \"control_socket PATH\"",
                            path_));
  }
  ::unlink(path_.c_str());
  if (::bind(listener_.get(), as_sockaddr(*address), sizeof(*address)) == 0) return {};
  return failed(path_, "can't bind", errno);
}

}  // namespace fairlead::control
