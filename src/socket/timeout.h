// with_timeout(): a task that has until then, and is cancelled otherwise.
//
//   Result<size_t> n = co_await with_timeout(scheduler, socket.read(buffer), seconds(5));
//   if (!n && n.error().code == Errc::kTimedOut) ...
//
// When time is up the task is destroyed where it waits, as if its owner had done so, and with it
// what it owns; who awaits is told ETIMEDOUT. A task that gives a Result gives that Result; any
// other T comes as a Result<T>.
#pragma once

#include <coroutine>
#include <optional>
#include <type_traits>
#include <utility>

#include "base/result.h"
#include "base/time.h"
#include "socket/scheduler.h"
#include "socket/task.h"

namespace fairlead {

namespace detail {

template <typename T>
struct TimedResult {
  using Type = Result<T>;
};
template <typename T>
struct TimedResult<Result<T>> {
  using Type = Result<T>;
};

}  // namespace detail

template <typename T>
class [[nodiscard]] Timeout final : public Scheduler::Timed, private Waiter {
 public:
  using Outcome = typename detail::TimedResult<T>::Type;

  Timeout(Scheduler& scheduler, Task<T> task, Time until)
      : scheduler_(scheduler), task_(std::move(task)), until_(until) {}
  ~Timeout() { scheduler_.timers().disarm(*this); }

  bool await_ready() const { return false; }
  /// The task runs at once, and when it ends goes on with `awaiting` itself.
  std::coroutine_handle<> await_suspend(std::coroutine_handle<> awaiting) {
    scheduler_.suspend(*this, awaiting);
    scheduler_.timers().arm(*this, until_);
    return task_->await_suspend(awaiting);
  }
  Outcome await_resume() {
    scheduler_.timers().disarm(*this);
    if (!task_) return fail(Errc::kTimedOut);
    if constexpr (std::is_void_v<T>) {
      return {};
    } else {
      return task_->await_resume();
    }
  }

 private:
  void on_timer() override {
    task_.reset();
    scheduler_.make_ready(*this);
  }

  Scheduler& scheduler_;
  std::optional<Task<T>> task_;
  Time until_;
};

template <typename T>
Timeout<T> with_timeout(Scheduler& scheduler, Task<T> task, Duration duration) {
  return Timeout<T>(scheduler, std::move(task), scheduler.now() + duration);
}

}  // namespace fairlead
