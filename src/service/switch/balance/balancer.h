// Balancer: which server of a pool takes the next connection or request.
//
//   rr    each in turn
//   wrr   each in turn, in proportion to its weight, and evenly mixed: a b a c a, not a a a b c
//         (the smooth weighted round robin of nginx)
//   lc    the one with the fewest connections
//   wlc   likewise in proportion to its weight
//   p2c   two at random, of these the one less loaded (Mitzenmacher, "The Power of Two Choices in
//         Randomized Load Balancing", 2001). With many shards or switches, each of which sees only
//         its own connections, this does not send everything to one server at once, as lc would
//   hash  by a property of the request, so that equal requests meet the same server (maglev.h)
//
// Load is (connections + 1) / weight: what it would be with the new one. Among equals lc and wlc go
// round, or a server in front would take all of a quiet pool's requests.
//
// A server is a candidate if it is enabled, up, below its max_connections, and was not tried before
// for the same request. Backups are candidates while no primary is. Hashing skips a server that is
// full or was tried by walking on in the table, so only its own requests move, and only while it
// lasts.
//
// Balancers share nothing: each shard has one per pool, and knows the connections of its own shard.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/random.h"
#include "service/switch/balance/maglev.h"
#include "service/switch/balance/request_facts.h"
#include "service/switch/balance/server.h"

namespace fairlead::balance {

struct Schedule {
  enum class Algorithm : uint8_t {
    kRoundRobin,
    kWeightedRoundRobin,
    kLeastConnections,
    kWeightedLeastConnections,
    kPowerOfTwoChoices,
    kHash,
  };
  /// What kHash hashes. A request without it is hashed by its source.
  enum class HashInput : uint8_t { kSource, kUri, kHeader, kCookie };

  Algorithm algorithm = Algorithm::kRoundRobin;
  HashInput hash_input = HashInput::kSource;
  std::string hash_name{};  // of the header or cookie
};

class Balancer {
 public:
  using Servers = std::span<const std::unique_ptr<Server>>;

  /// Every choice looks at all servers of a pool.
  static constexpr size_t kMaxServers = 512;

  /// At most kMaxServers servers, MaglevTable::kMaxServers with kHash; they outlive the balancer.
  /// `seed` is for p2c.
  Balancer(Schedule schedule, Servers servers, uint64_t seed);

  /// Null when no server is a candidate. `tried`: those that failed for this request already.
  Server* choose(const RequestFacts& facts, std::span<const Server* const> tried = {});

 private:
  bool collect_candidates(bool backup, std::span<const Server* const> tried);
  uint16_t next_in_turn() const;
  uint16_t smooth_weighted();
  uint16_t least_loaded(bool weighted) const;
  uint16_t better_of_two();
  uint16_t by_hash(const RequestFacts& facts, bool backup);
  const MaglevTable& current_table(bool backup);

  struct Table {
    MaglevTable maglev;
    std::vector<bool> members;  // by index: was available when the table was built
  };

  const Schedule schedule_;
  const Servers servers_;
  Rng rng_;
  std::vector<uint16_t> candidates_;  // indexes, ascending; kept for its memory
  uint16_t last_;                     // chosen most recently; before the first: the last of all
  std::vector<int64_t> turn_;         // of smooth_weighted(), by index
  std::array<Table, 2> tables_;       // of primaries and backups
};

}  // namespace fairlead::balance
