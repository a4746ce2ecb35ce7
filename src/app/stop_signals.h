// StopSignals: SIGINT and SIGTERM as something to wait for.
//
// Made before any thread is started, so that all threads inherit the blocked signals and only this
// descriptor ever sees them.
#pragma once

#include <signal.h>

#include "base/result.h"
#include "base/unique_fd.h"

namespace fairlead::app {

class StopSignals {
 public:
  /// Blocks both signals in the calling thread. An error has a message.
  static Result<StopSignals> block();

  /// Readable when one of them has come.
  int poll_fd() const { return fd_.get(); }
  /// The signal's name when one has come, nullptr otherwise. Never blocks.
  const char* take() const;

 private:
  explicit StopSignals(UniqueFd fd) : fd_(std::move(fd)) {}

  UniqueFd fd_;
};

}  // namespace fairlead::app
