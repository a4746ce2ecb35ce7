// IngressAttachment: a tc program attached to an interface's ingress, for as long as the object
// lives.
//
//     interface ──▶ splice ──▶ steering ──▶ other people's ──▶ kernel
//
// A TCX link where the kernel has it (Linux 6.6): at the head of the interface's programs, beside
// other people's. Steering's is not pinned and gone the moment its file descriptor is closed, so
// that a process that dies, however, leaves nothing of it behind: the kernel then answers RST to
// the connections that died with it, instead of a program dropping their packets forever. The
// splice program's link is pinned (InterfaceLink): connections of others depend on it.
//
// clsact otherwise, a filter of a fixed priority and handle. That one outlives a crash; the next
// start finds it by place and program name and replaces it, in one step. The clsact qdisc itself is
// shared by all programs on the interface: it is left in place, because taking it away would take
// other people's filters along.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "nic/steering/interface_link.h"

namespace fairlead::nic {

enum class AttachMode : uint8_t {
  kAutomatic,  // TCX, or clsact where there is none
  kTcx,
  kClsact,
};

/// Whose program it is; in the order in which they see a packet.
enum class IngressRole : uint8_t { kSplice, kSteering };

class IngressAttachment {
 public:
  struct Options {
    std::string interface;
    int interface_index = 0;
    AttachMode mode = AttachMode::kAutomatic;
    IngressRole role = IngressRole::kSteering;
    std::string pin{};  // of the TCX link, see InterfaceLink
    int behind = -1;    // a TCX link's descriptor to come right after; -1: to the head
  };

  /// EOPNOTSUPP: the kernel has not what `mode` asks for. EPERM: no CAP_NET_ADMIN. EADDRINUSE: some
  /// other program has our place on clsact.
  static Result<IngressAttachment> attach(int program_fd, const Options& options);
  IngressAttachment(IngressAttachment&& other) noexcept;
  IngressAttachment& operator=(IngressAttachment&&) = delete;
  ~IngressAttachment();

  AttachMode mode() const { return mode_; }
  /// True when a filter or link left behind by an earlier Fairlead was replaced.
  bool replaced_leftover() const { return replaced_leftover_; }
  /// Of the TCX link; -1 on clsact.
  int link_fd() const { return link_.fd(); }
  /// The program stays when this object goes; on TCX, if it is pinned.
  void leave_behind();

 private:
  IngressAttachment() = default;
  static Result<IngressAttachment> attach_tcx(int program_fd, const Options& options);
  static Result<IngressAttachment> attach_clsact(int program_fd, const Options& options);

  AttachMode mode_ = AttachMode::kTcx;
  IngressRole role_ = IngressRole::kSteering;
  bool replaced_leftover_ = false;
  InterfaceLink link_;
  int clsact_index_ = 0;  // interface; 0: nothing to detach
};

/// True when a clsact filter of `role`, ours or an earlier Fairlead's, is on the interface.
bool has_clsact_filter(int interface_index, IngressRole role);

}  // namespace fairlead::nic
