// Event: one coroutine waits until another says go. Set and forgotten by each wait.
#pragma once

#include <coroutine>
#include <utility>

#include "base/check.h"
#include "socket/scheduler.h"

namespace fairlead {

class Event {
 public:
  explicit Event(Scheduler& scheduler) : scheduler_(scheduler) {}
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  /// Makes who waits ready, or the next wait() not wait at all.
  void set() {
    set_ = true;
    if (waiter_ != nullptr) scheduler_.make_ready(*waiter_);
  }

  class [[nodiscard]] Wait final : private Waiter {
   public:
    explicit Wait(Event& event) : event_(event) {}
    ~Wait() {
      if (event_.waiter_ == this) event_.waiter_ = nullptr;
    }
    bool await_ready() const { return event_.set_; }
    void await_suspend(std::coroutine_handle<> handle) {
      CHECK(event_.waiter_ == nullptr);  // one at a time
      event_.waiter_ = this;
      event_.scheduler_.suspend(*this, handle);
    }
    void await_resume() { event_.set_ = false; }

   private:
    friend class Event;
    Event& event_;
  };
  /// The event must outlive the wait.
  Wait wait() { return Wait(*this); }

 private:
  Scheduler& scheduler_;
  Wait* waiter_ = nullptr;
  bool set_ = false;
};

}  // namespace fairlead
