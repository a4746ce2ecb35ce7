// Fork: a task that runs beside the one that made it.
//
//   Fork<bool> upload(scheduler, pump(client, server));     // runs until it first waits
//   bool download = co_await pump(server, client);
//   bool both = co_await upload.join() && download;
//
// The maker owns it: destroying a Fork cancels its task, so nothing it uses may be declared after
// it.
#pragma once

#include <optional>
#include <utility>

#include "socket/event.h"
#include "socket/scheduler.h"
#include "socket/task.h"

namespace fairlead {

template <typename T>
class Fork {
 public:
  Fork(Scheduler& scheduler, Task<T> task) : done_(scheduler), driver_(drive(std::move(task))) {
    driver_.start();
  }
  Fork(const Fork&) = delete;
  Fork& operator=(const Fork&) = delete;

  bool done() const { return value_.has_value(); }
  /// Waits for its end. Once.
  Task<T> join() {
    if (!value_) co_await done_.wait();
    co_return std::move(*value_);
  }

 private:
  Task<void> drive(Task<T> task) {
    value_.emplace(co_await task);
    done_.set();
  }

  std::optional<T> value_;
  Event done_;
  Task<void> driver_;
};

}  // namespace fairlead
