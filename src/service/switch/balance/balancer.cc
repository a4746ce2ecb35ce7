#include "service/switch/balance/balancer.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace fairlead::balance {
namespace {

// (active + 1) / weight of a, compared with that of b: exact, and no bigger than 64 bits.
bool less_loaded(const Server& a, const Server& b) {
  return (uint64_t{a.active()} + 1) * b.weight() < (uint64_t{b.active()} + 1) * a.weight();
}

std::string_view source_key(const IpAddress& source) {
  return {reinterpret_cast<const char*>(source.bytes().data()), source.bytes().size()};
}

std::string_view hash_key(const Schedule& schedule, const RequestFacts& facts) {
  std::string_view key;
  switch (schedule.hash_input) {
    case Schedule::HashInput::kSource:
      break;
    case Schedule::HashInput::kUri:
      key = target_path(facts.target);
      break;
    case Schedule::HashInput::kHeader:
      if (facts.headers) key = facts.headers->header(schedule.hash_name).value_or("");
      break;
    case Schedule::HashInput::kCookie:
      if (facts.headers) key = facts.headers->cookie(schedule.hash_name).value_or("");
      break;
  }
  return key.empty() ? source_key(facts.source) : key;
}

}  // namespace

Balancer::Balancer(Schedule schedule, Servers servers, uint64_t seed)
    : schedule_(std::move(schedule)),
      servers_(servers),
      rng_(seed),
      last_(servers.empty() ? uint16_t{0} : static_cast<uint16_t>(servers.size() - 1)),
      turn_(servers.size()) {
  CHECK(servers.size() <= kMaxServers);
  CHECK(schedule_.algorithm != Schedule::Algorithm::kHash ||
        servers.size() <= MaglevTable::kMaxServers);
  candidates_.reserve(servers.size());
}

Server* Balancer::choose(const RequestFacts& facts, std::span<const Server* const> tried) {
  bool backup = false;
  if (!collect_candidates(backup, tried)) {
    backup = true;
    if (!collect_candidates(backup, tried)) return nullptr;
  }
  switch (schedule_.algorithm) {
    case Schedule::Algorithm::kRoundRobin:
      last_ = next_in_turn();
      break;
    case Schedule::Algorithm::kWeightedRoundRobin:
      last_ = smooth_weighted();
      break;
    case Schedule::Algorithm::kLeastConnections:
      last_ = least_loaded(false);
      break;
    case Schedule::Algorithm::kWeightedLeastConnections:
      last_ = least_loaded(true);
      break;
    case Schedule::Algorithm::kPowerOfTwoChoices:
      last_ = better_of_two();
      break;
    case Schedule::Algorithm::kHash:
      last_ = by_hash(facts, backup);
      break;
  }
  return servers_[last_].get();
}

bool Balancer::collect_candidates(bool backup, std::span<const Server* const> tried) {
  candidates_.clear();
  for (size_t i = 0; i < servers_.size(); ++i) {
    const Server& server = *servers_[i];
    if (server.backup() != backup || !server.available() || server.full()) continue;
    if (std::ranges::find(tried, &server) != tried.end()) continue;
    candidates_.push_back(static_cast<uint16_t>(i));
  }
  return !candidates_.empty();
}

uint16_t Balancer::next_in_turn() const {
  const auto next = std::ranges::upper_bound(candidates_, last_);
  return next == candidates_.end() ? candidates_.front() : *next;
}

// Everyone's turn comes nearer by its weight; who is nearest is chosen and steps back by the sum of
// weights. Over a round of that many choices each is chosen weight times.
uint16_t Balancer::smooth_weighted() {
  int64_t sum = 0;
  uint16_t best = candidates_.front();
  for (const uint16_t i : candidates_) {
    sum += servers_[i]->weight();
    turn_[i] += servers_[i]->weight();
    if (turn_[i] > turn_[best]) best = i;
  }
  turn_[best] -= sum;
  return best;
}

uint16_t Balancer::least_loaded(bool weighted) const {
  // Starting at whose turn it is makes equals take turns.
  const auto start = std::ranges::find(candidates_, next_in_turn());
  uint16_t best = *start;
  const auto consider = [&](uint16_t i) {
    const Server& server = *servers_[i];
    const Server& least = *servers_[best];
    if (weighted ? less_loaded(server, least) : server.active() < least.active()) best = i;
  };
  std::for_each(start, candidates_.end(), consider);
  std::for_each(candidates_.begin(), start, consider);
  return best;
}

uint16_t Balancer::better_of_two() {
  const size_t n = candidates_.size();
  const size_t first = rng_.below(n);
  if (n == 1) return candidates_.front();
  const size_t second = (first + 1 + rng_.below(n - 1)) % n;  // any but the first
  const uint16_t a = candidates_[first], b = candidates_[second];
  return less_loaded(*servers_[b], *servers_[a]) ? b : a;
}

uint16_t Balancer::by_hash(const RequestFacts& facts, bool backup) {
  const MaglevTable& table = current_table(backup);
  // Ends: a candidate is available, so it is in the table, and whoever is there has an entry.
  for (uint64_t entry = stable_hash(hash_key(schedule_, facts)) % MaglevTable::kEntries;; ++entry) {
    const uint16_t i = table.at(entry);
    if (std::ranges::binary_search(candidates_, i)) return i;
  }
}

// The table over all servers available now, built anew when these are not those it was built of.
const MaglevTable& Balancer::current_table(bool backup) {
  Table& table = tables_[backup ? 1 : 0];
  const auto wanted = [&](size_t i) {
    return servers_[i]->backup() == backup && servers_[i]->available();
  };
  bool same = table.members.size() == servers_.size();
  for (size_t i = 0; same && i < servers_.size(); ++i) same = table.members[i] == wanted(i);
  if (same) return table.maglev;

  table.members.assign(servers_.size(), false);
  std::vector<MaglevTable::Member> members;
  for (size_t i = 0; i < servers_.size(); ++i) {
    if (!wanted(i)) continue;
    table.members[i] = true;
    members.push_back({.name = servers_[i]->name(),
                       .weight = servers_[i]->weight(),
                       .id = static_cast<uint16_t>(i)});
  }
  table.maglev.build(members);
  return table.maglev;
}

}  // namespace fairlead::balance
