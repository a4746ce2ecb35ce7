#include "service/switch/balance/maglev.h"

#include <algorithm>

#include "base/check.h"
#include "base/siphash.h"

namespace fairlead::balance {
namespace {

// Any three different keys would do, but they can never change: every client would be given
// another server. These are the bytes of "fairlead", and a number for the use.
constexpr uint64_t kName = 0x6661'6972'6c65'6164;
constexpr SipKey kRequestKey{.k0 = kName, .k1 = 1};
constexpr SipKey kOffsetKey{.k0 = kName, .k1 = 2};
constexpr SipKey kSkipKey{.k0 = kName, .k1 = 3};

constexpr uint16_t kFree = UINT16_MAX;

uint64_t hash(const SipKey& key, std::string_view text) {
  return siphash13(key, ByteSpan(reinterpret_cast<const uint8_t*>(text.data()), text.size()));
}

// A server's walk through its preference list: offset, offset + skip, … modulo the table's size,
// which visits every entry once because the size is prime.
struct Claimant {
  MaglevTable::Member member;
  size_t next;
  size_t skip;
  uint32_t credit = 0;  // less than the heaviest weight after every round

  explicit Claimant(const MaglevTable::Member& m)
      : member(m),
        next(hash(kOffsetKey, m.name) % MaglevTable::kEntries),
        skip(hash(kSkipKey, m.name) % (MaglevTable::kEntries - 1) + 1) {}

  void claim(std::vector<uint16_t>& entries) {
    while (entries[next] != kFree) next = (next + skip) % MaglevTable::kEntries;
    entries[next] = member.id;
  }
};

}  // namespace

void MaglevTable::build(std::span<const Member> members) {
  CHECK(members.size() <= kMaxServers);
  entries_.clear();
  if (members.empty()) return;
  std::vector<Claimant> claimants(members.begin(), members.end());
  std::ranges::sort(claimants, {}, [](const Claimant& c) { return c.member.name; });
  const uint32_t heaviest = std::ranges::max(members, {}, &Member::weight).weight;

  entries_.assign(kEntries, kFree);
  size_t free = kEntries;
  while (true) {
    for (Claimant& claimant : claimants) {
      claimant.credit += claimant.member.weight;
      if (claimant.credit < heaviest) continue;
      claimant.credit -= heaviest;
      claimant.claim(entries_);
      if (--free == 0) return;
    }
  }
}

uint64_t stable_hash(std::string_view key) { return hash(kRequestKey, key); }

}  // namespace fairlead::balance
