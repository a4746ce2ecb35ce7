// What splicing costs per packet: the rule in user space, and the whole of the tc and XDP programs
// under BPF_PROG_TEST_RUN, table lookup and way out included; by address family and TCP options.
//
// The pair maps a connection onto itself, so that one packet can be translated over and over; only
// its TTL is used up, which ends a run of the kernel's after 250. Needs root for the kernel's rows.
#include <benchmark/benchmark.h>
#include <bpf/bpf.h>
#include <net/if.h>

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/check.h"
#include "fmt/format.h"
#include "nic/splice/rule.h"
#include "nic/splice/splice_track.h"
#include "tests/namespaces.h"
#include "tests/splice_packets.h"
#include "tests/splice_programs.h"
#include "tests/splice_vectors.h"

namespace fairlead {
namespace {

using test::operator+;
using nic::SplicePair;
using test::PacketBytes;
using test::SplicePrograms;

constexpr std::array<uint8_t, 6> kMac{2, 0, 0, 0, 0, 0xa};
constexpr uint8_t kFirstTtl = 255;
constexpr int kPackets = 250;  // of a run: the TTL lasts
constexpr int kTcRuns = 1000;
constexpr int kXdpRuns = 10;  // each waits for an RCU grace period first

enum Options : int { kNone, kTimestamps, kTimestampsAndSack, kOdd };

struct Load {
  bool v6;
  Options options;
};

const char* name_of(Options options) {
  switch (options) {
    case kNone:
      return "no options";
    case kTimestamps:
      return "timestamps";
    case kTimestampsAndSack:
      return "timestamps, 3 SACK blocks";
    case kOdd:
      return "the same in an uncommon order";
  }
  return "";
}

PacketBytes options_of(Options options) {
  const PacketBytes stamps = test::timestamps(1, 2);
  const PacketBytes blocks = test::sack({1, 2, 3, 4, 5, 6});
  switch (options) {
    case kNone:
      return {};
    case kTimestamps:
      return test::nops(2) + stamps;
    case kTimestampsAndSack:
      return test::nops(2) + stamps + test::nops(2) + blocks;
    case kOdd:
      return blocks + test::nops(3) + stamps + test::nops(1);
  }
  return {};
}

/// A connection onto itself, numbers shifted by as much each time.
SplicePair self_pair(bool v6) {
  SplicePair pair = test::vector_pair(v6);
  pair.server = {pair.client.remote, pair.client.local};
  pair.to_server.mtu = pair.to_client.mtu = 9000;
  return pair;
}

PacketBytes packet_of(const Load& load) {
  const SplicePair pair = self_pair(load.v6);
  test::Segment segment{.from = pair.client.remote, .to = pair.client.local};
  segment.options = options_of(load.options);
  segment.payload = test::some_bytes(1400);
  segment.ttl = kFirstTtl;
  return packet_of(segment);
}

void in_user_space(benchmark::State& state, Load load) {
  fl_splice_rule rule = nic::records_of(self_pair(load.v6)).from_client.rule;
  PacketBytes packet = packet_of(load);
  const nic::SplicePacket whole{.size = static_cast<uint32_t>(packet.size())};
  const size_t ttl_word = load.v6 ? 6 : 8;
  const uint16_t fresh = test::read16(packet, ttl_word);
  for ([[maybe_unused]] auto _ : state) {
    test::write16(packet, ttl_word, fresh);
    const nic::SpliceOutcome outcome = nic::translate(rule, packet, whole);
    benchmark::DoNotOptimize(fl_splice_count(&rule, &outcome.segment, 1));
    benchmark::ClobberMemory();
  }
  CHECK(rule.packets == static_cast<uint64_t>(state.iterations()));
}

/// The programs with both families' rules, in a namespace whose neighbour has our own MAC address,
/// so that XDP, too, can do its packet again.
struct Kernel {
  test::NamespacePair namespaces;
  std::unique_ptr<SplicePrograms> programs = SplicePrograms::load(1024, kMac);

  Kernel() {
    namespaces.run_in_b(
        "sysctl -qw net.ipv4.conf.all.forwarding=1 net.ipv6.conf.all.forwarding=1 && "
        "ip neigh replace 10.77.0.1 lladdr 02:00:00:00:00:0a dev fl-b && "
        "ip neigh replace fd77::1 lladdr 02:00:00:00:00:0a dev fl-b && "
        "ip route add default via 10.77.0.1 && ip -6 route add default via fd77::1 dev fl-b");
    for (const bool v6 : {false, true}) {
      // Of the pair's two rules: they have one key.
      programs->install(nic::records_of(pair(v6)).from_client);
    }
  }
  static SplicePair pair(bool v6) {
    SplicePair out = self_pair(v6);
    out.to_server.interface = out.to_client.interface = ::if_nametoindex("fl-b");
    return out;
  }
};

Kernel& kernel() {
  static Kernel instance;
  return instance;
}

/// Runs a program 250 times over the packet; seconds for one.
double run(int program, const PacketBytes& packet, bool xdp) {
  PacketBytes frame(kMac.begin(), kMac.end());
  if (!xdp) frame.assign(6, 0);  // the loopback interface's
  frame.resize(12);
  test::append16(frame, test::ether_type_of(packet));
  frame = frame + packet;
  bpf_test_run_opts options{};
  options.sz = sizeof options;
  options.data_in = frame.data();
  options.data_size_in = static_cast<uint32_t>(frame.size());
  options.repeat = kPackets;
  CHECK(bpf_prog_test_run_opts(program, &options) == 0);
  return 1e-9 * options.duration;
}

void in_kernel(benchmark::State& state, Load load, bool xdp, bool with_rule) {
  if (const std::string why = test::NamespacePair::why_not(); !why.empty()) {
    state.SkipWithError(why.c_str());
    return;
  }
  const SplicePrograms& programs = *kernel().programs;
  PacketBytes packet = packet_of(load);
  if (!with_rule) ++packet[load.v6 ? 41 : 21];  // another port
  const uint64_t before = programs.count(FL_SPLICE_TRANSLATED);
  for ([[maybe_unused]] auto _ : state) {
    state.SetIterationTime(run(xdp ? programs.xdp_fd() : programs.tc_fd(), packet, xdp));
  }
  const auto expected = static_cast<uint64_t>(with_rule ? state.iterations() * kPackets : 0);
  CHECK(programs.count(FL_SPLICE_TRANSLATED) - before == expected);
}

/// Prints, behind the table, the best of each row's repetitions, and as a multiple of the same
/// seat's row without options.
class Ratios : public benchmark::ConsoleReporter {
 public:
  Ratios() : ConsoleReporter(OO_None) {}
  void ReportRuns(const std::vector<Run>& runs) override {
    ConsoleReporter::ReportRuns(runs);
    for (const Run& run : runs) {
      if (run.run_type != Run::RT_Iteration) continue;
      // The kernel measures its own; ours is processor time, so that a busy machine matters less.
      const std::string& name = run.run_name.function_name;
      const double time =
          name.starts_with("user") ? run.GetAdjustedCPUTime() : run.GetAdjustedRealTime();
      const auto [best, first] = times_.emplace(name, time);
      if (!first) best->second = std::min(best->second, time);
    }
  }
  void Finalize() override {
    fmt::print("\n");
    for (const auto& [name, time] : times_) {
      const auto base = times_.find(name.substr(0, name.rfind('/')) + "/no options");
      if (base == times_.end() || base->second <= 0) continue;
      fmt::print("{:<48} {:>8.1f} ns  {:.2f} of no options\n", name, time, time / base->second);
    }
  }

 private:
  std::map<std::string, double> times_;
};

void register_all() {
  for (const bool v6 : {false, true}) {
    for (const Options options : {kNone, kTimestamps, kTimestampsAndSack, kOdd}) {
      const Load load{v6, options};
      const auto name = [&](const char* seat, const char* what) {
        return fmt::format("{}/{}/{}", seat, v6 ? "IPv6" : "IPv4", what);
      };
      const auto add_kernel = [&](bool xdp, bool with_rule) {
        const char* seat = xdp ? "XDP program" : "tc program";
        benchmark::RegisterBenchmark(
            name(seat, with_rule ? name_of(options) : "no rule").c_str(),
            [=](benchmark::State& state) { in_kernel(state, load, xdp, with_rule); })
            ->UseManualTime()
            ->Iterations(xdp ? kXdpRuns : kTcRuns);
      };
      benchmark::RegisterBenchmark(name("user space", name_of(options)).c_str(),
                                   [=](benchmark::State& state) { in_user_space(state, load); });
      for (const bool xdp : {false, true}) {
        add_kernel(xdp, true);
        if (options == kNone) add_kernel(xdp, false);
      }
    }
  }
}

}  // namespace
}  // namespace fairlead

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  fairlead::register_all();
  fairlead::Ratios reporter;
  benchmark::RunSpecifiedBenchmarks(&reporter);
  return 0;
}
