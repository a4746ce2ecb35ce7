// Poller: epoll, edge-triggered, each descriptor registered once for everything.
//
// Edge-triggered means a Pollable must go on until its socket would block. One that stops earlier,
// to be fair to the others, asks for another turn with again().
#pragma once

#include <vector>

#include "base/time.h"
#include "base/unique_fd.h"

namespace fairlead::lab {

class Pollable {
 public:
  virtual ~Pollable() = default;
  /// Something may have become possible. May destroy this object, unless it called again(), but no
  /// other Pollable of the same Poller.
  virtual void on_ready() = 0;

 private:
  friend class Poller;
  bool has_turn_ = false;
};

class Poller {
 public:
  Poller();

  /// `pollable` must live until the descriptor is closed. False (errno) when the kernel refuses.
  bool add(const UniqueFd& fd, Pollable& pollable);
  /// Another turn in the next wait(), which will not sleep.
  void again(Pollable& pollable);

  /// Gives turns to what is ready; sleeps up to `timeout` when nothing is.
  void wait(Duration timeout);

 private:
  void give_turn(Pollable& pollable);

  UniqueFd epoll_;
  std::vector<Pollable*> turns_;
};

}  // namespace fairlead::lab
