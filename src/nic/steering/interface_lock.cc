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

Result<uint64_t> network_namespace() {
  struct stat net_namespace{};
  if (::stat("/proc/thread-self/ns/net", &net_namespace) != 0) {
    return lock_failed("/proc/thread-self/ns/net", "stat");
  }
  return net_namespace.st_ino;
}

Result<InterfaceLock> InterfaceLock::acquire(const std::string& interface, int interface_index,
                                             const std::string& directory) {
  return take({.directory = directory,
               .purpose = "steering",
               .suffix = fmt::format("-{}", interface_index),
               .what = fmt::format("interface {}", interface)});
}

Result<InterfaceLock> InterfaceLock::acquire_splicing(const std::string& directory) {
  return take({.directory = directory,
               .purpose = "splicing",
               .suffix = "",
               .what = "splicing in this network namespace"});
}

Result<InterfaceLock> InterfaceLock::take(const Subject& subject) {
  const auto net = network_namespace();
  if (!net) return std::unexpected(net.error());
  if (::mkdir(subject.directory.c_str(), 0755) != 0 && errno != EEXIST) {
    return lock_failed(subject.directory, "mkdir");
  }
  const std::string path =
      fmt::format("{}/{}-{}{}.lock", subject.directory, subject.purpose, *net, subject.suffix);
  for (int attempt = 0; attempt < kMaxAttempts; ++attempt) {
    UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644));
    if (!fd) return lock_failed(path, "open");
    if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno != EWOULDBLOCK) return lock_failed(path, "flock");
      return fail(Errc::kAddressInUse, fmt::format("{}: in use by another Fairlead, process {}",
                                                   subject.what, read_owner(fd.get())));
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
              fmt::format("{}: several Fairleads are starting at once", subject.what));
}

InterfaceLock::~InterfaceLock() {
  if (fd_) ::unlink(path_.c_str());
}

}  // namespace fairlead::nic
