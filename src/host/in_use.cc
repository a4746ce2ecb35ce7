#include "host/in_use.h"

namespace fairlead::host {
namespace {

bool covers(const Endpoint& listener, const Endpoint& local) {
  if (listener.port != local.port) return false;
  if (listener.address == local.address) return true;
  return listener.address.is_unspecified() && listener.address.is_v4() == local.address.is_v4();
}

}  // namespace

std::vector<bool> in_use(const Stack& stack, const std::vector<Endpoint>& listeners) {
  std::vector<bool> used(listeners.size(), false);
  const auto note = [&](const Endpoint& local) {
    for (size_t i = 0; i < listeners.size(); ++i) {
      if (covers(listeners[i], local)) used[i] = true;
    }
  };
  stack.for_each_connection([&](const Connection& connection) { note(connection.tuple().local); });
  stack.splices().for_each([&](const nic::Splice& splice) {
    if (splice.is_over()) return;
    note(splice.client().local);
    note(splice.server().local);
  });
  stack.teardown().for_each_active([&](const FourTuple& tuple) { note(tuple.local); });
  return used;
}

}  // namespace fairlead::host
