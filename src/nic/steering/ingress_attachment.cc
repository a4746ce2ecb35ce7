#include "nic/steering/ingress_attachment.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <cerrno>
#include <cstring>
#include <string_view>

#include "fmt/format.h"
#include "nic/steering/quiet_libbpf.h"

namespace fairlead::nic {
namespace {

/// BPF_TCX_INGRESS and BPF_F_BEFORE of newer kernel headers.
constexpr auto kTcxIngress = static_cast<bpf_attach_type>(46);
constexpr uint32_t kBefore = 1u << 3;

/// Our place on clsact: in front of what is put there without saying where (49152 and up).
constexpr uint32_t kClsactPriority = 1;
constexpr uint32_t kClsactHandle = 0xfa1;
/// What a leftover of ours is recognised by; the kernel keeps 15 characters of a program's name.
constexpr std::string_view kProgramName = "fl_ingress";

bpf_tc_hook ingress_hook(int interface_index) {
  bpf_tc_hook hook{};
  hook.sz = sizeof hook;
  hook.ifindex = interface_index;
  hook.attach_point = BPF_TC_INGRESS;
  return hook;
}

bpf_tc_opts our_place() {
  bpf_tc_opts place{};
  place.sz = sizeof place;
  place.handle = kClsactHandle;
  place.priority = kClsactPriority;
  return place;
}

std::string program_name(uint32_t id) {
  const UniqueFd fd(bpf_prog_get_fd_by_id(id));
  bpf_prog_info info{};
  uint32_t size = sizeof info;
  if (!fd || bpf_obj_get_info_by_fd(fd.get(), &info, &size) != 0) return "";
  return info.name;
}

std::unexpected<Error> attach_failed(const IngressAttachment::Options& options, const char* how,
                                     int error) {
  if (error == EPERM) {
    return fail(Errc::kPermission,
                fmt::format("steering on {}: attaching needs CAP_NET_ADMIN (run as root)",
                            options.interface));
  }
  return fail(errc_from_errno(error),
              fmt::format("steering on {}: {}: {}", options.interface, how, std::strerror(error)));
}

}  // namespace

IngressAttachment::IngressAttachment(IngressAttachment&& other) noexcept
    : mode_(other.mode_),
      replaced_leftover_(other.replaced_leftover_),
      link_(std::move(other.link_)),
      clsact_index_(std::exchange(other.clsact_index_, 0)) {}

IngressAttachment::~IngressAttachment() {
  if (clsact_index_ == 0) return;
  const QuietLibbpf quiet;
  const bpf_tc_hook hook = ingress_hook(clsact_index_);
  const bpf_tc_opts place = our_place();
  bpf_tc_detach(&hook, &place);
}

Result<IngressAttachment> IngressAttachment::attach(int program_fd, const Options& options) {
  if (options.mode != AttachMode::kClsact) {
    auto attached = attach_tcx(program_fd, options);
    const bool fall_back = !attached && attached.error().code == Errc::kNotSupported &&
                           options.mode == AttachMode::kAutomatic;
    if (!fall_back) return attached;
  }
  return attach_clsact(program_fd, options);
}

Result<IngressAttachment> IngressAttachment::attach_tcx(int program_fd, const Options& options) {
  // At the head: a program before ours that ends the chain with "accept" would give our packets to
  // the kernel, which answers RST.
  bpf_link_create_opts link_options{};
  link_options.sz = sizeof link_options;
  link_options.flags = kBefore;
  IngressAttachment attachment;
  attachment.link_ =
      UniqueFd(bpf_link_create(program_fd, options.interface_index, kTcxIngress, &link_options));
  if (attachment.link_) return attachment;
  // A kernel without TCX does not know the attach type.
  if (errno == EINVAL || errno == EOPNOTSUPP) {
    return fail(Errc::kNotSupported,
                fmt::format("steering on {}: this kernel has no TCX links (Linux 6.6 and later)",
                            options.interface));
  }
  return attach_failed(options, "TCX link", errno);
}

Result<IngressAttachment> IngressAttachment::attach_clsact(int program_fd, const Options& options) {
  const QuietLibbpf quiet;
  bpf_tc_hook hook = ingress_hook(options.interface_index);
  const int created = bpf_tc_hook_create(&hook);
  if (created != 0 && created != -EEXIST) {
    return attach_failed(options, "clsact qdisc", -created);
  }
  bpf_tc_opts found = our_place();
  IngressAttachment attachment;
  attachment.mode_ = AttachMode::kClsact;
  if (bpf_tc_query(&hook, &found) == 0) {
    // We hold the interface's lock: a filter of our name here belongs to a dead process.
    const std::string name = program_name(found.prog_id);
    if (name != kProgramName) {
      return fail(Errc::kAddressInUse,
                  fmt::format("steering on {}: the clsact filter of priority {}, handle {:#x} is "
                              "another program's ({})",
                              options.interface, kClsactPriority, kClsactHandle, name));
    }
    attachment.replaced_leftover_ = true;
  }
  bpf_tc_opts place = our_place();
  place.prog_fd = program_fd;
  place.flags = attachment.replaced_leftover_ ? BPF_TC_F_REPLACE : 0;
  const int attached = bpf_tc_attach(&hook, &place);
  if (attached != 0) return attach_failed(options, "clsact filter", -attached);
  attachment.clsact_index_ = options.interface_index;
  return attachment;
}

}  // namespace fairlead::nic
