// Which local endpoints still have connections, when nobody listens to them any more.
#pragma once

#include <vector>

#include "host/stack.h"
#include "wire/address.h"

namespace fairlead::host {

/// For each of `listeners`, whether it has connections, spliced ones included; what is over counts
/// for neither. Looks at every connection.
std::vector<bool> in_use(const Stack& stack, const std::vector<Endpoint>& listeners);

}  // namespace fairlead::host
