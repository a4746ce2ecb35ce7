#include "tests/splice_programs.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <cerrno>
#include <cstring>

#include "base/check.h"
#include "base/unique_fd.h"
#include "fmt/format.h"
#include "nic/steering/steering_tables.h"
#include "splice.skel.h"
#include "steering.skel.h"
#include "tests/splice_vectors.h"
#include "wire/ethernet.h"

namespace fairlead::test {
namespace {

struct SpliceCloser {
  void operator()(splice_bpf* skeleton) const { splice_bpf__destroy(skeleton); }
};
struct SteeringCloser {
  void operator()(steering_bpf* skeleton) const { steering_bpf__destroy(skeleton); }
};

/// To an address all zero: the loopback interface's, and what own_mac is when nobody sets it.
PacketBytes frame_of(const ProgramInput& input) {
  PacketBytes out(6);
  out.insert(out.end(), input.source_mac.begin(), input.source_mac.end());
  append16(out, ether_type_of(input.packet));
  return out + input.packet;
}

/// What every kind of program is run with.
struct Run {
  explicit Run(const ProgramInput& input) : frame(frame_of(input)), out(frame.size() + 64) {
    options.sz = sizeof options;
    options.data_in = frame.data();
    options.data_size_in = static_cast<uint32_t>(frame.size());
    options.data_out = out.data();
    options.data_size_out = static_cast<uint32_t>(out.size());
  }
  ProgramRun on(int program) {
    const int result = bpf_prog_test_run_opts(program, &options);
    if (result != 0) fmt::print(stderr, "test run: {}\n", std::strerror(errno));
    CHECK(result == 0);
    out.resize(options.data_size_out);
    return {.returned = static_cast<int>(options.retval),
            .packet = {out.begin() + wire::kEthernetSize, out.end()},
            .ethernet = {out.begin(), out.begin() + wire::kEthernetSize}};
  }

  PacketBytes frame;
  PacketBytes out;
  bpf_test_run_opts options{};
};

fl_listener listener_of(const Endpoint& endpoint) {
  fl_listener out{.address = {}, .port = endpoint.port, .reserved = {}};
  std::memcpy(&out.address, endpoint.address.bytes().data(), sizeof out.address);
  return out;
}

class Loaded final : public SplicePrograms {
 public:
  Loaded(uint32_t entries, const std::array<uint8_t, 6>& mac)
      : splice_(splice_bpf__open()), steering_(steering_bpf__open()) {
    CHECK(splice_ && steering_);
    CHECK(bpf_map__set_max_entries(splice_->maps.rules, entries) == 0);
    std::memcpy(const_cast<uint8_t*>(splice_->rodata->own_mac), mac.data(), mac.size());
    CHECK(splice_bpf__load(splice_.get()) == 0);
    CHECK(bpf_map__reuse_fd(steering_->maps.rules, rules()) == 0);
    CHECK(steering_bpf__load(steering_.get()) == 0);
    // None: first above last.
    const uint32_t key = 0;
    const fl_port_range ports{.first = 1, .last = 0};
    CHECK(bpf_map_update_elem(fd(steering_->maps.local_ports), &key, &ports, BPF_ANY) == 0);
  }

  void install(const nic::SplicePair& pair) override {
    const nic::SpliceRecords records = nic::records_of(pair);
    install(records.from_client);
    install(records.from_server);
    const uint8_t present = 1;
    for (const Endpoint& endpoint : {pair.client.local, pair.server.local}) {
      const fl_listener key = listener_of(endpoint);
      CHECK(bpf_map_update_elem(fd(steering_->maps.listeners), &key, &present, BPF_ANY) == 0);
    }
  }
  void install(const nic::SpliceRecord& record) override {
    CHECK(bpf_map_update_elem(rules(), &record.key, &record.rule, BPF_ANY) == 0);
  }
  void remove(const nic::SplicePair& pair) override {
    for (const FourTuple& tuple : {pair.client, pair.server}) {
      const fl_splice_key key = nic::key_of(tuple);
      bpf_map_delete_elem(rules(), &key);
      const fl_listener listener = listener_of(tuple.local);
      bpf_map_delete_elem(fd(steering_->maps.listeners), &listener);
    }
  }
  fl_splice_rule rule(const FourTuple& tuple) const override {
    fl_splice_rule out;
    CHECK(find(tuple, out));
    return out;
  }
  bool has_rule(const FourTuple& tuple) const override {
    fl_splice_rule out;
    return find(tuple, out);
  }

  void make_ring(uint16_t shard) override {
    constexpr uint32_t kRingBytes = 4096;
    const UniqueFd ring(
        bpf_map_create(BPF_MAP_TYPE_RINGBUF, "fl_test_ring", 0, 0, kRingBytes, nullptr));
    CHECK(ring);
    const uint32_t key = shard;
    const int value = ring.get();
    CHECK(bpf_map_update_elem(fd(splice_->maps.events), &key, &value, BPF_ANY) == 0);
  }
  std::vector<fl_splice_event> events(uint16_t shard) override {
    const uint32_t key = shard;
    uint32_t id = 0;
    CHECK(bpf_map_lookup_elem(fd(splice_->maps.events), &key, &id) == 0);
    const UniqueFd ring(bpf_map_get_fd_by_id(id));
    std::vector<fl_splice_event> out;
    const auto take = [](void* context, void* data, size_t size) {
      CHECK(size == sizeof(fl_splice_event));
      fl_splice_event event;
      std::memcpy(&event, data, sizeof event);
      static_cast<std::vector<fl_splice_event>*>(context)->push_back(event);
      return 0;
    };
    ring_buffer* consumer = ring_buffer__new(ring.get(), take, &out, nullptr);
    CHECK(consumer != nullptr);
    ring_buffer__consume(consumer);
    ring_buffer__free(consumer);
    return out;
  }

  ProgramRun run_tc(const ProgramInput& input) const override { return run_on_skb(tc_fd(), input); }
  ProgramRun run_xdp(const ProgramInput& input) const override {
    return run_on_xdp(xdp_fd(), input);
  }
  bool filter_accepts(const ProgramInput& input) const override {
    return run_on_skb(bpf_program__fd(steering_->progs.fl_filter), input).returned != 0;
  }
  uint64_t count(uint32_t counter) const override {
    std::vector<uint64_t> per_cpu(static_cast<size_t>(libbpf_num_possible_cpus()));
    CHECK(bpf_map_lookup_elem(fd(splice_->maps.counters), &counter, per_cpu.data()) == 0);
    uint64_t sum = 0;
    for (const uint64_t value : per_cpu) sum += value;
    return sum;
  }

  int tc_fd() const override { return bpf_program__fd(splice_->progs.fl_splice_ingress); }
  int xdp_fd() const override { return bpf_program__fd(splice_->progs.fl_splice_xdp); }

 private:
  static int fd(const bpf_map* map) { return bpf_map__fd(map); }
  int rules() const { return fd(splice_->maps.rules); }
  bool find(const FourTuple& tuple, fl_splice_rule& out) const {
    const fl_splice_key key = nic::key_of(tuple);
    return bpf_map_lookup_elem(rules(), &key, &out) == 0;
  }
  std::unique_ptr<splice_bpf, SpliceCloser> splice_;
  std::unique_ptr<steering_bpf, SteeringCloser> steering_;
};

}  // namespace

ProgramRun run_on_skb(int program, const ProgramInput& input) {
  Run run(input);
  __sk_buff context{};
  context.gso_size = input.gso_size;
  run.options.ctx_in = &context;
  run.options.ctx_size_in = sizeof context;
  run.options.flags = input.checksum_complete ? BPF_F_TEST_SKB_CHECKSUM_COMPLETE : 0;
  return run.on(program);
}

ProgramRun run_on_xdp(int program, const ProgramInput& input) {
  Run run(input);
  xdp_md context{};
  context.data_end = run.options.data_size_in;
  context.ingress_ifindex = input.interface;
  run.options.ctx_in = &context;
  run.options.ctx_size_in = sizeof context;
  return run.on(program);
}

std::unique_ptr<SplicePrograms> SplicePrograms::load(uint32_t entries,
                                                     const std::array<uint8_t, 6>& mac) {
  return std::make_unique<Loaded>(entries, mac);
}

}  // namespace fairlead::test
