// InterfaceLock: at most one Fairlead steers an interface.
//
// A file in a runtime directory, locked with flock() for as long as its owner lives: the kernel
// drops the lock with the process, however it ends, so a dead owner never has to be detected. The
// file is named after the network namespace's inode and the interface's index, which together are
// unique on a machine, and holds the owner's process id for the message another one prints.
#pragma once

#include <cstdint>
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
  /// Likewise for what all interfaces of the network namespace share: the splice rules' table.
  static Result<InterfaceLock> acquire_splicing(const std::string& directory);
  InterfaceLock(InterfaceLock&&) noexcept = default;
  InterfaceLock& operator=(InterfaceLock&&) = delete;
  ~InterfaceLock();

 private:
  struct Subject {
    std::string directory;
    std::string purpose;  // the file is directory/purpose-namespace+suffix.lock
    std::string suffix;
    std::string what;  // in messages
  };
  static Result<InterfaceLock> take(const Subject& subject);
  InterfaceLock(UniqueFd fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}

  UniqueFd fd_;
  std::string path_;
};

/// The inode of the calling thread's network namespace: its name, as long as it exists.
Result<uint64_t> network_namespace();

}  // namespace fairlead::nic
