#include "app/listener_claims.h"

#include <fmt/format.h>

namespace fairlead::app {

Result<void> ListenerClaims::claim(std::span<const Endpoint> endpoints) {
  for (size_t i = 0; i < endpoints.size(); ++i) {
    const Result<void> claimed = claim_one(endpoints[i]);
    if (claimed) continue;
    // Nobody has a connection yet to those that are new; the others are as they were, retired.
    retire(endpoints.first(i));
    return fail(claimed.error().code,
                fmt::format("{}: {}", endpoints[i].to_string(), claimed.error().to_string()));
  }
  return {};
}

Result<void> ListenerClaims::claim_one(const Endpoint& endpoint) {
  if (std::erase(retired_, endpoint) != 0) return {};
  return steering_.add(endpoint);
}

void ListenerClaims::retire(std::span<const Endpoint> endpoints) {
  retired_.insert(retired_.end(), endpoints.begin(), endpoints.end());
}

Result<void> ListenerClaims::release(const Endpoint& endpoint) {
  std::erase(retired_, endpoint);
  return steering_.remove(endpoint);
}

}  // namespace fairlead::app
