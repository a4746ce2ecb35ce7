// LoadReport: when a NIC stack tells the host how many connections it is closing, so that it gets
// fewer before it is full (Stack::teardown_share()).
//
// At each sixteenth of its table, a thousand times a second at most. Any message may be lost: while
// there is something to tell it is told again, and what was told holds for a while only.
#pragma once

#include <optional>

#include "nic/channel/channel.h"

namespace fairlead::nic {

class LoadReport {
 public:
  /// From then on the host takes the NIC stack for empty.
  static constexpr Duration kHolds = seconds(1);

  /// The message that is due.
  std::optional<LoadMessage> next(const LoadMessage& now_is, Time now) {
    const uint64_t level = uint64_t{kLevels} * now_is.closing / now_is.most;
    const Duration since = now - told_at_;
    const bool due = level != told_ ? since >= kApart : level > 0 && since >= kHolds / 4;
    if (!due) return std::nullopt;
    told_ = level;
    told_at_ = now;
    return now_is;
  }

 private:
  static constexpr uint32_t kLevels = 16;
  static constexpr Duration kApart = milliseconds(1);

  uint64_t told_ = 0;
  Time told_at_{};
};

}  // namespace fairlead::nic
