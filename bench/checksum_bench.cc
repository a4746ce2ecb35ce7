// How fast the Internet checksum runs over a buffer that is hot in the cache, by size: a bare TCP
// header, a full segment, and a 64 KiB super-packet.
#include <benchmark/benchmark.h>

#include <cstdint>
#include <vector>

#include "wire/checksum.h"

namespace fairlead {
namespace {

void BM_Checksum(benchmark::State& state) {
  const std::vector<uint8_t> buffer(static_cast<size_t>(state.range(0)), 0xa5);
  for ([[maybe_unused]] auto _ : state) {
    benchmark::DoNotOptimize(checksum_add(0, buffer));
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(BM_Checksum)
    ->Arg(20)
    ->Arg(40)
    ->Arg(128)
    ->Arg(255)
    ->Arg(256)
    ->Arg(512)
    ->Arg(1460)
    ->Arg(64 << 10);

void BM_PseudoHeader(benchmark::State& state) {
  const PseudoHeader pseudo{.source = IpAddress::v4(0xC000'0201),
                            .destination = IpAddress::v4(0xC000'0202),
                            .protocol = 6,
                            .length = 1480};
  for ([[maybe_unused]] auto _ : state) benchmark::DoNotOptimize(pseudo_header_sum(pseudo));
}
BENCHMARK(BM_PseudoHeader);

}  // namespace
}  // namespace fairlead

BENCHMARK_MAIN();
