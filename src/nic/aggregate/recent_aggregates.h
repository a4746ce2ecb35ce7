// RecentAggregates: which aggregate a frame probably goes on with, told from a few cheap bits of
// its headers: no keyed hash, no look-up in the database.
//
// It is a hint. The aggregate may be another connection's by now, or none's, and anybody can aim at
// a slot: whoever asks compares the headers. Of those with the same slot the last one has it.
#pragma once

#include <bit>
#include <cstring>
#include <vector>

#include "base/bytes.h"
#include "nic/aggregate/segment.h"
#include "wire/ethernet.h"
#include "wire/ipv4.h"
#include "wire/ipv6.h"

namespace fairlead::nic {

class Aggregate;

class RecentAggregates {
 public:
  /// 0 slots: it knows none. Else they are a power of two.
  explicit RecentAggregates(size_t slots) : slots_(slots) {}

  /// Of a frame's addresses and ports, or 0: it is too short, or not IP.
  static uint64_t bits_of(ByteSpan frame);

  Aggregate* find(uint64_t bits) const {
    if (bits == 0 || slots_.empty()) return nullptr;
    const Slot& slot = slots_[index_of(bits)];
    return slot.bits == bits ? slot.aggregate : nullptr;
  }
  void put(uint64_t bits, Aggregate& aggregate) {
    if (bits != 0 && !slots_.empty()) slots_[index_of(bits)] = {bits, &aggregate};
  }

 private:
  struct Slot {
    uint64_t bits = 0;
    Aggregate* aggregate = nullptr;
  };

  /// The upper half is mixed best, see bits_of().
  size_t index_of(uint64_t bits) const { return bits >> 32 & (slots_.size() - 1); }

  std::vector<Slot> slots_;
};

inline uint64_t RecentAggregates::bits_of(ByteSpan frame) {
  if (frame.size() < Segment::kMaxHeaders) return 0;
  const auto ethernet = wire::EthernetView::checked(frame);
  if (!ethernet) return 0;
  const uint8_t* ip = frame.data() + ethernet->header_size();
  const auto word_at = [&](size_t offset) {
    uint64_t word;
    std::memcpy(&word, ip + offset, sizeof word);
    return word;
  };
  uint64_t addresses;
  size_t tcp;
  if (ethernet->type() == wire::ether_type::kIpv4) {
    addresses = word_at(12);
    tcp = sizeof(wire::Ipv4Header);
  } else if (ethernet->type() == wire::ether_type::kIpv6) {
    addresses = word_at(8) ^ std::rotl(word_at(16), 16) ^ std::rotl(word_at(24), 32) ^ word_at(32);
    tcp = sizeof(wire::Ipv6Header);
  } else {
    return 0;
  }
  uint32_t ports;
  std::memcpy(&ports, ip + tcp, sizeof ports);
  // 2^64 divided by the golden ratio (Knuth 6.4): of a product the upper bits are the mixed ones.
  constexpr uint64_t kSpread = 0x9e3779b97f4a7c15;
  return (addresses ^ std::rotl(ports * kSpread, 32)) * kSpread;
}

}  // namespace fairlead::nic
