// ContextDatabase: what is known of each connection, made, found and deleted by traffic alone.
//
//   first packet ──▶ create() ──▶ Context ── every packet: touch() ──▶ ... ── FIN, RST, SYN ──▶
//   erase()
//                       │                          └── silent for DelTimer ──▶ idle() ──▶ erase()
//                       └── full: nullptr, the packet takes the simple path
//
// Bound: `capacity` contexts; all memory is allocated at construction. Everything is O(1). The hash
// is keyed, so nobody can choose tuples that collide.
//
// DelTimer is restarted by every packet, and to move a timer would touch its neighbours' cache
// lines each time. So a packet only notes its time, and the timer, when it fires, looks at that and
// waits for the rest: a context's timer is armed once per DelTimer, however many packets there are.
#pragma once

#include <array>
#include <optional>

#include "base/hash_index.h"
#include "base/object_pool.h"
#include "base/timer_wheel.h"
#include "nic/aggregate/segment.h"

namespace fairlead::nic {

class Aggregate;

/// What a packet needs of its connection, in one cache line.
struct ContextState {
  ContextState(const ConnectionKey& k, SeqNum first) : key(k), next(first), after_old(first) {}

  ConnectionKey key;
  SeqNum next;                       // in order up to here: sequence number of the byte to come
  SeqNum after_old;                  // where the last segment of old data ended
  uint64_t last_packet_ns : 62 = 0;  // of Time: 146 years
  uint64_t alone_in_a_row : 2 = 0;   // see waited()
  Aggregate* aggregate = nullptr;    // what is being gathered

  Time last_packet() const { return Time(Duration(static_cast<int64_t>(last_packet_ns))); }

  /// Something was sent; in vain: one segment, which AgTimer had expired for.
  void waited(bool in_vain) {
    alone_in_a_row = !in_vain ? 0 : alone_in_a_row < kSparse ? alone_in_a_row + 1 : kSparse;
  }
  /// Waiting was in vain again and again.
  bool is_sparse() const { return alone_in_a_row == kSparse; }

 private:
  static constexpr unsigned kSparse = 2;
};
static_assert(sizeof(ContextState) == 64);

struct alignas(64) Context : ContextState, TimerNode {
  using ContextState::ContextState;
};

class ContextDatabase {
 public:
  struct Options {
    size_t capacity = 0;
    Duration del_timer{};
    SipKey secret;
  };
  ContextDatabase(const Options& options, Time now)
      : del_timer_(options.del_timer),
        pool_(options.capacity),
        index_(Hasher{options.secret}, options.capacity),
        timers_(now) {
    pool_.allocate_all();
  }
  ~ContextDatabase() {
    while (TimerNode* node = timers_.soonest()) erase(static_cast<Context&>(*node));
  }

  size_t size() const { return pool_.live(); }
  size_t capacity() const { return pool_.capacity(); }

  uint64_t hash_of(const ConnectionKey& key) const { return index_.hash_of(key); }
  Context* find(const ConnectionKey& key, uint64_t hash) const { return index_.find(key, hash); }

  // For bursts, one after the other: find() will read what they fetch.
  void prefetch_slot(uint64_t hash) const { index_.prefetch(hash); }
  void prefetch_context(uint64_t hash) const {
    if (const Context* context = index_.guess(hash)) __builtin_prefetch(context);
  }
  /// nullptr when the database is full. The key must not be in it.
  Context* create(const ConnectionKey& key, SeqNum next, Time now);
  /// A packet has come.
  void touch(Context& context, Time now) {
    context.last_packet_ns = static_cast<uint64_t>(now.time_since_epoch().count());
  }
  /// Nothing may be gathered of it any more.
  void erase(Context& context);

  /// Calls idle(Context&) for each whose DelTimer expires at or before `now`; it must erase it.
  template <typename Idle>
  void expire(Time now, Idle&& idle) {
    timers_.expire(now, [&](TimerNode& node) {
      auto& context = static_cast<Context&>(node);
      const Time end = context.last_packet() + del_timer_;
      if (end > now) {
        timers_.arm(context, end);
      } else {
        idle(context);
      }
    });
  }
  /// When expire() may have something to do; nothing when the database is empty.
  std::optional<Time> next_deadline() const { return timers_.next_deadline(); }

 private:
  static const ConnectionKey& key_of(const Context& context) { return context.key; }
  /// Of IPv4 only what is not the same for all: 16 bytes in place of 40.
  struct Hasher {
    SipKey secret;
    uint64_t operator()(const ConnectionKey& key) const {
      if (!key.tuple.local.address.is_v4()) return siphash13(secret, key);
      const std::array<uint64_t, 2> words{
          uint64_t{key.tuple.local.address.v4_value()} << 32 | key.tuple.remote.address.v4_value(),
          uint64_t{key.tuple.local.port} << 48 | uint64_t{key.tuple.remote.port} << 32 |
              uint64_t{key.outer_vlan} << 16 | key.inner_vlan};
      return siphash13(secret, words);
    }
  };

  Duration del_timer_;
  ObjectPool<Context> pool_;
  HashIndex<Context, ConnectionKey, key_of, Hasher> index_;
  TimerWheel timers_;
};

}  // namespace fairlead::nic
