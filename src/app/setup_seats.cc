#include "app/setup_seats.h"

#include <algorithm>
#include <utility>

namespace fairlead::app {

SetupSeats::SetupSeats(size_t shards, Tell tell) : tell_(std::move(tell)) {
  for (size_t shard = 0; shard < shards; ++shard) seats_.emplace_back(*this, shard);
}

void SetupSeats::listen(size_t shard, const nic::ListenMessage& message) {
  const auto has_value = [](const auto& entry) { return entry.has_value(); };
  const std::lock_guard lock(mutex_);
  Entries& entries = listeners_.try_emplace(message.endpoint, seats_.size()).first->second;
  const bool answered = std::ranges::all_of(entries, has_value);
  entries[shard] = message.listener;
  const bool answers = std::ranges::all_of(entries, has_value);
  if (answers || answered)
    tell_({.endpoint = message.endpoint, .listener = answers ? message.listener : std::nullopt});
  if (std::ranges::none_of(entries, has_value)) listeners_.erase(message.endpoint);
}

}  // namespace fairlead::app
