// NeighbourTable: link addresses of the hosts on our links, as the kernel knows them, and which of
// them the host stack relies on.
//
// The kernel resolves (ARP, neighbour discovery) and tells; we ask it to when a packet needs an
// address. An entry that was given out has to be watched: when it changes, vanishes or goes stale,
// the paths made with it have to be asked for again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <unordered_map>

#include "base/result.h"
#include "base/time.h"
#include "port/netlink_messages.h"
#include "wire/address.h"

namespace fairlead::port {

class NeighbourTable {
 public:
  struct Key {
    int interface_index = 0;
    IpAddress address;
    friend bool operator==(const Key&, const Key&) = default;
  };
  /// What a kernel message means to paths given out earlier.
  enum class Effect : uint8_t {
    kNone,
    kPathsChanged,  // an address given out, or waited for, is another one now
    kPathsStale,    // an address given out has not been confirmed for a while
  };
  /// Asks the kernel to resolve or confirm a neighbour, without waiting.
  using Solicit = std::function<void(const Key&)>;

  static constexpr size_t kDefaultCapacity = 65536;

  explicit NeighbourTable(Solicit solicit, size_t capacity = kDefaultCapacity)
      : solicit_(std::move(solicit)), capacity_(capacity) {}

  /// The link address. EAGAIN: being resolved. EHOSTUNREACH: nobody answered, or the table is full.
  Result<MacAddress> resolve(const Key& key, Time now);
  Effect update(const NeighbourMessage& message);
  /// Forgets what the kernel said; what is relied on is remembered as such. For a fresh dump.
  void forget_states();
  size_t size() const { return entries_.size(); }
  /// Neighbours not recorded because the table was full.
  uint64_t overflows() const { return overflows_; }

 private:
  struct KeyHash {
    size_t operator()(const Key& key) const;
  };
  struct Entry {
    NeighbourState state = NeighbourState::kUnknown;
    MacAddress mac;
    bool given_out = false;  // resolve() answered with mac
    bool awaited = false;    // resolve() answered EAGAIN
    std::optional<Time> asked;
  };

  Entry* find_or_add(const Key& key);
  void solicit(const Key& key, Entry& entry, Time now, Duration interval);

  Solicit solicit_;
  size_t capacity_;
  uint64_t overflows_ = 0;
  std::unordered_map<Key, Entry, KeyHash> entries_;
};

}  // namespace fairlead::port
