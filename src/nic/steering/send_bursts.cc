#include "nic/steering/send_bursts.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <net/if.h>
#include <sys/mman.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "nic/steering/interface_link.h"
#include "nic/steering/quiet_libbpf.h"
#include "send_burst.skel.h"

namespace fairlead::nic {
namespace {

/// BPF_TCX_EGRESS and BPF_F_BEFORE of newer kernel headers.
constexpr uint32_t kTcxEgress = 47;
constexpr uint32_t kAtTheHead = 1u << 3;

struct BurstSkeletonCloser {
  void operator()(send_burst_bpf* skeleton) const { send_burst_bpf__destroy(skeleton); }
};
using BurstSkeleton = std::unique_ptr<send_burst_bpf, BurstSkeletonCloser>;

std::unexpected<Error> bursts_failed(const std::string& interface, const char* step, int error) {
  const char* const hint = error == EPERM ? " (needs CAP_BPF and CAP_NET_ADMIN: run as root)" : "";
  const Errc code = error == EPERM ? Errc::kPermission : Errc::kNotSupported;
  return fail(code,
              fmt::format("bursts on {}: {}: {}{}", interface, step, std::strerror(error), hint));
}

struct UnmapBursts {
  size_t bytes;
  void operator()(fl_burst* memory) const { ::munmap(memory, bytes); }
};
using BurstMemory = std::unique_ptr<fl_burst, UnmapBursts>;

class KernelSendBursts final : public SendBursts {
 public:
  KernelSendBursts(BurstSkeleton skeleton, BurstMemory memory, InterfaceLink link)
      : skeleton_(std::move(skeleton)), memory_(std::move(memory)), link_(std::move(link)) {}

  std::span<fl_burst> memory() override { return {memory_.get(), skeleton_->rodata->shards}; }

 private:
  BurstSkeleton skeleton_;
  BurstMemory memory_;
  InterfaceLink link_;  // goes first
};

}  // namespace

Result<std::unique_ptr<SendBursts>> SendBursts::attach(const std::string& interface,
                                                       unsigned shards) {
  CHECK(shards > 0 && shards <= FL_BURST_SHARDS);
  const auto index = static_cast<int>(::if_nametoindex(interface.c_str()));
  if (index == 0) {
    return fail(Errc::kNoDevice, fmt::format("interface {}: no such interface", interface));
  }
  const QuietLibbpf quiet;
  BurstSkeleton skeleton(send_burst_bpf__open());
  if (skeleton == nullptr) return bursts_failed(interface, "opening the program", errno);
  skeleton->rodata->shards = shards;
  if (const int set = bpf_map__set_max_entries(skeleton->maps.bursts, shards); set != 0) {
    return bursts_failed(interface, "sizing the memory", -set);
  }
  if (const int loaded = send_burst_bpf__load(skeleton.get()); loaded != 0) {
    return bursts_failed(interface, "loading the program, for Linux 6.6 and later", -loaded);
  }
  const size_t bytes = shards * sizeof(fl_burst);
  void* const at = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
                          bpf_map__fd(skeleton->maps.bursts), 0);
  if (at == MAP_FAILED) return bursts_failed(interface, "mapping the memory", errno);
  BurstMemory memory(static_cast<fl_burst*>(at), UnmapBursts{bytes});
  // At the head: what is behind it sees the frames that leave.
  auto link = InterfaceLink::attach(
      bpf_program__fd(skeleton->progs.fl_send_burst),
      {.interface_index = index, .attach_type = kTcxEgress, .flags = kAtTheHead});
  if (!link) {
    return bursts_failed(interface, "attaching, by a TCX link of Linux 6.6 and later",
                         errno_of(link.error().code));
  }
  return std::make_unique<KernelSendBursts>(std::move(skeleton), std::move(memory),
                                            std::move(*link));
}

}  // namespace fairlead::nic
