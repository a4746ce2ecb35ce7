#include "control/socket/server.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "base/check.h"

namespace fairlead::control {

std::optional<Time> ControlServer::next_deadline() const {
  std::optional<Time> earliest = accept_again_;
  for (const auto& session : sessions_) {
    if (!earliest || session->deadline() < *earliest) earliest = session->deadline();
  }
  return earliest;
}

void ControlServer::on_ready(Time now) {
  if (accept_again_ && *accept_again_ <= now) {
    accept_again_.reset();
    epoll_event event{.events = EPOLLIN, .data = {.ptr = nullptr}};
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, listener_.get(), &event);
  }
  std::array<epoll_event, kMaxClients + 1> events;
  const int n = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), 0);
  for (int i = 0; i < n; ++i) {
    void* who = events[static_cast<size_t>(i)].data.ptr;
    if (who == nullptr) {
      accept_clients(now);
    } else {
      serve(*static_cast<Session*>(who), now);
    }
  }
  drop_late(now);
}

void ControlServer::accept_clients(Time now) {
  for (;;) {
    UniqueFd client(::accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!client) {
      if (errno == ECONNABORTED || errno == EINTR) continue;
      if (errno != EAGAIN) pause_accepting(now);
      return;
    }
    if (sessions_.size() == kMaxClients) {
      ++counters_.clients_refused;
      const std::string line = format_reply(fail(Errc::kNoBufferSpace, "too many control clients"));
      static_cast<void>(::send(client.get(), line.data(), line.size(), MSG_NOSIGNAL));
      continue;
    }
    auto session = std::make_unique<Session>(std::move(client), commands_, now);
    epoll_event event{.events = EPOLLIN, .data = {.ptr = session.get()}};
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, session->fd(), &event) != 0) {
      pause_accepting(now);
      return;
    }
    ++counters_.clients_accepted;
    sessions_.push_back(std::move(session));
  }
}

// Without a free descriptor the listener stays readable: waiting for it would be a busy loop.
void ControlServer::pause_accepting(Time now) {
  ++counters_.accept_failed;
  accept_again_ = now + kAcceptPause;
  epoll_event event{.events = 0, .data = {.ptr = nullptr}};
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, listener_.get(), &event);
}

void ControlServer::serve(Session& session, Time now) {
  const bool was_writing = session.writing();
  switch (session.on_ready(now)) {
    case Session::Outcome::kGoesOn:
      break;
    case Session::Outcome::kTooLong:
      ++counters_.requests_too_long;
      drop(session);
      return;
    case Session::Outcome::kEnded:
      drop(session);
      return;
  }
  if (session.writing() == was_writing) return;
  epoll_event event{.events = session.writing() ? uint32_t{EPOLLOUT} : uint32_t{EPOLLIN},
                    .data = {.ptr = &session}};
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, session.fd(), &event);
}

void ControlServer::drop(const Session& session) {
  const size_t removed =
      std::erase_if(sessions_, [&](const auto& other) { return other.get() == &session; });
  CHECK(removed == 1);
}

void ControlServer::drop_late(Time now) {
  counters_.clients_timed_out +=
      std::erase_if(sessions_, [&](const auto& session) { return session->deadline() <= now; });
}

}  // namespace fairlead::control
