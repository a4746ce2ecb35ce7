// Scheduler: the coroutines of one shard. User-level threads without a kernel thread switch.
//
// What waits is a Waiter in the frame of the coroutine that awaits; when its event comes it joins
// the ready queue, and run_ready() resumes it. Sans-clock: time is given.
#pragma once

#include <coroutine>
#include <cstddef>
#include <optional>

#include "base/intrusive_list.h"
#include "base/time.h"
#include "base/timer_wheel.h"
#include "socket/task.h"

namespace fairlead {

struct ReadyTag {};
struct RootTag {};
/// A spawned task's promise, as far as the scheduler's list knows it.
using RootHook = ListHook<RootTag>;

/// A suspended coroutine that waits for an event. Destroying it (with its frame) cancels the wait.
class Waiter : public ListHook<ReadyTag> {
 public:
  Waiter() = default;
  inline ~Waiter();

 private:
  friend class Scheduler;
  std::coroutine_handle<> handle_;
  class Scheduler* scheduler_ = nullptr;
};

class Scheduler {
 public:
  /// `capacity`: how many spawned tasks may live at once.
  explicit Scheduler(Time now, size_t capacity = size_t{1} << 20)
      : now_(now), capacity_(capacity), timers_(now) {}
  ~Scheduler() { cancel_all(); }
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  Time now() const { return now_; }
  size_t task_count() const { return task_count_; }

  /// Starts a task of its own, which runs from the next run_ready() on. False at the bound: the
  /// task is destroyed unstarted.
  bool spawn(Task<void> task);

  /// Destroys every task that was spawned, and with it whatever it waits for and owns.
  void cancel_all();

  /// Fires timers and resumes what is ready, also what becomes ready meanwhile, but each waiter at
  /// most kMaxRounds times.
  void run_ready(Time now);
  /// nullopt: nothing but events from outside can make anything ready. In the past: run_ready()
  /// now.
  std::optional<Time> next_deadline() const;

  // For awaitables.
  void suspend(Waiter& waiter, std::coroutine_handle<> handle) {
    waiter.handle_ = handle;
    waiter.scheduler_ = this;
  }
  /// The waiter's event has come.
  void make_ready(Waiter& waiter) {
    if (!waiter.is_linked()) ready_.push_back(waiter);
  }
  TimerWheel& timers() { return timers_; }

  /// What may be armed in timers().
  class Timed : public TimerNode {
   public:
    virtual void on_timer() = 0;

   protected:
    ~Timed() = default;
  };

  class [[nodiscard]] Sleep final : public Timed, private Waiter {
   public:
    Sleep(Scheduler& scheduler, Time until) : scheduler_(scheduler), until_(until) {}
    ~Sleep() { scheduler_.timers_.disarm(*this); }
    bool await_ready() const { return until_ <= scheduler_.now_; }
    void await_suspend(std::coroutine_handle<> handle) {
      scheduler_.suspend(*this, handle);
      scheduler_.timers_.arm(*this, until_);
    }
    void await_resume() {}

   private:
    void on_timer() override { scheduler_.make_ready(*this); }
    Scheduler& scheduler_;
    Time until_;
  };
  Sleep sleep_until(Time until) { return Sleep(*this, until); }
  Sleep sleep_for(Duration d) { return Sleep(*this, now_ + d); }

 private:
  friend class Waiter;
  static constexpr int kMaxRounds = 64;
  struct Root;

  Time now_;
  size_t capacity_;
  size_t task_count_ = 0;
  TimerWheel timers_;
  IntrusiveList<Waiter, ReadyTag> ready_;
  IntrusiveList<RootHook, RootTag> roots_;
};

Waiter::~Waiter() {
  if (is_linked()) scheduler_->ready_.erase(*this);
}

}  // namespace fairlead
