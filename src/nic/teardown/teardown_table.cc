#include "nic/teardown/teardown_table.h"

#include <atomic>
#include <cstring>

#include "base/check.h"

namespace fairlead::nic {
namespace {

static_assert(sizeof(fl_teardown_entry) == 64);
static_assert(FL_TEARDOWN_TIME_WAIT - FL_TEARDOWN_FIN_WAIT_1 ==
              static_cast<int>(TeardownState::kTimeWait));

fl_teardown_tuple table_key(const FourTuple& tuple) {
  fl_teardown_tuple key;
  static_assert(sizeof(fl_address) == 16);
  std::memcpy(&key.local.address, tuple.local.address.bytes().data(), sizeof(fl_address));
  std::memcpy(&key.remote.address, tuple.remote.address.bytes().data(), sizeof(fl_address));
  key.local.port = tuple.local.port;
  key.remote.port = tuple.remote.port;
  return key;
}

std::atomic_ref<__u64> word_of(fl_teardown_entry& entry) {
  return std::atomic_ref<__u64>(entry.word);
}

uint64_t next_generation(uint64_t word) {
  return (word + FL_TEARDOWN_GENERATION) & FL_TEARDOWN_GENERATIONS;
}

TeardownNews news_of(uint64_t word) {
  const uint32_t state = fl_teardown_state_of(word);
  const bool closed = state == FL_TEARDOWN_TIME_WAIT || state == FL_TEARDOWN_CLOSED;
  return {.word = word & ~FL_TEARDOWN_AGAIN,
          .ts_recent = fl_teardown_ts_recent_of(word),
          .fin_acked = closed || state == FL_TEARDOWN_FIN_WAIT_2,
          .peer_closed = state >= FL_TEARDOWN_CLOSING,
          .closed_again = (word & FL_TEARDOWN_AGAIN) != 0};
}

}  // namespace

fl_teardown_entry* TeardownTable::reserve(const TeardownGift& gift) {
  const fl_teardown_tuple key = table_key(gift.tuple);
  const uint32_t bucket = fl_teardown_bucket_of(&key, options_.hash_seed,
                                                static_cast<uint32_t>(options_.buckets.size()));
  if (bucket / (options_.buckets.size() / options_.shards) != options_.shard) return nullptr;
  for (fl_teardown_entry& entry : options_.buckets[bucket].entries) {
    const uint64_t word = word_of(entry).load(std::memory_order_relaxed);
    if (fl_teardown_state_of(word) != FL_TEARDOWN_FREE) continue;
    word_of(entry).store(next_generation(word) | FL_TEARDOWN_HELD);
    entry.local = key.local.address;
    entry.remote = key.remote.address;
    entry.local_port = key.local.port;
    entry.remote_port = key.remote.port;
    entry.fin_seq = gift.fin_seq.value();
    entry.end = gift.end.value();
    entry.ts_offset = gift.ts_offset;
    entry.window = gift.window;
    entry.timestamps = gift.timestamps ? 1 : 0;
    return &entry;
  }
  return nullptr;
}

uint64_t TeardownTable::give(fl_teardown_entry& entry, const FlowState& state, Time until) {
  entry.until = static_cast<uint32_t>(until.time_since_epoch() / seconds(1));
  const uint64_t held = word_of(entry).load(std::memory_order_relaxed);
  CHECK(fl_teardown_state_of(held) == FL_TEARDOWN_HELD);
  const uint64_t word = uint64_t{state.ts_recent} << 32 | next_generation(held) |
                        (FL_TEARDOWN_FIN_WAIT_1 + static_cast<uint64_t>(state.state));
  word_of(entry).store(word, std::memory_order_release);
  return word;
}

TeardownNews TeardownTable::read(fl_teardown_entry& entry) {
  const uint64_t word = word_of(entry).load(std::memory_order_acquire);
  if ((word & FL_TEARDOWN_AGAIN) == 0) return news_of(word);
  return news_of(word_of(entry).fetch_and(~FL_TEARDOWN_AGAIN));
}

TeardownNews TeardownTable::take_back(fl_teardown_entry& entry) {
  // Nobody else writes the generation, so that this one is still the next.
  const uint64_t next = next_generation(word_of(entry).load(std::memory_order_relaxed));
  return news_of(word_of(entry).exchange(next | FL_TEARDOWN_HELD));
}

void TeardownTable::release(fl_teardown_entry& entry) {
  const uint64_t next = next_generation(word_of(entry).load(std::memory_order_relaxed));
  word_of(entry).store(next | FL_TEARDOWN_FREE);
}

}  // namespace fairlead::nic
