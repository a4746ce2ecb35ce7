// HealthState: whether a server is up, from the outcomes of its health checks.
//
//            fall failures in a row
//      UP ─────────────────────────▶ DOWN
//         ◀─────────────────────────
//            rise successes in a row
//
// An outcome that agrees with the state starts the count anew, so a server that fails every second
// check stays what it is. Begins up: a restart of the switch must not refuse everybody until the
// first checks are done.
#pragma once

#include <cstdint>

namespace fairlead::balance {

class HealthState {
 public:
  struct Thresholds {
    uint32_t rise = 2;  // both at least 1
    uint32_t fall = 3;
  };

  explicit HealthState(Thresholds thresholds) : thresholds_(thresholds) {}

  bool up() const { return up_; }

  void assume_down() { up_ = false; }
  /// Takes in one check's outcome. True when it changed up().
  bool report(bool ok) {
    if (ok == up_) {
      against_ = 0;
      return false;
    }
    ++against_;
    if (against_ < (up_ ? thresholds_.fall : thresholds_.rise)) return false;
    up_ = ok;
    against_ = 0;
    return true;
  }

 private:
  Thresholds thresholds_;
  bool up_ = true;
  uint32_t against_ = 0;  // outcomes in a row that contradict up_
};

}  // namespace fairlead::balance
