// Receive aggregation: Fairlead and DPDK's rte_gro on the same frames in memory, in bursts of the
// same size, at 1 to 100,000 connections: nanoseconds per packet, and packets in per packet out.
//
// Both peers run in this process, one after the other, again and again; what is printed is the
// median. The link is of 10 Gbit/s, on a clock of its own.
//
// It is built where Debian's libdpdk-dev is installed, which nothing else needs and which is not in
// scripts/packages.txt: it brings 200 packages along.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <functional>
#include <vector>

#include "bench/aggregate_peers.h"
#include "bench/aggregate_traffic.h"

namespace fairlead::bench {
namespace {

using Pattern = TrafficOptions::Pattern;
using MakePeer = std::function<std::unique_ptr<Peer>()>;

constexpr int kRepetitions = 5;
constexpr size_t kMeasured = 100'000;  // packets a repetition

struct Figures {
  double ns = 0;     // per packet
  double ratio = 0;  // packets in per packet out
};

/// Nanoseconds; without the hundredth that took longest: there something else had the processor.
double mean_of_undisturbed(std::vector<Duration>& bursts) {
  std::ranges::sort(bursts);
  bursts.resize(bursts.size() * 99 / 100);
  Duration sum{};
  for (const Duration burst : bursts) sum += burst;
  return static_cast<double>(sum.count()) / static_cast<double>(bursts.size());
}

Figures measure(Peer& peer, const TrafficOptions& options) {
  Traffic traffic(options);
  // By then every connection is known, and in turn has come twice: it can be seen to be sparse.
  const size_t before = 2 * options.flows + 20'000;
  std::vector<Duration> spent;  // a burst each
  size_t out = 0;
  for (size_t packets = 0; packets < before + kMeasured; packets += kBurst) {
    for (size_t i = 0; i < kBurst; ++i) traffic.next(peer.frame(i));
    const Time start = monotonic_now();
    peer.process(traffic.now());
    const Time end = monotonic_now();
    const size_t sent = peer.collect();
    if (packets < before) continue;
    spent.push_back(end - start);
    out += sent;
  }
  const auto in = static_cast<double>(spent.size() * kBurst);
  return {.ns = mean_of_undisturbed(spent) / kBurst, .ratio = in / static_cast<double>(out)};
}

Figures median(std::vector<Figures> all) {
  std::ranges::sort(all, {}, &Figures::ns);
  return all[all.size() / 2];
}

/// Fairlead, rte_gro by bursts, rte_gro with contexts.
std::vector<Figures> compare(Work work, const TrafficOptions& options) {
  const MakePeer makers[] = {[&] { return make_fairlead(work, options.flows); },
                             [&] { return make_rte_gro_burst(work); },
                             [&] { return make_rte_gro_contexts(work); }};
  std::vector<std::vector<Figures>> all(std::size(makers));
  for (int repetition = 0; repetition < kRepetitions; ++repetition) {
    for (size_t i = 0; i < std::size(makers); ++i) {
      all[i].push_back(measure(*makers[i](), options));
    }
  }
  std::vector<Figures> out;
  for (const auto& figures : all) out.push_back(median(figures));
  return out;
}

void print_table(Work work, Pattern pattern, const char* title) {
  fmt::print(
      "\n{}; median of {}\n\n"
      "| connections | time ÷ rte_gro burst | ÷ rte_gro contexts | merged ÷ rte_gro burst | "
      "÷ rte_gro contexts | Fairlead | rte_gro burst | rte_gro contexts |\n"
      "| --- | --- | --- | --- | --- | --- | --- | --- |\n",
      title, kRepetitions);
  const auto cell = [](const Figures& f) {
    return fmt::format("{:.1f} ns, {:.2f}", f.ns, f.ratio);
  };
  double at_64 = 0, at_most = 0;
  for (const uint32_t flows : {1u, 64u, 4096u, 100'000u}) {
    const auto all = compare(work, {.flows = flows, .pattern = pattern});
    const Figures &ours = all[0], &burst = all[1], &contexts = all[2];
    fmt::print("| {} | **{:.2f}** | **{:.2f}** | **{:.2f}** | **{:.2f}** | {} | {} | {} |\n", flows,
               ours.ns / burst.ns, ours.ns / contexts.ns, ours.ratio / burst.ratio,
               ours.ratio / contexts.ratio, cell(ours), cell(burst), cell(contexts));
    std::fflush(stdout);
    if (flows == 64) at_64 = ours.ns;
    at_most = ours.ns;
  }
  fmt::print("\n100,000 connections ÷ 64, Fairlead: {:.2f}\n", at_most / at_64);
}

void run() {
  fmt::print("Beside {}; Debian's libdpdk-dev is optional, and without it this is not built.\n",
             dpdk_version());
  const auto print_both = [](Work work, const char* title) {
    print_table(work, Pattern::kTrains, fmt::format("Trains of 2 to 45; {}", title).c_str());
    print_table(work, Pattern::kRoundRobin, fmt::format("Round robin; {}", title).c_str());
  };
  print_both(Work::kHeaders, "checksums verified by the interface, payload in fragments");
  print_both(Work::kPayload, "checksums verified in software, payload contiguous");
}

}  // namespace
}  // namespace fairlead::bench

int main() {
  if (!fairlead::bench::start_dpdk()) {
    fmt::print(stderr, "aggregate_bench: DPDK does not start\n");
    return 1;
  }
  fairlead::bench::run();
  return 0;
}
