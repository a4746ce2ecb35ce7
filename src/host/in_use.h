// Which local endpoints still have connections, when nobody listens to them any more.
#pragma once

#include <vector>

#include "host/stack.h"
#include "wire/address.h"

namespace fairlead::host {

/// For each of `listeners`, whether it has connections, spliced ones and those that the NIC stack
/// closes included; what is over, or rests in TIME-WAIT there, counts for none. Looks at all of
/// them.
std::vector<bool> in_use(const Stack& stack, const std::vector<Endpoint>& listeners);

}  // namespace fairlead::host
