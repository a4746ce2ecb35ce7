// IngressAttachment: a tc program attached to an interface's ingress, for as long as the object
// lives.
//
// A TCX link where the kernel has it (Linux 6.6): at the head of the interface's programs, beside
// other people's, and gone the moment its file descriptor is closed. It is not pinned, so a process
// that dies, however, leaves nothing behind: the kernel then answers RST to the connections that
// died with it, instead of a program dropping their packets forever.
//
// clsact otherwise, a filter of a fixed priority and handle. That one outlives a crash; the next
// start finds it by place and program name and replaces it, in one step. The clsact qdisc itself is
// shared by all programs on the interface: it is left in place, because taking it away would take
// other people's filters along.
#pragma once

#include <string>

#include "base/result.h"
#include "base/unique_fd.h"

namespace fairlead::nic {

enum class AttachMode : uint8_t {
  kAutomatic,  // TCX, or clsact where there is none
  kTcx,
  kClsact,
};

class IngressAttachment {
 public:
  struct Options {
    std::string interface;
    int interface_index = 0;
    AttachMode mode = AttachMode::kAutomatic;
  };

  /// EOPNOTSUPP: the kernel has not what `mode` asks for. EPERM: no CAP_NET_ADMIN. EADDRINUSE: some
  /// other program has our place on clsact.
  static Result<IngressAttachment> attach(int program_fd, const Options& options);
  IngressAttachment(IngressAttachment&& other) noexcept;
  IngressAttachment& operator=(IngressAttachment&&) = delete;
  ~IngressAttachment();

  AttachMode mode() const { return mode_; }
  /// True when a filter left behind by a crashed Fairlead was replaced.
  bool replaced_leftover() const { return replaced_leftover_; }

 private:
  IngressAttachment() = default;
  static Result<IngressAttachment> attach_tcx(int program_fd, const Options& options);
  static Result<IngressAttachment> attach_clsact(int program_fd, const Options& options);

  AttachMode mode_ = AttachMode::kTcx;
  bool replaced_leftover_ = false;
  UniqueFd link_;
  int clsact_index_ = 0;  // interface; 0: nothing to detach
};

}  // namespace fairlead::nic
