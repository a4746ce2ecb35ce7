// ListenerClaims: which addresses steering gives to us, over reloads.
//
//             claim()              retire()               release()
//   kernel's ─────────▶ in service ─────────▶ retired ────────────────▶ kernel's
//                           ▲       claim()      │     no connection is left
//                           └────────────────────┘
//
// A listener that a reload drops takes no new connection, but those it has go on: were its packets
// the kernel's at once, the kernel would reset them.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "base/result.h"
#include "wire/address.h"

namespace fairlead::app {

class ListenerClaims {
 public:
  /// What steers; SteeredInterfaces has both.
  struct Steering {
    std::function<Result<void>(const Endpoint&)> add;
    std::function<Result<void>(const Endpoint&)> remove;
  };
  explicit ListenerClaims(Steering steering) : steering_(std::move(steering)) {}

  /// All of them or none. An error names the address.
  Result<void> claim(std::span<const Endpoint> endpoints);
  /// They were claimed.
  void retire(std::span<const Endpoint> endpoints);

  const std::vector<Endpoint>& retired() const { return retired_; }
  /// Gives a retired address back to the kernel. After an error it is no longer tried.
  Result<void> release(const Endpoint& endpoint);

 private:
  Result<void> claim_one(const Endpoint& endpoint);

  Steering steering_;
  std::vector<Endpoint> retired_;
};

}  // namespace fairlead::app
