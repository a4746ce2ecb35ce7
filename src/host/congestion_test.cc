#include "host/congestion.h"

#include <gtest/gtest.h>

#include <cmath>

namespace fairlead::host {
namespace {

constexpr uint32_t kMss = 1000;

AckSample ack(uint32_t bytes, Time now, bool limited = true) {
  return {.acked = bytes,
          .cwnd_limited = limited,
          .ack = SeqNum(0),
          .nxt = SeqNum(0),
          .rtt = {},
          .srtt = milliseconds(100),
          .now = now};
}

CongestionControl started(CongestionAlgorithm algorithm) {
  CongestionControl cc;
  cc.start(algorithm, kMss, SeqNum(0));
  return cc;
}

TEST(CongestionControl, BeginsWithTenSegments) {  // RFC 6928
  EXPECT_EQ(started(CongestionAlgorithm::kCubic).cwnd(), 10 * kMss);
  CongestionControl jumbo;
  jumbo.start(CongestionAlgorithm::kCubic, 9000, SeqNum(0));
  EXPECT_EQ(jumbo.cwnd(), 18000u);
}

TEST(CongestionControl, SlowStartDoublesInARoundTrip) {
  CongestionControl cc = started(CongestionAlgorithm::kNewReno);
  for (int i = 0; i < 10; ++i) cc.on_ack(ack(kMss, Time{}));
  EXPECT_EQ(cc.cwnd(), 20 * kMss);
}

TEST(CongestionControl, AWindowThatWasNotUsedDoesNotGrow) {  // RFC 7661
  CongestionControl cc = started(CongestionAlgorithm::kNewReno);
  for (int i = 0; i < 10; ++i) cc.on_ack(ack(kMss, Time{}, false));
  EXPECT_EQ(cc.cwnd(), 10 * kMss);
}

TEST(NewRenoTest, HalvesAndThenGrowsASegmentARoundTrip) {  // RFC 5681 §3.1
  CongestionControl cc = started(CongestionAlgorithm::kNewReno);
  cc.on_congestion_event(20 * kMss);
  cc.on_recovery_exit();
  EXPECT_EQ(cc.cwnd(), 10 * kMss);
  for (int i = 0; i < 10; ++i) cc.on_ack(ack(kMss, Time{}));
  EXPECT_EQ(cc.cwnd(), 11 * kMss);
}

TEST(CubicTest, ReturnsToItsOldWindowAfterKSeconds) {  // RFC 9438 §4.2
  CongestionControl cc = started(CongestionAlgorithm::kCubic);
  for (int i = 0; i < 990; ++i) cc.on_ack(ack(kMss, Time{}));
  ASSERT_EQ(cc.cwnd(), 1000 * kMss);
  cc.on_congestion_event(1000 * kMss);
  cc.on_recovery_exit();
  EXPECT_EQ(cc.cwnd(), 700 * kMss);
  double k = std::cbrt(300 / 0.4);
  Time now{seconds(1)};
  Time end = now + Duration(static_cast<int64_t>(k * 1e9));
  while (now < end) {  // one window's ACKs per round trip of 100 ms
    for (int i = 0; i < 10; ++i) cc.on_ack(ack(cc.cwnd() / 10, now));
    now += milliseconds(100);
  }
  EXPECT_NEAR(cc.cwnd(), 1000 * kMss, 20 * kMss);
}

TEST(CongestionControl, ATimeoutLeavesOneSegmentAndUndoGivesTheWindowBack) {
  CongestionControl cc = started(CongestionAlgorithm::kCubic);
  cc.on_timeout(10 * kMss, true);
  EXPECT_EQ(cc.cwnd(), kMss);
  EXPECT_EQ(cc.ssthresh(), 7 * kMss);
  cc.undo(SeqNum(0));
  EXPECT_EQ(cc.cwnd(), 10 * kMss);
  EXPECT_FALSE(cc.ssthresh() < 10 * kMss);
}

}  // namespace
}  // namespace fairlead::host
