// MaglevTable: consistent hashing after Eisenbud et al., "Maglev: A Fast and Reliable Software
// Network Load Balancer", NSDI '16, §3.4.
//
// Every server has a preference list of its own, a permutation of the table's entries computed from
// its name. Servers take turns, each claiming the first entry of its list that is still free, until
// the table is full. So each gets a share that is even to within an entry, and when one server
// leaves, few entries other than its own change hands.
//
// Weights: a server's n-th turn comes at time n / weight, in a round at a time of one turn of the
// heaviest; a server of weight 2 beside one of weight 4 claims in every second round.
//
// The table depends on nothing but names and weights: not on their order, the time, the machine or
// a random number. Several switches with one configuration therefore agree, and a restart keeps
// every client where it was. The key is fixed for that reason; who picks his own source port or URI
// can pick his server, as with every consistent hash that several machines share.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace fairlead::balance {

class MaglevTable {
 public:
  /// Prime; filling the table takes some milliseconds, once per change.
  static constexpr size_t kEntries = 65537;
  /// When one of N equal servers leaves, this many times 1/N of the entries change hands
  /// (measured): 1.0 for N = 3 and 10, 1.2 for 50, 1.3 for 64, 1.6 for 100, 6 for 512. A table ten
  /// times as large would bear 256, and hold up the shard for 60 ms at each change.
  static constexpr size_t kMaxServers = 64;

  struct Member {
    std::string_view name;
    uint32_t weight = 1;  // at least 1
    uint16_t id = 0;      // what entries hold
  };

  /// Fills the table. At most kMaxServers members, names all different; none leaves it empty.
  void build(std::span<const Member> members);

  bool empty() const { return entries_.empty(); }
  /// Whose entry it is. The table must not be empty.
  uint16_t at(size_t entry) const { return entries_[entry % kEntries]; }

 private:
  std::vector<uint16_t> entries_;  // empty or kEntries
};

/// The hash of a key's bytes, the same on every machine.
uint64_t stable_hash(std::string_view key);

}  // namespace fairlead::balance
