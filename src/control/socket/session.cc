#include "control/socket/session.h"

#include <fmt/format.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

namespace fairlead::control {

Session::Outcome Session::on_ready(Time now) {
  bool more = true;
  while (more) {
    if (writing()) {
      more = write_some(now);
    } else if (outcome_ != Outcome::kGoesOn) {
      break;
    } else {
      more = answer_line(now) || read_some(now);
    }
  }
  return writing() && outcome_ == Outcome::kTooLong ? Outcome::kGoesOn : outcome_;
}

bool Session::read_some(Time now) {
  std::array<char, kMaxRequest> buffer;
  const ssize_t n = ::recv(fd(), buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (n < 0) {
    if (errno != EAGAIN && errno != EINTR) outcome_ = Outcome::kEnded;
    return false;  // readiness is level-triggered: EINTR comes back by itself
  }
  if (n == 0) {
    outcome_ = Outcome::kEnded;
    return false;
  }
  in_.append(buffer.data(), static_cast<size_t>(n));
  if (in_.size() >= kMaxRequest && in_.find('\n') >= kMaxRequest) {
    reply(fail(Errc::kMessageTooLong, fmt::format("a request has at most {} bytes", kMaxRequest)),
          now);
    outcome_ = Outcome::kTooLong;
  }
  return true;
}

bool Session::answer_line(Time now) {
  const size_t end = in_.find('\n');
  if (end == std::string::npos) return false;
  const Result<Request> request = parse_request(std::string_view(in_).substr(0, end));
  in_.erase(0, end + 1);
  reply(request ? commands_.run(*request) : fail(request.error().code, request.error().message),
        now);
  return true;
}

void Session::reply(const Result<Json>& result, Time now) {
  out_ = format_reply(result);
  sent_ = 0;
  deadline_ = now + kWriteTimeout;
}

bool Session::write_some(Time now) {
  const ssize_t n =
      ::send(fd(), out_.data() + sent_, out_.size() - sent_, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (n < 0) {
    if (errno != EAGAIN && errno != EINTR) {
      outcome_ = Outcome::kEnded;
      sent_ = out_.size();
    }
    return false;
  }
  sent_ += static_cast<size_t>(n);
  deadline_ = now + kWriteTimeout;
  if (!writing()) {
    out_ = {};  // a large reply's memory is not kept for an idle client
    sent_ = 0;
    deadline_ = now + kIdleTimeout;
  }
  return true;
}

}  // namespace fairlead::control
