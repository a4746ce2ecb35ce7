#include "socket/shard.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>
#include <utility>

#include "base/check.h"

namespace fairlead {
namespace {

std::vector<port::PortInfo> infos(const std::vector<std::unique_ptr<port::Port>>& ports) {
  std::vector<port::PortInfo> result;
  for (const auto& port : ports) result.push_back(port->info());
  return result;
}

/// Negative: zero.
timespec timespec_of(Duration duration) {
  const Duration left = std::max(Duration::zero(), duration);
  return {.tv_sec = left / seconds(1), .tv_nsec = (left % seconds(1)).count()};
}

}  // namespace

Shard::Shard(const ShardOptions& options, std::vector<std::unique_ptr<port::Port>> ports,
             port::Router& router)
    : ports_(std::move(ports)),
      stack_(options.stack, router, infos(ports_), options.secrets, monotonic_now()),
      scheduler_(monotonic_now()),
      busy_poll_(options.busy_poll),
      coalesce_(options.coalesce),
      wake_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  CHECK(wake_.get() >= 0);
}

Shard::~Shard() = default;

std::vector<port::Port*> Shard::ports() const {
  std::vector<port::Port*> result;
  for (const auto& port : ports_) result.push_back(port.get());
  return result;
}

void Shard::watch(int fd, Call on_readable) { watches_.push_back({fd, std::move(on_readable)}); }

bool Shard::post(Call call) {
  {
    std::lock_guard lock(mutex_);
    if (posted_.size() >= kMaxPosted) {
      ++counters_.posts_refused;
      return false;
    }
    posted_.push_back(std::move(call));
  }
  uint64_t one = 1;
  return write(wake_.get(), &one, sizeof one) == sizeof one;
}

void Shard::stop() {
  stopping_ = true;
  uint64_t one = 1;
  // Can only fail when the counter is full, and then the loop is awake already.
  [[maybe_unused]] ssize_t n = write(wake_.get(), &one, sizeof one);
}

void Shard::run() {
  // The kernel lengthens a sleep by up to 50 us otherwise, to wake threads together.
  if (coalesce_ > Duration::zero()) prctl(PR_SET_TIMERSLACK, 1);
  while (!stopping_.load(std::memory_order_relaxed)) {
    const Time now = monotonic_now();
    rest(turn(now), now);
  }
}

bool Shard::rest(bool busy, Time now, Time until) {
  if (!busy && !busy_poll_) return wait(now, until);
  if (++turns_without_poll_ < kMaxTurnsWithoutPoll) return true;
  const timespec at_once{};
  return poll_fds(&at_once);
}

bool Shard::turn(Time now) {
  const bool busy = begin_turn(now);
  end_turn(now);
  return busy;
}

bool Shard::begin_turn(Time now) {
  ++counters_.turns;
  bool busy = run_posted();
  busy |= receive(now);
  return busy;
}

void Shard::end_turn(Time now) {
  stack_.dispatch_events();
  stack_.settle();
  transmit(now);
  stack_.end_burst();
  for (auto& port : ports_) port->release();
}

void Shard::close(nic::SunkSplices sunk) {
  scheduler_.cancel_all();
  stack_.reset_all(sunk);
  for (int i = 0; i < kCloseTries; ++i) {
    transmit(monotonic_now());
    if (kept_.empty()) return;
    usleep(static_cast<useconds_t>(kBusyRetry / microseconds(1)));
  }
}

bool Shard::receive(Time now) {
  std::array<port::RxPacket, kReceiveBurst> packets;
  size_t total = 0;
  for (size_t index = 0; index < ports_.size(); ++index) {
    size_t n = ports_[index]->receive(packets);
    for (size_t i = 0; i < n; ++i) {
      if (i % host::Stack::kExpected == 0) {
        stack_.expect(
            std::span(packets).first(n).subspan(i).first(std::min(n - i, host::Stack::kExpected)));
      }
      packets[i].port_index = static_cast<uint8_t>(index);
      stack_.on_packet(packets[i], now);
    }
    total += n;
  }
  if (total > 0) pause_is_due_ = true;
  // After this thread was kept from running, what a timer waits for is often in the queue: a probe
  // or retransmission would be spurious. Timers come when the queue is empty, or at the bound.
  turns_without_timers_ = total == 0 ? kMaxTurnsWithoutTimers : turns_without_timers_ + 1;
  if (turns_without_timers_ >= kMaxTurnsWithoutTimers) {
    stack_.on_timer(now);
    turns_without_timers_ = 0;
  }
  stack_.dispatch_events();
  scheduler_.run_ready(now);
  return total > 0;
}

void Shard::transmit(Time now) {
  if (!offer_kept()) return;
  bool more = true;
  while (more && kept_.empty()) {
    more = stack_.transmit(burst_, now);
    offer_burst();
    burst_.clear();
  }
}

bool Shard::offer_kept() {
  size_t sent = 0;
  for (; sent < kept_.size(); ++sent) {
    Kept& kept = kept_[sent];
    kept.packet.payload[0] = kept.payload;
    if (ports_[kept.packet.port_index]->transmit({&kept.packet, 1}) == 0) break;
  }
  kept_.erase(kept_.begin(), kept_.begin() + static_cast<ptrdiff_t>(sent));
  return kept_.empty();
}

void Shard::offer_burst() {
  std::span<const port::TxPacket> packets = burst_.packets();
  while (!packets.empty()) {
    // Runs of packets for one port go to it together.
    size_t run = 1;
    while (run < packets.size() && packets[run].port_index == packets[0].port_index) ++run;
    size_t taken = ports_[packets[0].port_index]->transmit(packets.first(run));
    if (taken < run) ++counters_.transmit_busy;
    for (const port::TxPacket& refused : packets.subspan(taken, run - taken)) {
      Kept& kept = kept_.emplace_back(Kept{refused, {}});
      kept.payload.reserve(refused.payload_size);
      for (size_t i = 0; i < refused.payload_count; ++i) {
        kept.payload.insert(kept.payload.end(), refused.payload[i].begin(),
                            refused.payload[i].end());
      }
      kept.packet.payload_count = refused.payload_size > 0 ? 1 : 0;
    }
    packets = packets.subspan(run);
  }
}

bool Shard::run_posted() {
  std::vector<Call> calls;
  {
    std::lock_guard lock(mutex_);
    calls.swap(posted_);
  }
  for (Call& call : calls) call();
  return !calls.empty();
}

std::optional<Time> Shard::next_deadline(Time now) const {
  if (!kept_.empty()) return now + kBusyRetry;
  std::optional<Time> next = stack_.next_deadline();
  if (auto other = scheduler_.next_deadline(); other && (!next || *other < *next)) next = other;
  return next;
}

bool Shard::wait(Time now, Time until) {
  std::optional<Time> deadline = next_deadline(now);
  if (until != Time::max() && (!deadline || until < *deadline)) deadline = until;
  if (std::exchange(pause_is_due_, false) && coalesce_ > Duration::zero()) {
    ++counters_.pauses;
    const timespec pause = timespec_of(deadline ? std::min(coalesce_, *deadline - now) : coalesce_);
    return ::nanosleep(&pause, nullptr) == 0;
  }
  const timespec timeout = timespec_of(deadline ? *deadline - now : Duration::zero());
  ++counters_.sleeps;
  return poll_fds(deadline ? &timeout : nullptr);
}

bool Shard::poll_fds(const timespec* timeout) {
  turns_without_poll_ = 0;
  std::vector<pollfd>& fds = poll_set_;
  fds.clear();
  fds.push_back({wake_.get(), POLLIN, 0});
  for (Watch& w : watches_) fds.push_back({w.fd, POLLIN, 0});
  for (auto& port : ports_) {
    if (port->poll_fd() >= 0) fds.push_back({port->poll_fd(), POLLIN, 0});
  }
  const int ready = ppoll(fds.data(), fds.size(), timeout, nullptr);
  if (ready <= 0) return ready == 0 || errno != EINTR;
  if (fds[0].revents != 0) {
    uint64_t count;
    [[maybe_unused]] ssize_t n = read(wake_.get(), &count, sizeof count);
  }
  for (size_t i = 0; i < watches_.size(); ++i) {
    if (fds[1 + i].revents != 0) watches_[i].on_readable();
  }
  return true;
}

}  // namespace fairlead
