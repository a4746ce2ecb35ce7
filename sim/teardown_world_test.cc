// Seeds of adverse worlds for teardown. FAIRLEAD_SEEDS sets how many (default 1,000), FAIRLEAD_SEED
// runs one.
#include "sim/teardown_world.h"

#include <gtest/gtest.h>

#include <cstdlib>

namespace fairlead::sim {
namespace {

uint64_t from_environment(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text != nullptr ? std::strtoull(text, nullptr, 10) : otherwise;
}

TEST(TeardownWorld, EveryAnswerArrivesOnceAndEveryFlowDrains) {
  uint64_t first = 1, last = from_environment("FAIRLEAD_SEEDS", 1000);
  if (uint64_t one = from_environment("FAIRLEAD_SEED", 0)) first = last = one;
  uint64_t connections = 0, delivered = 0, timed_out = 0, reset_for_data = 0, time_waits = 0;
  for (uint64_t seed = first; seed <= last; ++seed) {
    const TeardownWorldResult r = run_teardown_world(seed);
    ASSERT_EQ(r.failure, "") << "FAIRLEAD_SEED=" << seed;
    connections += r.connections;
    delivered += r.delivered;
    timed_out += r.counters.timed_out;
    reset_for_data += r.counters.reset_for_data;
    time_waits += r.counters.time_wait_entered;
  }
  RecordProperty("connections", static_cast<int>(connections));
  RecordProperty("delivered", static_cast<int>(delivered));
  if (first == last) return;
  // One in five may be reset by its manner.
  EXPECT_GE(delivered * 10, connections * 7);
  EXPECT_LE(timed_out * 100, connections) << "giving up should be rare";
  EXPECT_GT(reset_for_data, 0u);
  EXPECT_GT(time_waits * 4, connections);
}

TEST(TeardownWorld, ARunIsAFunctionOfItsSeed) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    EXPECT_EQ(run_teardown_world(seed).hash, run_teardown_world(seed).hash) << seed;
  }
}

}  // namespace
}  // namespace fairlead::sim
