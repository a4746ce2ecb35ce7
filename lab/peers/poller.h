// Poller: epoll, edge-triggered.
//
// Edge-triggered means a Pollable must go on until its socket would block. One that stops earlier,
// to be fair to the others, asks for another turn with again(). A read that got less than it had
// room for would block, unless must_drain() (epoll(7), "Questions and answers").
#pragma once

#include <cstdint>
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

 protected:
  /// The peer has closed, the connection broke, or there was urgent data, at which a read stops: no
  /// other event will tell of what is still unread.
  bool must_drain() const { return must_drain_; }

 private:
  friend class Poller;
  bool must_drain_ = false;
  bool has_turn_ = false;
};

enum class Interest : uint8_t { kNone, kInput, kBoth };

class Poller {
 public:
  Poller();

  /// `pollable` must live until the descriptor is closed. What is ready already is an event, too.
  /// False (errno) when the kernel refuses.
  bool add(const UniqueFd& fd, Pollable& pollable, Interest interest = Interest::kBoth);
  /// Of one that was added.
  bool change(const UniqueFd& fd, Pollable& pollable, Interest interest);
  /// Another turn in the next wait(), which will not sleep.
  void again(Pollable& pollable);

  /// Gives turns to what is ready; sleeps up to `timeout` when nothing is.
  void wait(Duration timeout);

 private:
  bool control(int operation, const UniqueFd& fd, Pollable& pollable, Interest interest);
  void give_turn(Pollable& pollable);

  UniqueFd epoll_;
  std::vector<Pollable*> turns_;
  std::vector<Pollable*> now_;  // of wait(); kept for its memory
};

}  // namespace fairlead::lab
