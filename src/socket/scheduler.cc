#include "socket/scheduler.h"

#include <algorithm>
#include <exception>
#include <utility>

namespace fairlead {

/// The coroutine around a spawned task: begins in the ready queue, and destroys itself at its end.
struct Scheduler::Root {
  struct promise_type : Pooled, ListHook<RootTag> {
    promise_type(Scheduler& s, Task<void>&) : scheduler(s) { scheduler.roots_.push_back(*this); }
    ~promise_type() {
      scheduler.roots_.erase(*this);
      --scheduler.task_count_;
    }
    struct Final {
      bool await_ready() noexcept { return false; }
      void await_suspend(std::coroutine_handle<promise_type> self) noexcept { self.destroy(); }
      void await_resume() noexcept {}
    };
    Root get_return_object() { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    Final final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() { std::terminate(); }

    Scheduler& scheduler;
  };

  struct Start : Waiter {
    explicit Start(Scheduler& s) : scheduler(s) {}
    bool await_ready() { return false; }
    void await_suspend(std::coroutine_handle<> handle) {
      scheduler.suspend(*this, handle);
      scheduler.make_ready(*this);
    }
    void await_resume() {}
    Scheduler& scheduler;
  };

  static Root run(Scheduler& scheduler, Task<void> task) {
    co_await Start(scheduler);
    co_await task;
  }
};

void Scheduler::cancel_all() {
  while (!roots_.empty()) {
    auto& promise = static_cast<Root::promise_type&>(roots_.front());
    std::coroutine_handle<Root::promise_type>::from_promise(promise).destroy();
  }
}

bool Scheduler::spawn(Task<void> task) {
  if (task_count_ == capacity_) return false;
  ++task_count_;
  Root::run(*this, std::move(task));
  return true;
}

void Scheduler::run_ready(Time now) {
  now_ = std::max(now_, now);
  timers_.expire(now_, [](TimerNode& node) { static_cast<Timed&>(node).on_timer(); });
  for (int round = 0; round < kMaxRounds && !ready_.empty(); ++round) {
    Waiter& last = ready_.back();
    while (Waiter* waiter = ready_.pop_front()) {
      bool end = waiter == &last;
      waiter->handle_.resume();
      if (end) break;
    }
  }
}

std::optional<Time> Scheduler::next_deadline() const {
  if (!ready_.empty()) return now_;
  return timers_.next_deadline();
}

}  // namespace fairlead
