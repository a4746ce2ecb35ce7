// FlowHasher: the keyed hash of a connection's addresses (SipHash-1-3), for all tables of a stack.
//
// What happens to a packet asks for the same hash again and again: it is looked up in several
// tables, put into one, taken from another. Copies of a hasher share a memory of the latest hashes:
// 64 of them, 3 KiB, by ports; enough for a burst. Not for more than one thread.
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "base/siphash.h"
#include "wire/address.h"

namespace fairlead {

class FlowHasher {
 public:
  // NOLINTNEXTLINE(google-explicit-constructor)
  FlowHasher(SipKey secret) : memory_(std::make_shared<Memory>(secret)) {}

  uint64_t operator()(const FourTuple& tuple) const {
    Latest& latest = memory_->latest[(tuple.remote.port ^ tuple.local.port) % kLatest];
    if (latest.tuple != tuple) remember(latest, tuple);
    return latest.hash;
  }

 private:
  static constexpr size_t kLatest = 64;

  struct Latest {
    FourTuple tuple;
    uint64_t hash;
  };
  /// IPv4's addresses without what is the same in all of them. SipHash covers the length, so that
  /// one family's are not the other's.
  struct V4Tuple {
    uint32_t local, remote;
    uint16_t local_port, remote_port;
  };
  static uint64_t hash(const SipKey& key, const FourTuple& tuple) {
    const auto& [local, remote] = tuple;
    if (local.address.is_v6() || remote.address.is_v6()) return siphash13(key, tuple);
    return siphash13(
        key, V4Tuple{local.address.v4_value(), remote.address.v4_value(), local.port, remote.port});
  }
  struct Memory {
    explicit Memory(SipKey key) : secret(key) { latest.fill({{}, hash(key, {})}); }

    SipKey secret;
    std::array<Latest, kLatest> latest;
  };

  // By itself: what finds its hash remembered is inlined.
  [[gnu::noinline]] void remember(Latest& latest, const FourTuple& tuple) const {
    latest = {tuple, hash(memory_->secret, tuple)};
  }

  std::shared_ptr<Memory> memory_;
};

}  // namespace fairlead
