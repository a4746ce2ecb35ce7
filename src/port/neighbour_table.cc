#include "port/neighbour_table.h"

#include <cstring>

namespace fairlead::port {
namespace {

/// The kernel itself repeats a request once a second (RFC 4861 §10, RETRANS_TIMER).
constexpr Duration kResolveInterval = seconds(1);
/// The kernel's reachable time (RFC 4861 §10, REACHABLE_TIME): what is in use gets confirmed about
/// as often as it would be were it the kernel's own traffic.
constexpr Duration kConfirmInterval = seconds(30);

bool is_usable(NeighbourState state) {
  return state == NeighbourState::kReachable || state == NeighbourState::kStale;
}

}  // namespace

size_t NeighbourTable::KeyHash::operator()(const Key& key) const {
  uint64_t words[2];
  std::memcpy(words, key.address.bytes().data(), sizeof words);
  const uint64_t mixed = (words[0] ^ words[1] * 0x9e3779b97f4a7c15u) * 0xbf58476d1ce4e5b9u;
  return static_cast<size_t>(mixed >> 7) ^ static_cast<size_t>(key.interface_index);
}

NeighbourTable::Entry* NeighbourTable::find_or_add(const Key& key) {
  const auto found = entries_.find(key);
  if (found != entries_.end()) return &found->second;
  if (entries_.size() >= capacity_) {
    ++overflows_;
    return nullptr;
  }
  return &entries_[key];
}

void NeighbourTable::solicit(const Key& key, Entry& entry, Time now, Duration interval) {
  if (entry.asked && now - *entry.asked < interval) return;
  entry.asked = now;
  solicit_(key);
}

Result<MacAddress> NeighbourTable::resolve(const Key& key, Time now) {
  Entry* entry = find_or_add(key);
  if (entry == nullptr) return fail(Errc::kHostUnreachable);
  switch (entry->state) {
    case NeighbourState::kStale:
      solicit(key, *entry, now, kConfirmInterval);
      [[fallthrough]];
    case NeighbourState::kReachable:
      entry->given_out = true;
      return entry->mac;
    case NeighbourState::kUnknown:
      entry->awaited = true;
      solicit(key, *entry, now, kResolveInterval);
      return fail(Errc::kWouldBlock);
    case NeighbourState::kFailed:
      // Asking again starts the kernel's own three tries anew.
      entry->awaited = true;
      solicit(key, *entry, now, kResolveInterval);
      return fail(Errc::kHostUnreachable);
  }
  return fail(Errc::kHostUnreachable);
}

NeighbourTable::Effect NeighbourTable::update(const NeighbourMessage& message) {
  const Key key{message.interface_index, message.address};
  if (message.removed) {
    const auto found = entries_.find(key);
    if (found == entries_.end()) return Effect::kNone;
    const bool relied_on = found->second.given_out;
    entries_.erase(found);
    return relied_on ? Effect::kPathsChanged : Effect::kNone;
  }
  Entry* entry = find_or_add(key);
  if (entry == nullptr) return Effect::kNone;
  const bool was_usable = is_usable(entry->state);
  const bool usable = is_usable(message.state);
  const bool changed = was_usable != usable || (usable && entry->mac != message.mac);
  const bool relied_on = entry->given_out || entry->awaited;
  entry->state = message.state;
  if (usable) entry->mac = message.mac;
  if (changed) {
    entry->given_out = entry->awaited = false;
    return relied_on ? Effect::kPathsChanged : Effect::kNone;
  }
  const bool stale = message.state == NeighbourState::kStale && entry->given_out;
  return stale ? Effect::kPathsStale : Effect::kNone;
}

void NeighbourTable::forget_states() {
  std::erase_if(entries_, [](const auto& item) { return !item.second.awaited; });
  for (auto& [key, entry] : entries_) entry.state = NeighbourState::kUnknown;
}

}  // namespace fairlead::port
