// Shard: one core's share. Ports, a host stack, a scheduler, and the loop that runs them:
//
//   receive burst → stack input → run ready coroutines → stack output → transmit burst
//
// to completion, and when there is nothing to do a sleep in poll() until a packet, the next
// deadline or a posted call. Shards share nothing; post() is how another thread talks to one.
//
// When a port has no room, the tail of the burst it refused is kept, copied, and offered again
// before anything new is asked from the stack: a full send buffer is no reason for TCP to see loss.
#pragma once

#include <poll.h>

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "base/unique_fd.h"
#include "host/stack.h"
#include "port/port.h"
#include "socket/scheduler.h"
#include "socket/tcp_socket.h"

namespace fairlead {

struct ShardOptions {
  host::StackConfig stack;
  host::Secrets secrets;
  bool busy_poll = false;  // never sleep
  /// After packets, when no more wait: asleep for this long, whatever comes. Packets then come in
  /// bursts, and none of them wakes the thread, at the price of that latency. Zero: woken at once.
  Duration coalesce = Duration::zero();
};

struct ShardCounters {
  uint64_t turns = 0;
  uint64_t sleeps = 0;         // until something comes
  uint64_t pauses = 0;         // of ShardOptions::coalesce
  uint64_t transmit_busy = 0;  // bursts a port did not take whole
  uint64_t posts_refused = 0;
};

class Shard {
 public:
  using Call = std::move_only_function<void()>;
  static constexpr size_t kMaxPosted = 4096;

  /// Ports by port_index. `router` is used by this shard's thread only.
  Shard(const ShardOptions& options, std::vector<std::unique_ptr<port::Port>> ports,
        port::Router& router);
  ~Shard();

  host::Stack& stack() { return stack_; }
  const host::Stack& stack() const { return stack_; }
  Scheduler& scheduler() { return scheduler_; }
  Runtime runtime() { return {stack_, scheduler_}; }
  std::vector<port::Port*> ports() const;
  const ShardCounters& counters() const { return counters_; }

  /// Also waits for `fd`, and calls `on_readable` in the loop when it is.
  void watch(int fd, Call on_readable);

  /// Runs `call` in the loop, soon. Any thread. False at the bound.
  bool post(Call call);
  /// Makes run() return. Any thread, and signal handlers.
  void stop();
  void run();

  /// One turn. True when there was a packet or a call.
  bool turn(Time now);
  /// The same in two halves, for what is done between the two as coroutines do it in the first: who
  /// reads then reads in the packet that it came in, and what is written leaves in the second.
  bool begin_turn(Time now);
  void end_turn(Time now);
  /// Between turns: sleeps until there is something to do, `until` at the latest; after a busy
  /// turn, or with busy_poll, it looks at most at what is watched. False: a signal came.
  bool rest(bool busy, Time now, Time until = Time::max());
  /// The end, after run() has returned: cancels all coroutines, resets the connections that are
  /// left, and sends that. Nothing may be spawned afterwards.
  void close(nic::SunkSplices sunk = nic::SunkSplices::kReset);

 private:
  static constexpr size_t kReceiveBurst = 64;
  static constexpr unsigned kMaxTurnsWithoutTimers = 16;  // of some 10 us each, under full load
  static constexpr unsigned kMaxTurnsWithoutPoll = 64;    // what is watched must not starve
  static constexpr int kCloseTries = 20'000;              // of kBusyRetry each, when a port is busy
  static constexpr Duration kBusyRetry = microseconds(50);

  struct Watch {
    int fd;
    Call on_readable;
  };
  /// A refused packet with its payload.
  struct Kept {
    port::TxPacket packet;
    std::vector<uint8_t> payload;
  };

  bool receive(Time now);
  void transmit(Time now);
  bool offer_kept();
  void offer_burst();
  bool run_posted();
  std::optional<Time> next_deadline(Time now) const;
  bool wait(Time now, Time until);
  bool poll_fds(const timespec* timeout);

  std::vector<std::unique_ptr<port::Port>> ports_;
  host::Stack stack_;
  Scheduler scheduler_;
  bool busy_poll_;
  Duration coalesce_;
  bool pause_is_due_ = false;  // packets have come since the last
  port::PacketBurst burst_;
  std::vector<Kept> kept_;
  unsigned turns_without_timers_ = 0;
  unsigned turns_without_poll_ = 0;
  std::vector<Watch> watches_;
  std::vector<pollfd> poll_set_;
  UniqueFd wake_;
  std::atomic<bool> stopping_ = false;
  std::mutex mutex_;  // guards posted_
  std::vector<Call> posted_;
  ShardCounters counters_;
};

}  // namespace fairlead
