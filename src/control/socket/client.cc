#include "control/socket/client.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "base/unique_fd.h"
#include "control/socket/unix_address.h"

namespace fairlead::control {
namespace {

std::unexpected<Error> failed(const std::string& path, int error_number) {
  const Errc code = errc_from_errno(error_number);
  const char* reason = std::strerror(error_number);
  switch (error_number) {
    case ENOENT:
    case ECONNREFUSED:
      return fail(code, fmt::format("no Fairlead answers at {} ({}); is \"fairlead run\" running, "
                                    "and with this control_socket?",
                                    path, reason));
    case EACCES:
    case EPERM:
      return fail(code, fmt::format("may not use {} ({}); try as root", path, reason));
    case EAGAIN:
      return fail(Errc::kTimedOut, fmt::format("{} does not answer", path));
    default:
      return fail(code, fmt::format("{}: {}", path, reason));
  }
}

void set_timeouts(int fd, Duration timeout) {
  const auto whole = std::chrono::duration_cast<seconds>(timeout);
  const timeval value{.tv_sec = whole.count(),
                      .tv_usec = std::chrono::duration_cast<microseconds>(timeout - whole).count()};
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &value, sizeof(value));
  ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &value, sizeof(value));
}

// Errors as errno values.
std::expected<void, int> send_all(int fd, std::string_view data) {
  while (!data.empty()) {
    const ssize_t n = ::send(fd, data.data(), data.size(), MSG_NOSIGNAL);
    if (n < 0 && errno != EINTR) return std::unexpected(errno);
    if (n > 0) data.remove_prefix(static_cast<size_t>(n));
  }
  return {};
}

std::expected<std::string, int> read_line(int fd) {
  std::string line;
  std::vector<char> buffer(size_t{64} << 10);
  for (;;) {
    const ssize_t n = ::recv(fd, buffer.data(), buffer.size(), 0);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return std::unexpected(errno);
    if (n == 0) return std::unexpected(ECONNRESET);
    const std::string_view got(buffer.data(), static_cast<size_t>(n));
    const size_t end = got.find('\n');
    line.append(got.substr(0, end));
    if (end != std::string_view::npos) return line;
    if (line.size() > kMaxReply) return std::unexpected(EMSGSIZE);
  }
}

}  // namespace

Result<Json> control_request(const std::string& path, const Request& request, Duration timeout) {
  const Result<sockaddr_un> address = unix_address(path);
  if (!address) return std::unexpected(address.error());
  const UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) return failed(path, errno);
  set_timeouts(fd.get(), timeout);
  if (::connect(fd.get(), as_sockaddr(*address), sizeof(*address)) != 0) return failed(path, errno);
  if (const auto sent = send_all(fd.get(), format_request(request)); !sent) {
    return failed(path, sent.error());
  }
  const auto line = read_line(fd.get());
  if (!line) return failed(path, line.error());
  return parse_reply(*line);
}

}  // namespace fairlead::control
