#include "nic/splice/splice_programs.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "nic/steering/quiet_libbpf.h"
#include "splice.skel.h"

namespace fairlead::nic {
namespace {

/// Bytes: some 10,000 events, more than end between two turns of a busy shard's poll().
constexpr uint32_t kRingSize = 1 << 20;

struct Need {
  bpf_func_id helper;
  const char* name;
};

// Newest first: that is what to update for.
constexpr Need kNeeds[] = {
    {BPF_FUNC_ktime_get_coarse_ns, "bpf_ktime_get_coarse_ns (Linux 5.11)"},
    {BPF_FUNC_redirect_neigh, "bpf_redirect_neigh (Linux 5.10)"},
    {BPF_FUNC_ringbuf_output, "BPF ring buffers (Linux 5.8)"},
};

std::unexpected<Error> load_failed(int error) {
  if (error == EPERM) {
    return fail(Errc::kPermission,
                "loading BPF programs needs CAP_BPF and CAP_NET_ADMIN (run as root)");
  }
  if (error == ENOSYS) {
    return fail(Errc::kNotSupported, "this kernel has no BPF (CONFIG_BPF_SYSCALL)");
  }
  for (const Need& need : kNeeds) {
    if (libbpf_probe_bpf_helper(BPF_PROG_TYPE_SCHED_CLS, need.helper, nullptr) == 0) {
      return fail(Errc::kNotSupported, fmt::format("this kernel has no {}", need.name));
    }
  }
  return fail(Errc::kNotSupported,
              fmt::format("this kernel's verifier does not take our BPF programs ({})",
                          std::strerror(error)));
}

fl_splice_wiring wiring_of(const SpliceRecord& record) {
  return {.key = record.key,
          .next_hop = record.rule.next_hop,
          .interface = record.rule.interface,
          .mtu = record.rule.mtu,
          .shard = record.rule.shard};
}

/// One that is not attached. True: it says it is done.
template <typename Argument>
bool run_on(const bpf_program* program, const Argument& argument) {
  bpf_test_run_opts run{};
  run.sz = sizeof run;
  run.data_in = &argument;
  run.data_size_in = sizeof argument;
  run.repeat = 1;
  return bpf_prog_test_run_opts(bpf_program__fd(program), &run) == 0 && run.retval == 0;
}

constexpr std::string_view kCounterNames[FL_SPLICE_COUNTERS] = {
    "no_rule",     "translated", "up_syn",     "up_options",    "up_too_big",
    "up_icmp",     "up_process", "drop_ttl",   "drop_fragment", "drop_malformed",
    "drop_no_way", "drop_late",  "events_lost"};

}  // namespace

std::string_view splice_seat_counter_name(size_t index) {
  CHECK(index < FL_SPLICE_COUNTERS);
  return kCounterNames[index];
}

void SplicePrograms::SkeletonCloser::operator()(splice_bpf* skeleton) const {
  splice_bpf__destroy(skeleton);
}

void SplicePrograms::RingCloser::operator()(ring_buffer* ring) const { ring_buffer__free(ring); }

Result<SplicePrograms> SplicePrograms::load(int rules, unsigned shards) {
  CHECK(shards > 0 && shards <= FL_SPLICE_MAX_SHARDS);
  const QuietLibbpf quiet;
  SplicePrograms programs;
  programs.skeleton_.reset(splice_bpf__open());
  if (programs.skeleton_ == nullptr) return load_failed(errno);
  splice_bpf& skeleton = *programs.skeleton_;
  bpf_program__set_autoload(skeleton.progs.fl_splice_xdp, false);
  if (const int shared = bpf_map__reuse_fd(skeleton.maps.rules, rules); shared != 0) {
    return load_failed(-shared);
  }
  if (const int loaded = splice_bpf__load(&skeleton); loaded != 0) return load_failed(-loaded);
  if (auto made = programs.make_rings(shards); !made) return std::unexpected(made.error());
  return programs;
}

Result<void> SplicePrograms::make_rings(unsigned shards) {
  for (uint32_t shard = 0; shard < shards; ++shard) {
    auto ring = std::make_unique<Ring>();
    ring->map =
        UniqueFd(bpf_map_create(BPF_MAP_TYPE_RINGBUF, "fl_events", 0, 0, kRingSize, nullptr));
    if (!ring->map) return load_failed(errno);
    ring->reader.reset(ring_buffer__new(ring->map.get(), &on_event, ring.get(), nullptr));
    if (ring->reader == nullptr) return load_failed(errno);
    const int fd = ring->map.get();
    if (bpf_map_update_elem(bpf_map__fd(skeleton_->maps.events), &shard, &fd, BPF_ANY) != 0) {
      return load_failed(errno);
    }
    rings_.push_back(std::move(ring));
  }
  return {};
}

int SplicePrograms::tc_fd() const { return bpf_program__fd(skeleton_->progs.fl_splice_ingress); }

bool SplicePrograms::rewire(const SpliceRecord& record) const {
  return run_on(skeleton_->progs.fl_splice_rewire, wiring_of(record));
}

void SplicePrograms::send_up(const SpliceRecord& record) const {
  static_cast<void>(run_on(skeleton_->progs.fl_splice_send_up, wiring_of(record)));
}

Result<void> SplicePrograms::keep_from_xdp(uint32_t interface_index) {
  const uint8_t present = 1;
  const int map = bpf_map__fd(skeleton_->maps.not_by_xdp);
  if (bpf_map_update_elem(map, &interface_index, &present, BPF_ANY) == 0) return {};
  return fail(errc_from_errno(errno), std::strerror(errno));
}

SpliceSeatCounters SplicePrograms::counters() const {
  SpliceSeatCounters out{};
  std::vector<uint64_t> per_cpu(static_cast<size_t>(libbpf_num_possible_cpus()));
  for (uint32_t key = 0; key < out.size(); ++key) {
    const int map = bpf_map__fd(skeleton_->maps.counters);
    if (bpf_map_lookup_elem(map, &key, per_cpu.data()) != 0) continue;
    for (const uint64_t value : per_cpu) out[key] += value;
  }
  return out;
}

int SplicePrograms::event_fd(unsigned shard) const {
  return ring_buffer__epoll_fd(rings_.at(shard)->reader.get());
}

void SplicePrograms::poll_events(unsigned shard, const Handler& handle) {
  Ring& ring = *rings_.at(shard);
  ring.handle = &handle;
  ring_buffer__consume(ring.reader.get());
  ring.handle = nullptr;
}

int SplicePrograms::on_event(void* ring, void* event, size_t size) {
  fl_splice_event copy;
  if (size < sizeof copy) return 0;
  std::memcpy(&copy, event, sizeof copy);
  (*static_cast<Ring*>(ring)->handle)(copy);
  return 0;
}

Result<std::unique_ptr<SplicePrograms::Xdp>> SplicePrograms::load_xdp(
    const port::InterfaceInfo& interface) const {
  const QuietLibbpf quiet;
  auto xdp = std::make_unique<Xdp>();
  xdp->skeleton_.reset(splice_bpf__open());
  if (xdp->skeleton_ == nullptr) return load_failed(errno);
  splice_bpf& skeleton = *xdp->skeleton_;
  for (bpf_program* program : {skeleton.progs.fl_splice_ingress, skeleton.progs.fl_splice_rewire,
                               skeleton.progs.fl_splice_send_up}) {
    bpf_program__set_autoload(program, false);
  }
  const MacAddress& mac = interface.mac;
  static_assert(sizeof skeleton.rodata->own_mac == sizeof mac.bytes);
  std::memcpy(const_cast<uint8_t*>(skeleton.rodata->own_mac), mac.bytes.data(), sizeof mac.bytes);
  skeleton.rodata->xdp_redirects = port::is_veth(interface.name);
  const std::pair<bpf_map*, bpf_map*> shared[] = {
      {skeleton.maps.rules, skeleton_->maps.rules},
      {skeleton.maps.events, skeleton_->maps.events},
      {skeleton.maps.counters, skeleton_->maps.counters},
      {skeleton.maps.not_by_xdp, skeleton_->maps.not_by_xdp}};
  for (const auto& [to, from] : shared) {
    if (const int done = bpf_map__reuse_fd(to, bpf_map__fd(from)); done != 0) {
      return load_failed(-done);
    }
  }
  if (const int loaded = splice_bpf__load(&skeleton); loaded != 0) return load_failed(-loaded);
  return xdp;
}

int SplicePrograms::Xdp::fd() const { return bpf_program__fd(skeleton_->progs.fl_splice_xdp); }

int SplicePrograms::Xdp::behind_fd() const { return bpf_map__fd(skeleton_->maps.behind); }

}  // namespace fairlead::nic
