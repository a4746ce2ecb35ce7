#include "nic/steering/ingress_attachment.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <cerrno>
#include <cstring>
#include <optional>
#include <string_view>
#include <utility>

#include "fmt/format.h"
#include "nic/steering/quiet_libbpf.h"

namespace fairlead::nic {
namespace {

/// BPF_TCX_INGRESS, BPF_F_BEFORE and BPF_F_AFTER of newer kernel headers.
constexpr auto kTcxIngress = static_cast<bpf_attach_type>(46);
constexpr uint32_t kBefore = 1u << 3;
constexpr uint32_t kAfter = 1u << 4;

/// A place on clsact: in front of what is put there without saying where (49152 and up).
struct Place {
  uint32_t priority;
  uint32_t handle;
  /// What a leftover of ours is recognised by, the beginning of its program's name, of which the
  /// kernel keeps 15 characters.
  std::string_view program;
  const char* purpose;
};

constexpr Place kPlaces[] = {
    {.priority = 1, .handle = 0xfa1, .program = "fl_splice_ingre", .purpose = "splicing"},
    {.priority = 2, .handle = 0xfa1, .program = "fl_ingress", .purpose = "steering"}};

const Place& place_of(IngressRole role) { return kPlaces[static_cast<size_t>(role)]; }

bpf_tc_hook ingress_hook(int interface_index) {
  bpf_tc_hook hook{};
  hook.sz = sizeof hook;
  hook.ifindex = interface_index;
  hook.attach_point = BPF_TC_INGRESS;
  return hook;
}

bpf_tc_opts filter_at(const Place& place) {
  bpf_tc_opts filter{};
  filter.sz = sizeof filter;
  filter.handle = place.handle;
  filter.priority = place.priority;
  return filter;
}

std::string program_name(uint32_t id) {
  const UniqueFd fd(bpf_prog_get_fd_by_id(id));
  bpf_prog_info info{};
  uint32_t size = sizeof info;
  if (!fd || bpf_obj_get_info_by_fd(fd.get(), &info, &size) != 0) return "";
  return info.name;
}

/// The name of the program in a place; nullopt: it is free.
std::optional<std::string> found_at(const Place& place, const bpf_tc_hook& hook) {
  bpf_tc_opts found = filter_at(place);
  if (bpf_tc_query(&hook, &found) != 0) return std::nullopt;
  return program_name(found.prog_id);
}

std::unexpected<Error> attach_failed(const IngressAttachment::Options& options, const char* how,
                                     const Error& error) {
  const char* purpose = place_of(options.role).purpose;
  if (error.code == Errc::kPermission) {
    return fail(Errc::kPermission, fmt::format("{} on {}: attaching needs CAP_NET_ADMIN (run as "
                                               "root)",
                                               purpose, options.interface));
  }
  return fail(error.code,
              fmt::format("{} on {}: {}: {}", purpose, options.interface, how, error.to_string()));
}

Error kernel_error(int number) { return {errc_from_errno(number), std::strerror(number)}; }

}  // namespace

IngressAttachment::IngressAttachment(IngressAttachment&& other) noexcept
    : mode_(other.mode_),
      role_(other.role_),
      replaced_leftover_(other.replaced_leftover_),
      link_(std::move(other.link_)),
      clsact_index_(std::exchange(other.clsact_index_, 0)) {}

IngressAttachment::~IngressAttachment() {
  if (clsact_index_ == 0) return;
  const QuietLibbpf quiet;
  const bpf_tc_hook hook = ingress_hook(clsact_index_);
  const bpf_tc_opts filter = filter_at(place_of(role_));
  bpf_tc_detach(&hook, &filter);
}

void IngressAttachment::leave_behind() {
  link_.leave_behind();
  clsact_index_ = 0;
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
  auto link = InterfaceLink::attach(program_fd, {.interface_index = options.interface_index,
                                                 .attach_type = kTcxIngress,
                                                 .flags = options.behind >= 0 ? kAfter : kBefore,
                                                 .neighbour = options.behind,
                                                 .pin = options.pin});
  if (link) {
    IngressAttachment attachment;
    attachment.role_ = options.role;
    attachment.replaced_leftover_ = link->adopted();
    attachment.link_ = std::move(*link);
    return attachment;
  }
  // A kernel without TCX does not know the attach type.
  const Errc code = link.error().code;
  if (code == Errc::kInvalidArgument || code == Errc::kNotSupported) {
    return fail(Errc::kNotSupported,
                fmt::format("{} on {}: this kernel has no TCX links (Linux 6.6 and later)",
                            place_of(options.role).purpose, options.interface));
  }
  return attach_failed(options, "TCX link", link.error());
}

Result<IngressAttachment> IngressAttachment::attach_clsact(int program_fd, const Options& options) {
  const QuietLibbpf quiet;
  const Place& place = place_of(options.role);
  bpf_tc_hook hook = ingress_hook(options.interface_index);
  const int created = bpf_tc_hook_create(&hook);
  if (created != 0 && created != -EEXIST) {
    return attach_failed(options, "clsact qdisc", kernel_error(-created));
  }
  IngressAttachment attachment;
  attachment.mode_ = AttachMode::kClsact;
  attachment.role_ = options.role;
  if (const auto name = found_at(place, hook)) {
    // We hold the interface's lock: a filter of our name here belongs to a dead process.
    if (!name->starts_with(place.program)) {
      return fail(
          Errc::kAddressInUse,
          fmt::format("{} on {}: the clsact filter of priority {}, handle {:#x} is "
                      "another program's ({})",
                      place.purpose, options.interface, place.priority, place.handle, *name));
    }
    attachment.replaced_leftover_ = true;
  }
  bpf_tc_opts filter = filter_at(place);
  filter.prog_fd = program_fd;
  filter.flags = attachment.replaced_leftover_ ? BPF_TC_F_REPLACE : 0;
  const int attached = bpf_tc_attach(&hook, &filter);
  if (attached != 0) return attach_failed(options, "clsact filter", kernel_error(-attached));
  attachment.clsact_index_ = options.interface_index;
  return attachment;
}

bool has_clsact_filter(int interface_index, IngressRole role) {
  const QuietLibbpf quiet;
  const auto name = found_at(place_of(role), ingress_hook(interface_index));
  return name && name->starts_with(place_of(role).program);
}

}  // namespace fairlead::nic
