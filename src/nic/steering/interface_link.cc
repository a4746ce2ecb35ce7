#include "nic/steering/interface_link.h"

#include <bpf/bpf.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace fairlead::nic {
namespace {

/// BPF_F_LINK of newer kernel headers: the neighbour is given as a link.
constexpr uint32_t kNeighbourIsLink = 1u << 13;

/// union bpf_attr's link_create with the `tcx` member of newer kernel headers.
struct LinkCreate {
  uint32_t program_fd = 0;
  uint32_t interface_index = 0;
  uint32_t attach_type = 0;
  uint32_t flags = 0;
  uint32_t relative_fd = 0;
  uint32_t unused = 0;
  uint64_t expected_revision = 0;
};

UniqueFd create_link(int program_fd, const InterfaceLink::Options& options) {
  LinkCreate create{.program_fd = static_cast<uint32_t>(program_fd),
                    .interface_index = static_cast<uint32_t>(options.interface_index),
                    .attach_type = options.attach_type,
                    .flags = options.flags};
  if (options.neighbour >= 0) {
    create.flags |= kNeighbourIsLink;
    create.relative_fd = static_cast<uint32_t>(options.neighbour);
  }
  return UniqueFd(static_cast<int>(::syscall(__NR_bpf, BPF_LINK_CREATE, &create, sizeof create)));
}

/// A link left under our name, with its program replaced; none when that can't be: it is another
/// object, or its interface is gone.
UniqueFd adopt_link(int program_fd, const std::string& pin) {
  UniqueFd found(bpf_obj_get(pin.c_str()));
  if (found && bpf_link_update(found.get(), program_fd, nullptr) == 0) return found;
  ::unlink(pin.c_str());
  return {};
}

std::unexpected<Error> link_failed() { return fail(errc_from_errno(errno), std::strerror(errno)); }

}  // namespace

InterfaceLink::InterfaceLink(InterfaceLink&& other) noexcept
    : fd_(std::move(other.fd_)), pin_(std::exchange(other.pin_, {})), adopted_(other.adopted_) {}

InterfaceLink& InterfaceLink::operator=(InterfaceLink&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(pin_, other.pin_);
  std::swap(adopted_, other.adopted_);
  return *this;
}

InterfaceLink::~InterfaceLink() {
  if (!pin_.empty()) ::unlink(pin_.c_str());
}

Result<InterfaceLink> InterfaceLink::attach(int program_fd, const Options& options) {
  InterfaceLink link;
  if (!options.pin.empty()) {
    link.fd_ = adopt_link(program_fd, options.pin);
    link.adopted_ = static_cast<bool>(link.fd_);
  }
  if (!link.fd_) {
    link.fd_ = create_link(program_fd, options);
    if (!link.fd_) return link_failed();
    if (!options.pin.empty() && bpf_obj_pin(link.fd_.get(), options.pin.c_str()) != 0) {
      return link_failed();
    }
  }
  link.pin_ = options.pin;
  return link;
}

int linked_interface(const std::string& path) {
  const UniqueFd fd(bpf_obj_get(path.c_str()));
  bpf_link_info info{};
  uint32_t size = sizeof info;
  if (!fd || bpf_obj_get_info_by_fd(fd.get(), &info, &size) != 0) return 0;
  // TCX links have the interface's index in the same place.
  return static_cast<int>(info.xdp.ifindex);
}

}  // namespace fairlead::nic
