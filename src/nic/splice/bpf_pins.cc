#include "nic/splice/bpf_pins.h"

#include <bpf/bpf.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "base/unique_fd.h"
#include "nic/steering/interface_link.h"
#include "nic/steering/interface_lock.h"

namespace fairlead::nic {
namespace {

namespace fs = std::filesystem;

bool is_on(const std::string& path, decltype(BPF_FS_MAGIC) magic) {
  struct statfs found{};
  return ::statfs(path.c_str(), &found) == 0 && found.f_type == magic;
}

std::unexpected<Error> failed(const std::string& path, const char* what) {
  return fail(errc_from_errno(errno), fmt::format("{}: {}: {}", path, what, std::strerror(errno)));
}

Result<void> make_directory(const std::string& path) {
  if (::mkdir(path.c_str(), 0700) == 0 || errno == EEXIST) return {};
  return failed(path, "mkdir");
}

/// Only where sysfs has a directory for it: anywhere else something might be hidden under it.
Result<void> need_bpf_file_system(const std::string& path) {
  if (is_on(path, BPF_FS_MAGIC)) return {};
  if (!is_on(path, SYSFS_MAGIC)) {
    return fail(Errc::kNotSupported,
                fmt::format("{} is not on a BPF file system (mount -t bpf bpf /sys/fs/bpf)", path));
  }
  if (::mount("bpf", path.c_str(), "bpf", 0, "mode=0700") == 0) return {};
  return failed(path, "mounting a BPF file system");
}

}  // namespace

Result<BpfPins> BpfPins::open(const std::string& directory) {
  const auto net = network_namespace();
  if (!net) return std::unexpected(net.error());
  if (auto mounted = need_bpf_file_system(fs::path(directory).parent_path()); !mounted) {
    return std::unexpected(mounted.error());
  }
  const std::string own = fmt::format("{}/{}", directory, *net);
  for (const std::string& path : {directory, own}) {
    if (auto made = make_directory(path); !made) return std::unexpected(made.error());
  }
  return BpfPins(own);
}

std::vector<std::string> BpfPins::names() const {
  std::vector<std::string> out;
  std::error_code error;
  for (fs::directory_iterator at(directory_, error), end; !error && at != end;
       at.increment(error)) {
    out.push_back(at->path().filename());
  }
  return out;
}

bool BpfPins::has_live_link() const {
  return std::ranges::any_of(names(), [this](const std::string& name) {
    return (name.starts_with("tc-") || name.starts_with("xdp-")) &&
           linked_interface(path(name)) != 0;
  });
}

// A link is detached at once: the kernel takes its time with one that has merely lost its name.
void BpfPins::remove(const std::string& name) const {
  const UniqueFd fd(bpf_obj_get(path(name).c_str()));
  ::unlink(path(name).c_str());
  if (fd) bpf_link_detach(fd.get());
}

void BpfPins::remove_all() const {
  for (const std::string& name : names()) remove(name);
  ::rmdir(directory_.c_str());
  // Unless other network namespaces have theirs in it.
  ::rmdir(fs::path(directory_).parent_path().c_str());
}

}  // namespace fairlead::nic
