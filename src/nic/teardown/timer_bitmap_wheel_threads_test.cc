// Several threads set and clear timers of flows that share words, beside one scanner per region.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <mutex>
#include <thread>
#include <vector>

#include "base/random.h"
#include "nic/teardown/timer_bitmap_wheel.h"

namespace fairlead::nic {
namespace {

constexpr uint32_t kFlows = 1024;
constexpr uint32_t kRegions = 2;
constexpr uint32_t kSlots = 64;
constexpr uint32_t kWriters = 2;
constexpr int64_t kIntervals = 300'000;  // the first scanner makes time pass, one in each pass
constexpr Time kStart{seconds(5)};

struct Flow {
  std::mutex mutex;  // orders set(), clear() and fire() of this flow
  TimerBitmapWheel::Alarm alarm;
  Time deadline{};
  Time set_at{};  // a time at which it was there
  bool set = false;
};

class Concurrent : public testing::Test {
 protected:
  struct Scanner {
    Time at{};
    Time at_before{};
  };

  Time now() const { return kStart + microseconds(100) * clock_.load(); }

  /// Writers share every word: a flow is the one's whose number it is modulo kWriters.
  void write(uint32_t writer) {
    Rng rng(writer + 1);
    // On a busy machine the writers may start late.
    while (clock_.load() < kIntervals || cleared_.load() == 0 || fired_.load() == 0) {
      const auto id = static_cast<uint32_t>(rng.below(kFlows / kWriters)) * kWriters + writer;
      Flow& flow = flows_[id];
      const std::scoped_lock lock(flow.mutex);
      if (!flow.set) {
        flow.deadline = now() + wait(rng);
        flow.alarm = wheel_.set(id, flow.deadline);
        flow.set_at = now();
        flow.set = true;
        ++sets_;
      } else if (rng.chance(0.1) && wheel_.clear(id, flow.alarm.slot)) {
        flow.set = false;
        ++cleared_;
      }  // else it stays, or has come up and its scanner waits for us
    }
  }
  /// Near ones and such as lie whole turns ahead meet the scan.
  Duration wait(Rng& rng) const {
    switch (rng.below(3)) {
      case 0:
        return microseconds(static_cast<int64_t>(rng.below(300)));
      case 1:
        return wheel_.interval() * kSlots;
      default:
        return microseconds(static_cast<int64_t>(rng.below(30'000)));
    }
  }
  void scan(uint32_t region) {
    Scanner& scanner = scanners_[region];
    for (bool last = false; !last;) {
      last = done_.load();
      if (region == 0) ++clock_;
      scanner.at_before = scanner.at;
      scanner.at = now();
      wheel_.expire(region, scanner.at, [&](uint32_t id) { fire(id, scanner); });
    }
  }
  void fire(uint32_t id, const Scanner& scanner) {
    Flow& flow = flows_[id];
    const std::scoped_lock lock(flow.mutex);
    if (!flow.set) return void(++ghosts_);
    if (flow.alarm.turns > 0) {
      --flow.alarm.turns;
      return wheel_.again(id, flow.alarm.slot);
    }
    if (scanner.at < flow.deadline) ++early_;
    // The pass before this one should have found it. A writer that was held up sets what is past.
    const Time due = std::max(flow.deadline, flow.set_at);
    if (scanner.at_before >= due + 2 * wheel_.interval()) ++late_;
    flow.set = false;
    ++fired_;
  }

  TimerBitmapWheel wheel_{{.flows = kFlows, .slots = kSlots, .regions = kRegions}, kStart};
  std::vector<Flow> flows_{kFlows};
  std::array<Scanner, kRegions> scanners_;
  std::atomic<int64_t> clock_ = 0;  // intervals since the start
  std::atomic<bool> done_ = false;
  std::atomic<uint64_t> sets_ = 0, cleared_ = 0, fired_ = 0, early_ = 0, late_ = 0, ghosts_ = 0;
};

TEST_F(Concurrent, EachTimerIsClearedOrComesUpOnceAndNeverEarly) {
  std::vector<std::thread> scanners, writers;
  for (uint32_t region = 0; region < kRegions; ++region)
    scanners.emplace_back([=, this] { scan(region); });
  for (uint32_t writer = 0; writer < kWriters; ++writer)
    writers.emplace_back([=, this] { write(writer); });
  for (std::thread& t : writers) t.join();
  done_ = true;
  for (std::thread& t : scanners) t.join();
  clock_ += 302;  // all deadlines are past
  for (uint32_t region = 0; region < kRegions; ++region) {
    scan(region);
    EXPECT_EQ(wheel_.next_deadline(region), std::nullopt);
  }
  EXPECT_EQ(early_.load(), 0u);
  EXPECT_EQ(late_.load(), 0u);
  EXPECT_EQ(ghosts_.load(), 0u);
  EXPECT_EQ(sets_.load(), cleared_.load() + fired_.load());
  EXPECT_GT(cleared_.load(), 0u);
  EXPECT_GT(fired_.load(), 0u);
  for (const Flow& flow : flows_) EXPECT_FALSE(flow.set);
}

}  // namespace
}  // namespace fairlead::nic
