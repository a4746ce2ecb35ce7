#include "app/signals.h"

#include <fmt/format.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace fairlead::app {

Result<Signals> Signals::block() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGUSR1}) sigaddset(&signals, number);
  if (const int error = ::pthread_sigmask(SIG_BLOCK, &signals, nullptr); error != 0) {
    return fail(errc_from_errno(error),
                fmt::format("can't block signals: {}", std::strerror(error)));
  }
  // Who reads our stderr may go away; that must not end us.
  ::signal(SIGPIPE, SIG_IGN);
  UniqueFd fd(::signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC));
  if (!fd) {
    return fail(errc_from_errno(errno),
                fmt::format("can't wait for signals: {}", std::strerror(errno)));
  }
  return Signals(std::move(fd));
}

std::optional<int> Signals::take() const {
  signalfd_siginfo info{};
  if (::read(fd_.get(), &info, sizeof(info)) != static_cast<ssize_t>(sizeof(info))) {
    return std::nullopt;
  }
  return static_cast<int>(info.ssi_signo);
}

}  // namespace fairlead::app
