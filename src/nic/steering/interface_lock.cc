#include "nic/steering/interface_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "fmt/format.h"

namespace fairlead::nic {
namespace {

/// Each round loses only against another process that removes the file just then.
constexpr int kMaxAttempts = 16;

std::unexpected<Error> lock_failed(const std::string& path, const char* what) {
  if (errno == EACCES || errno == EPERM) {
    return fail(Errc::kPermission,
                fmt::format("{}: {}: {}; taking an interface needs CAP_NET_ADMIN, CAP_NET_RAW and "
                            "CAP_BPF, and this file to be writable (run as root)",
                            path, what, std::strerror(errno)));
  }
  return fail(errc_from_errno(errno), fmt::format("{}: {}: {}", path, what, std::strerror(errno)));
}

std::string read_owner(int fd) {
  std::array<char, 32> text{};
  const ssize_t size = ::pread(fd, text.data(), text.size() - 1, 0);
  std::string owner(text.data(), size > 0 ? static_cast<size_t>(size) : 0);
  while (!owner.empty() && owner.back() == '\n') owner.pop_back();
  return owner.empty() ? "unknown" : owner;
}

}  // namespace

Result<InterfaceLock> InterfaceLock::acquire(const std::string& interface, int interface_index,
                                             const std::string& directory) {
  struct stat net_namespace{};
  if (::stat("/proc/thread-self/ns/net", &net_namespace) != 0) {
    return lock_failed("/proc/thread-self/ns/net", "stat");
  }
  if (::mkdir(directory.c_str(), 0755) != 0 && errno != EEXIST) {
    return lock_failed(directory, "mkdir");
  }
  const std::string path =
      fmt::format("{}/steering-{}-{}.lock", directory, net_namespace.st_ino, interface_index);
  for (int attempt = 0; attempt < kMaxAttempts; ++attempt) {
    UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644));
    if (!fd) return lock_failed(path, "open");
    if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno != EWOULDBLOCK) return lock_failed(path, "flock");
      return fail(Errc::kAddressInUse,
                  fmt::format("interface {}: in use by another Fairlead, process {}", interface,
                              read_owner(fd.get())));
    }
    struct stat locked{};
    // The owner before us may have removed the file between our open() and flock().
    if (::fstat(fd.get(), &locked) != 0 || locked.st_nlink == 0) continue;
    const std::string owner = fmt::format("{}\n", ::getpid());
    if (::ftruncate(fd.get(), 0) != 0 || ::pwrite(fd.get(), owner.data(), owner.size(), 0) < 0) {
      return lock_failed(path, "write");
    }
    return InterfaceLock(std::move(fd), path);
  }
  return fail(Errc::kAddressInUse,
              fmt::format("interface {}: several Fairleads are starting at once", interface));
}

InterfaceLock::~InterfaceLock() {
  if (fd_) ::unlink(path_.c_str());
}

}  // namespace fairlead::nic
