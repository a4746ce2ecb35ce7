// What a timer costs: setting it and clearing it again, and an interval of 100 us going by, on the
// teardown's bitmap wheel and on the host stack's hierarchical wheel, for 64 Ki flows of which a
// share has a timer set, 200 to 1,200 ms ahead, as retransmission timeouts are. A timer that comes
// up is set again, so that the share stays.
#include <benchmark/benchmark.h>

#include <memory>
#include <vector>

#include "base/random.h"
#include "base/timer_wheel.h"
#include "nic/teardown/timer_bitmap_wheel.h"

namespace fairlead {
namespace {

constexpr uint32_t kFlows = 1 << 16;
constexpr Duration kInterval = microseconds(100);
constexpr Time kStart{seconds(1)};

Duration timeout(Rng& rng) {
  return microseconds(static_cast<int64_t>(200'000 + rng.below(1'000'000)));
}

class Bitmaps {
 public:
  void set(uint32_t flow, Time deadline) { alarms_[flow] = wheel_.set(flow, deadline); }
  void clear(uint32_t flow) { wheel_.clear(flow, alarms_[flow].slot); }
  template <typename Fire>
  void expire(Time now, Fire&& fire) {
    wheel_.expire(0, now, [&](uint32_t flow) {
      if (alarms_[flow].turns-- > 0) return wheel_.again(flow, alarms_[flow].slot);
      fire(flow);
    });
  }

 private:
  nic::TimerBitmapWheel wheel_{{.flows = kFlows}, kStart};
  std::vector<nic::TimerBitmapWheel::Alarm> alarms_{kFlows};
};

class Hierarchical {
 public:
  ~Hierarchical() {
    for (Node& node : nodes_) wheel_.disarm(node);
  }
  void set(uint32_t flow, Time deadline) { wheel_.arm(nodes_[flow], deadline); }
  void clear(uint32_t flow) { wheel_.disarm(nodes_[flow]); }
  template <typename Fire>
  void expire(Time now, Fire&& fire) {
    wheel_.expire(now, [&](TimerNode& node) {
      fire(static_cast<uint32_t>(static_cast<Node*>(&node) - nodes_.data()));
    });
  }

 private:
  struct Node : TimerNode {};
  TimerWheel wheel_{kStart};
  std::vector<Node> nodes_{kFlows};
};

/// `percent` of the flows have a timer.
template <typename Wheel>
void fill(Wheel& wheel, int64_t percent, Rng& rng) {
  for (uint32_t flow = 0; flow < kFlows; ++flow) {
    if (rng.chance(static_cast<double>(percent) / 100)) wheel.set(flow, kStart + timeout(rng));
  }
}

template <typename Wheel>
void BM_SetAndClear(benchmark::State& state) {
  Rng rng(1);
  Wheel wheel;
  uint32_t flow = 0;
  for (auto _ : state) {
    flow = (flow + 12'289) % kFlows;
    wheel.set(flow, kStart + timeout(rng));
    wheel.clear(flow);
  }
}
BENCHMARK(BM_SetAndClear<Bitmaps>);
BENCHMARK(BM_SetAndClear<Hierarchical>);

/// One iteration is one interval, what comes up in it included.
template <typename Wheel>
void BM_Interval(benchmark::State& state) {
  Rng rng(1);
  Wheel wheel;
  fill(wheel, state.range(0), rng);
  Time now = kStart;
  uint64_t fired = 0;
  for (auto _ : state) {
    now += kInterval;
    wheel.expire(now, [&](uint32_t flow) {
      ++fired;
      wheel.set(flow, now + timeout(rng));
    });
  }
  state.counters["fired"] =
      benchmark::Counter(static_cast<double>(fired), benchmark::Counter::kAvgIterations);
}
BENCHMARK(BM_Interval<Bitmaps>)->Arg(0)->Arg(1)->Arg(10)->ArgName("percent");
BENCHMARK(BM_Interval<Hierarchical>)->Arg(0)->Arg(1)->Arg(10)->ArgName("percent");

}  // namespace
}  // namespace fairlead

BENCHMARK_MAIN();
