// InterfaceLink: a BPF program linked to a network interface, for as long as the object lives, or,
// when it has a name in a BPF file system ("pin"), until that is taken away.
//
// A pinned link outlives a process that dies. The next one finds it by its name and replaces its
// program in place: there is no moment without one.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "base/unique_fd.h"

namespace fairlead::nic {

class InterfaceLink {
 public:
  struct Options {
    int interface_index = 0;
    uint32_t attach_type = 0;  // enum bpf_attach_type
    uint32_t flags = 0;        // the attach type's own, for a new link
    int neighbour = -1;        // a link's descriptor that `flags` refer to; -1: none
    std::string pin{};         // path in a BPF file system; empty: not pinned
  };

  /// EOPNOTSUPP, EINVAL: the kernel or the driver has no such link. EPERM: no privilege.
  static Result<InterfaceLink> attach(int program_fd, const Options& options);
  InterfaceLink() = default;
  InterfaceLink(InterfaceLink&& other) noexcept;
  InterfaceLink& operator=(InterfaceLink&& other) noexcept;
  ~InterfaceLink();

  explicit operator bool() const { return static_cast<bool>(fd_); }
  int fd() const { return fd_.get(); }
  /// It was there already.
  bool adopted() const { return adopted_; }
  /// A pinned link stays when this object goes.
  void leave_behind() { pin_.clear(); }

 private:
  UniqueFd fd_;
  std::string pin_;  // to be taken away at the end
  bool adopted_ = false;
};

/// The index of the interface that the link pinned at `path` is attached to; 0: it is none, or its
/// interface is gone.
int linked_interface(const std::string& path);

}  // namespace fairlead::nic
