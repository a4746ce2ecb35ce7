// InterfaceLock: at most one Fairlead steers an interface.
//
// A file in a runtime directory, locked with flock() for as long as its owner lives: the kernel
// drops the lock with the process, however it ends, so a dead owner never has to be detected. The
// file is named after the network namespace's inode and the interface's index, which together are
// unique on a machine, and holds the owner's process id for the message another one prints.
#pragma once

#include <string>

#include "base/result.h"
#include "base/unique_fd.h"

namespace fairlead::nic {

class InterfaceLock {
 public:
  /// Takes the lock for the interface in the calling thread's network namespace; makes the
  /// directory if need be. EADDRINUSE: a live process has it; the message names it.
  static Result<InterfaceLock> acquire(const std::string& interface, int interface_index,
                                       const std::string& directory);
  InterfaceLock(InterfaceLock&&) noexcept = default;
  InterfaceLock& operator=(InterfaceLock&&) = delete;
  ~InterfaceLock();

 private:
  InterfaceLock(UniqueFd fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}

  UniqueFd fd_;
  std::string path_;
};

}  // namespace fairlead::nic
