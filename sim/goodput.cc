// Goodput of one connection by loss and round-trip time, CUBIC and NewReno, beside what theory
// says. Prints the table of doc/goodput.md.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "sim/stream_world.h"

namespace fairlead::sim {
namespace {

constexpr double kRate = 100e6;  // bits per second
constexpr double kMss = 1448;

double goodput(host::CongestionAlgorithm algorithm, double loss, Duration rtt, uint64_t seed) {
  WorldOptions o;
  o.seed = seed;
  o.random_impairment = false;
  o.congestion = algorithm;
  o.there.delay = o.back.delay = rtt / 2;
  o.there.bits_per_second = o.back.bits_per_second = kRate;
  double bdp = kRate / 8 * std::chrono::duration<double>(rtt).count();
  o.there.queue_bytes = o.back.queue_bytes = std::max<size_t>(static_cast<size_t>(bdp), 30'000);
  o.there.loss = loss;
  o.upload = 40'000'000;
  if (loss >= 0.01) o.upload = 10'000'000;
  WorldResult r = run_world(o);
  if (!r.failure.empty()) return std::nan("");
  return static_cast<double>(r.bytes) * 8 / std::chrono::duration<double>(r.took).count() / 1e6;
}

/// Mathis et al. 1997: the window of Reno under random loss p.
double reno_theory(double loss, double rtt) {
  return std::min(kRate, kMss * 8 / rtt * 1.22 / std::sqrt(loss)) / 1e6;
}

/// RFC 9438 §5.1 (5) with C = 0.4: the average window of CUBIC, or Reno's where that is larger.
double cubic_theory(double loss, double rtt) {
  double window = 1.054 * std::pow(rtt, 0.75) / std::pow(loss, 0.75);
  return std::min(kRate, std::max(window * kMss * 8 / rtt, reno_theory(loss, rtt) * 1e6)) / 1e6;
}

void print_table(host::CongestionAlgorithm algorithm, const char* name) {
  fmt::print(
      "\n{}: Mbit/s measured (theory)\n\n| loss | 1 ms | 10 ms | 50 ms | 100 ms | 200 ms |\n"
      "| --- | --- | --- | --- | --- | --- |\n",
      name);
  for (double loss : {0.0, 0.0001, 0.001, 0.01, 0.03}) {
    fmt::print("| {:g} % |", loss * 100);
    for (int ms : {1, 10, 50, 100, 200}) {
      double rates[3];
      for (uint64_t seed = 1; seed <= 3; ++seed) {
        rates[seed - 1] = goodput(algorithm, loss, milliseconds(ms), seed);
      }
      std::sort(rates, rates + 3);
      double rtt = ms / 1e3;
      double theory = loss == 0                                        ? kRate / 1e6
                      : algorithm == host::CongestionAlgorithm::kCubic ? cubic_theory(loss, rtt)
                                                                       : reno_theory(loss, rtt);
      fmt::print(" {:.1f} ({:.1f}) |", rates[1], theory);
      std::fflush(stdout);
    }
    fmt::print("\n");
  }
}

}  // namespace
}  // namespace fairlead::sim

int main() {
  using namespace fairlead;
  sim::print_table(host::CongestionAlgorithm::kCubic, "CUBIC");
  sim::print_table(host::CongestionAlgorithm::kNewReno, "NewReno");
}
