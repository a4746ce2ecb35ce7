// Signals: SIGINT, SIGTERM (stop), SIGHUP (reload) and SIGUSR1 (open log files anew) as something
// to wait for.
//
// Made before any thread is started, so that all threads inherit the blocked signals and only this
// descriptor ever sees them.
#pragma once

#include <signal.h>

#include <optional>

#include "base/result.h"
#include "base/unique_fd.h"

namespace fairlead::app {

class Signals {
 public:
  /// Blocks them in the calling thread, and ignores SIGPIPE in the process. An error has a message.
  static Result<Signals> block();

  /// Readable when one of them has come.
  int poll_fd() const { return fd_.get(); }
  /// The number of one that has come. Never blocks.
  std::optional<int> take() const;

 private:
  explicit Signals(UniqueFd fd) : fd_(std::move(fd)) {}

  UniqueFd fd_;
};

}  // namespace fairlead::app
