#include "nic/steering/steering.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <net/if.h>

#include <cerrno>
#include <cstring>
#include <numeric>
#include <vector>

#include "base/check.h"
#include "fmt/format.h"
#include "nic/steering/interface_lock.h"
#include "nic/steering/quiet_libbpf.h"
#include "nic/steering/steering_tables.h"
#include "port/interface_info.h"
#include "steering.skel.h"

namespace fairlead::nic {
namespace {

struct SkeletonCloser {
  void operator()(steering_bpf* skeleton) const { steering_bpf__destroy(skeleton); }
};
using Skeleton = std::unique_ptr<steering_bpf, SkeletonCloser>;

fl_address key_of(const IpAddress& address) {
  fl_address key;
  static_assert(sizeof key == sizeof address.bytes());
  std::memcpy(&key, address.bytes().data(), sizeof key);
  return key;
}

fl_listener key_of(const Endpoint& endpoint) {
  return {.address = key_of(endpoint.address), .port = endpoint.port, .reserved = {}};
}

fl_endpoint hash_input(const Endpoint& endpoint) {
  return {.address = key_of(endpoint.address), .port = endpoint.port};
}

std::unexpected<Error> load_failed(const std::string& interface, int error) {
  if (error == EPERM || error == EACCES) {
    return fail(Errc::kPermission,
                fmt::format("steering on {}: loading BPF programs needs CAP_BPF and CAP_NET_ADMIN "
                            "(run as root)",
                            interface));
  }
  if (error == ENOSYS) {
    return fail(
        Errc::kNotSupported,
        fmt::format("steering on {}: this kernel has no BPF (CONFIG_BPF_SYSCALL)", interface));
  }
  return fail(Errc::kNotSupported,
              fmt::format("steering on {}: this kernel does not take our BPF programs ({}); they "
                          "need Linux 5.4 or later with BTF",
                          interface, std::strerror(error)));
}

Result<Skeleton> load_programs(const std::string& interface, const SteeringOptions& options) {
  const QuietLibbpf quiet;
  Skeleton skeleton(steering_bpf__open());
  if (skeleton == nullptr) return load_failed(interface, errno);
  skeleton->rodata->hash_seed = options.hash_seed;
  skeleton->rodata->shards = options.shards;
  skeleton->rodata->shard_by_rule = options.shard_by_rule;
  skeleton->rodata->splices = options.splices;
  skeleton->rodata->answers_syns = options.answer_syns;
  skeleton->rodata->xdp_redirects = port::is_veth(interface);
  const bool closes = options.teardown_flows >= 0;
  const bool xdp = options.xdp_behind >= 0;
  const auto& programs = skeleton->progs;
  bpf_program__set_autoload(programs.fl_ingress, !closes);
  bpf_program__set_autoload(programs.fl_ingress_closing, closes);
  bpf_program__set_autoload(programs.fl_filter, !closes);
  bpf_program__set_autoload(programs.fl_filter_closing, closes);
  bpf_program__set_autoload(programs.fl_setup_xdp, xdp && !closes);
  bpf_program__set_autoload(programs.fl_setup_xdp_closing, xdp && closes);
  if (closes) {
    bpf_map* const flows = skeleton->maps.teardown_flows;
    const int shared = bpf_map__reuse_fd(flows, options.teardown_flows);
    if (shared != 0) return load_failed(interface, -shared);
    skeleton->rodata->teardown_buckets = bpf_map__max_entries(flows);
  }
  if (options.splice_rules >= 0) {
    const int shared = bpf_map__reuse_fd(skeleton->maps.rules, options.splice_rules);
    if (shared != 0) return load_failed(interface, -shared);
  }
  const int loaded = steering_bpf__load(skeleton.get());
  if (loaded != 0) return load_failed(interface, -loaded);
  return skeleton;
}

/// The programs, and what they do beside steering.
struct Loaded {
  Skeleton skeleton;
  SteeringOptions options;        // what of them could be had
  std::string setup_reason{};     // why not all
  std::string teardown_reason{};  // likewise
};

/// From all that is wanted to steering alone.
std::vector<SteeringOptions> alternatives(const SteeringOptions& wanted) {
  std::vector<SteeringOptions> out;
  const auto add = [&out](const SteeringOptions& options) {
    out.push_back(options);
    if (options.teardown_flows < 0) return;
    out.push_back(options);
    out.back().teardown_flows = -1;
  };
  SteeringOptions less = wanted;
  if (!wanted.answer_syns) less.xdp_behind = less.teardown_flows = -1;
  add(less);
  if (less.xdp_behind >= 0) {
    less.xdp_behind = -1;
    add(less);
  }
  if (!wanted.answer_syns) return out;
  less.answer_syns = false;
  less.teardown_flows = -1;
  out.push_back(less);
  return out;
}

/// Where the kernel does not take the programs that answer SYNs or FINs, it gets those that don't.
Result<Loaded> load(const std::string& interface, const SteeringOptions& wanted) {
  std::string reason;
  for (const SteeringOptions& options : alternatives(wanted)) {
    Result<Skeleton> skeleton = load_programs(interface, options);
    if (!skeleton) {
      if (!options.answer_syns) return std::unexpected(skeleton.error());
      if (reason.empty()) reason = skeleton.error().to_string();
      continue;
    }
    Loaded out{.skeleton = std::move(*skeleton), .options = options};
    const bool moved = options.answer_syns != wanted.answer_syns ||
                       (options.xdp_behind < 0 && wanted.xdp_behind >= 0);
    const bool lost = options.teardown_flows < 0 && wanted.teardown_flows >= 0;
    if (moved) out.setup_reason = reason;
    if (moved || lost) out.teardown_reason = reason;
    return out;
  }
  check_failed("steering alone is an alternative", __FILE__, __LINE__);
}

constexpr uint8_t kPresent = 1;
constexpr uint32_t kFirst = 0;

Result<void> insert(int map, const void* key, uint64_t flags, std::string_view what,
                    const void* value = &kPresent) {
  if (bpf_map_update_elem(map, key, value, flags) == 0) return {};
  if (errno == EEXIST) return fail(Errc::kAddressInUse, fmt::format("{} is there already", what));
  if (errno == E2BIG) return fail(Errc::kNoBufferSpace, fmt::format("no room for {}", what));
  return fail(errc_from_errno(errno), fmt::format("{}: {}", what, std::strerror(errno)));
}

Result<void> erase(int map, const void* key, std::string_view what) {
  if (bpf_map_delete_elem(map, key) == 0) return {};
  return fail(errc_from_errno(errno), fmt::format("{}: {}", what, std::strerror(errno)));
}

const bpf_program* ingress_of(const Loaded& loaded) {
  const auto& programs = loaded.skeleton->progs;
  return loaded.options.teardown_flows >= 0 ? programs.fl_ingress_closing : programs.fl_ingress;
}

class KernelSteering final : public Steering {
 public:
  KernelSteering(InterfaceLock lock, Loaded loaded, IngressAttachment attachment)
      : lock_(std::move(lock)), loaded_(std::move(loaded)), attachment_(std::move(attachment)) {
    if (loaded_.options.xdp_behind >= 0) put_behind_xdp();
  }
  ~KernelSteering() override {
    if (loaded_.options.xdp_behind < 0) return;
    bpf_map_delete_elem(loaded_.options.xdp_behind, &kFirst);
  }

  Result<void> add_listener(const Endpoint& endpoint) override {
    const fl_listener key = key_of(endpoint);
    return insert(map_fd(skeleton().maps.listeners), &key, BPF_NOEXIST,
                  "listener " + endpoint.to_string());
  }
  Result<void> remove_listener(const Endpoint& endpoint) override {
    const fl_listener key = key_of(endpoint);
    return erase(map_fd(skeleton().maps.listeners), &key, "listener " + endpoint.to_string());
  }
  Result<void> set_setup(const Endpoint& endpoint, const fl_setup_listener* listener) override {
    const fl_listener key = key_of(endpoint);
    const int map = map_fd(skeleton().maps.setup_listeners);
    const std::string what = "setup of " + endpoint.to_string();
    if (listener == nullptr) return erase(map, &key, what);
    return insert(map, &key, BPF_ANY, what, listener);
  }
  Result<void> set_setup_secrets(const fl_setup_secrets& secrets) override {
    return insert(map_fd(skeleton().maps.setup_secrets), &kFirst, BPF_ANY, "setup secrets",
                  &secrets);
  }
  Result<void> set_local_ports(LocalPorts ports) override {
    const fl_port_range range{.first = ports.first, .last = ports.last};
    if (bpf_map_update_elem(map_fd(skeleton().maps.local_ports), &kFirst, &range, BPF_ANY) == 0) {
      return {};
    }
    return fail(errc_from_errno(errno), fmt::format("local ports: {}", std::strerror(errno)));
  }
  Result<void> add_local_address(const IpAddress& address) override {
    const fl_address key = key_of(address);
    return insert(map_fd(skeleton().maps.addresses), &key, BPF_ANY,
                  "local address " + address.to_string());
  }
  Result<void> remove_local_address(const IpAddress& address) override {
    const fl_address key = key_of(address);
    return erase(map_fd(skeleton().maps.addresses), &key, "local address " + address.to_string());
  }

  SteeringCounters counters() const override {
    return {.passed_not_tcp = count(FL_PASS_NOT_TCP),
            .passed_not_ours = count(FL_PASS_NOT_OURS),
            .passed_not_here = count(FL_PASS_NOT_HERE),
            .taken_listener = count(FL_OURS_LISTENER),
            .taken_local_port = count(FL_OURS_LOCAL_PORT),
            .dropped_fragment = count(FL_OURS_FRAGMENT),
            .copied_icmp_error = count(FL_OURS_ICMP_ERROR),
            .answered_syn = count(FL_ANSWERED_SYN),
            .answered_fin = count(FL_ANSWERED_FIN),
            .closing_ack = count(FL_CLOSING_ACK),
            .deferred_ack = count(FL_DEFERRED_ACK)};
  }
  std::string_view setup_seat() const override {
    if (loaded_.options.xdp_behind >= 0) return "xdp";
    return loaded_.options.answer_syns ? "tc" : "user";
  }
  const std::string& setup_reason() const override { return loaded_.setup_reason; }
  std::string_view teardown_seat() const override { return closes() ? setup_seat() : "user"; }
  const std::string& teardown_reason() const override { return loaded_.teardown_reason; }
  AttachMode attach_mode() const override { return attachment_.mode(); }
  bool replaced_leftover() const override { return attachment_.replaced_leftover(); }
  int filter_fd() const override {
    return bpf_program__fd(closes() ? programs().fl_filter_closing : programs().fl_filter);
  }
  int fanout_fd() const override { return bpf_program__fd(programs().fl_fanout); }
  int ingress_fd() const override { return bpf_program__fd(ingress_of(loaded_)); }
  int setup_xdp_fd() const override {
    return bpf_program__fd(closes() ? programs().fl_setup_xdp_closing : programs().fl_setup_xdp);
  }

 private:
  static int map_fd(const bpf_map* map) { return bpf_map__fd(map); }
  steering_bpf& skeleton() const { return *loaded_.skeleton; }
  const decltype(steering_bpf::progs)& programs() const { return skeleton().progs; }
  bool closes() const { return loaded_.options.teardown_flows >= 0; }

  void put_behind_xdp() {
    const int program = setup_xdp_fd();
    if (bpf_map_update_elem(loaded_.options.xdp_behind, &kFirst, &program, BPF_ANY) == 0) return;
    loaded_.setup_reason = fmt::format("behind the XDP program: {}", std::strerror(errno));
    loaded_.teardown_reason = loaded_.setup_reason;
    loaded_.options.xdp_behind = -1;
  }

  uint64_t count(fl_verdict verdict) const {
    std::vector<uint64_t> per_cpu(static_cast<size_t>(libbpf_num_possible_cpus()));
    const uint32_t key = verdict;
    if (bpf_map_lookup_elem(map_fd(skeleton().maps.verdicts), &key, per_cpu.data()) != 0) return 0;
    return std::accumulate(per_cpu.begin(), per_cpu.end(), uint64_t{0});
  }

  // Destroyed from the last up: detached first, unlocked last.
  InterfaceLock lock_;
  Loaded loaded_;
  IngressAttachment attachment_;
};

}  // namespace

Result<std::unique_ptr<Steering>> Steering::attach(const std::string& interface,
                                                   const SteeringOptions& options) {
  CHECK(options.shards > 0);
  const auto index = static_cast<int>(::if_nametoindex(interface.c_str()));
  if (index == 0) {
    return fail(Errc::kNoDevice, fmt::format("interface {}: no such interface", interface));
  }
  Result<InterfaceLock> lock = InterfaceLock::acquire(interface, index, options.runtime_directory);
  if (!lock) return std::unexpected(lock.error());
  Result<Loaded> loaded = load(interface, options);
  if (!loaded) return std::unexpected(loaded.error());
  Result<IngressAttachment> attachment = IngressAttachment::attach(
      bpf_program__fd(ingress_of(*loaded)), {.interface = interface,
                                             .interface_index = index,
                                             .mode = options.attach,
                                             .behind = options.splice_link});
  if (!attachment) return std::unexpected(attachment.error());
  auto steering = std::make_unique<KernelSteering>(std::move(*lock), std::move(*loaded),
                                                   std::move(*attachment));
  const Result<void> emptied = steering->set_local_ports({});
  if (!emptied) return std::unexpected(emptied.error());
  return steering;
}

unsigned shard_of(const FourTuple& tuple, const SteeringOptions& options) {
  const fl_endpoint local = hash_input(tuple.local);
  const fl_endpoint remote = hash_input(tuple.remote);
  return fl_shard(fl_flow_hash(&local, &remote, options.hash_seed), options.shards);
}

}  // namespace fairlead::nic
