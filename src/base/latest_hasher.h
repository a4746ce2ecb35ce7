// LatestHasher: as SipHasher, for keys that come many times in a row: it remembers the last one.
#pragma once

#include <cstdint>

#include "base/siphash.h"

namespace fairlead {

template <typename Key>
class LatestHasher {
 public:
  // NOLINTNEXTLINE(google-explicit-constructor)
  LatestHasher(SipKey secret) : secret_(secret), hash_(siphash13(secret, key_)) {}

  uint64_t operator()(const Key& key) const {
    if (key != key_) {
      key_ = key;
      hash_ = siphash13(secret_, key);
    }
    return hash_;
  }

 private:
  SipKey secret_;
  mutable Key key_{};
  mutable uint64_t hash_;
};

}  // namespace fairlead
