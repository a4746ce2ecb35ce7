#include "control/log/log_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace fairlead::control {
namespace {

size_t lines_in(std::string_view text) {
  return static_cast<size_t>(std::ranges::count(text, '\n'));
}

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
  const auto fits = [&] { return buffer_.size() + line.size() <= kMaxWaiting; };
  if (!fits() && !stalled_) write();
  if (fits()) {
    buffer_ += line;
  } else {
    refuse(1);
  }
}

LogFile::Outcome LogFile::flush() {
  write();
  stalled_ = false;
  return std::exchange(outcome_, {});
}

LogFile::Outcome LogFile::give_up() {
  refuse(lines_in(std::exchange(buffer_, {})));
  return std::exchange(outcome_, {});
}

void LogFile::refuse(size_t lines) {
  outcome_.failed += lines;
  if (!outcome_.problem) return;
  outcome_.problem = fail(Errc::kTimedOut, fmt::format("{}: its reader takes nothing", path_));
}

void LogFile::write() {
  const std::string_view all = buffer_;
  size_t done = 0;
  while (done < buffer_.size()) {
    const ssize_t n = ::write(fd_.get(), buffer_.data() + done, buffer_.size() - done);
    if (n >= 0) {
      done += static_cast<size_t>(n);
    } else if (errno == EAGAIN) {
      stalled_ = true;
      break;
    } else if (errno != EINTR) {
      outcome_.problem =
          fail(errc_from_errno(errno), fmt::format("{}: {}", path_, std::strerror(errno)));
      outcome_.failed += lines_in(all.substr(done));
      buffer_.resize(done);
    }
  }
  outcome_.written += lines_in(all.substr(0, done));
  buffer_.erase(0, done);
}

}  // namespace fairlead::control
