#include "control/log/log_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace fairlead::control {
namespace {

// How often somebody who waits for a reader asks whether to go on.
constexpr int kWaitMilliseconds = 50;

Result<UniqueFd> open_path(const std::string& path) {
  // O_NONBLOCK: a FIFO without a reader is an error (ENXIO) and no wait.
  UniqueFd fd(::open(path.c_str(),
                     O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640));
  if (fd) return fd;
  return fail(errc_from_errno(errno),
              fmt::format("can't write {}: {}", path, std::strerror(errno)));
}

}  // namespace

Result<std::unique_ptr<LogFile>> LogFile::open(const std::string& path) {
  auto fd = open_path(path);
  if (!fd) return std::unexpected(fd.error());
  return std::unique_ptr<LogFile>(new LogFile(path, std::move(*fd)));
}

Result<void> LogFile::reopen() {
  auto fd = open_path(path_);
  if (!fd) return std::unexpected(fd.error());
  fd_ = std::move(*fd);
  return {};
}

void LogFile::append(std::string_view line) {
  buffer_ += line;
  ++lines_;
}

Result<void> LogFile::flush(const std::function<bool()>& keep_waiting) {
  Result<void> written = write_all(buffer_, keep_waiting);
  buffer_.clear();
  lines_ = 0;
  return written;
}

Result<void> LogFile::write_all(std::string_view rest, const std::function<bool()>& keep_waiting) {
  while (!rest.empty()) {
    const ssize_t n = ::write(fd_.get(), rest.data(), rest.size());
    if (n >= 0) {
      rest.remove_prefix(static_cast<size_t>(n));
    } else if (errno == EAGAIN) {
      if (!keep_waiting()) {
        return fail(Errc::kTimedOut, fmt::format("{}: its reader takes nothing", path_));
      }
      pollfd ready{.fd = fd_.get(), .events = POLLOUT, .revents = 0};
      ::poll(&ready, 1, kWaitMilliseconds);
    } else if (errno != EINTR) {
      return fail(errc_from_errno(errno), fmt::format("{}: {}", path_, std::strerror(errno)));
    }
  }
  return {};
}

}  // namespace fairlead::control
