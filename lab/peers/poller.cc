#include "lab/peers/poller.h"

#include <sys/epoll.h>

#include <array>
#include <chrono>

#include "base/check.h"

namespace fairlead::lab {

Poller::Poller() : epoll_(::epoll_create1(EPOLL_CLOEXEC)) { CHECK(epoll_); }

bool Poller::add(const UniqueFd& fd, Pollable& pollable, Interest interest) {
  return control(EPOLL_CTL_ADD, fd, pollable, interest);
}

bool Poller::change(const UniqueFd& fd, Pollable& pollable, Interest interest) {
  return control(EPOLL_CTL_MOD, fd, pollable, interest);
}

bool Poller::control(int operation, const UniqueFd& fd, Pollable& pollable, Interest interest) {
  epoll_event event{};
  event.events = EPOLLIN | EPOLLPRI | EPOLLRDHUP | EPOLLET;
  if (interest == Interest::kBoth) event.events |= EPOLLOUT;
  event.data.ptr = &pollable;
  return ::epoll_ctl(epoll_.get(), operation, fd.get(), &event) == 0;
}

void Poller::again(Pollable& pollable) { give_turn(pollable); }

void Poller::give_turn(Pollable& pollable) {
  if (pollable.has_turn_) return;
  pollable.has_turn_ = true;
  turns_.push_back(&pollable);
}

void Poller::wait(Duration timeout) {
  std::array<epoll_event, 256> events;
  const auto milliseconds = std::chrono::ceil<std::chrono::milliseconds>(timeout).count();
  const int n = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()),
                             turns_.empty() ? static_cast<int>(milliseconds) : 0);
  for (int i = 0; i < n; ++i) {
    const epoll_event& event = events[static_cast<size_t>(i)];
    auto& pollable = *static_cast<Pollable*>(event.data.ptr);
    if (event.events & (EPOLLPRI | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) pollable.must_drain_ = true;
    give_turn(pollable);
  }
  now_.clear();
  now_.swap(turns_);
  for (Pollable* pollable : now_) {
    pollable->has_turn_ = false;
    pollable->on_ready();
  }
}

}  // namespace fairlead::lab
