// Endpoints as C programs know them.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <expected>

#include "wire/address.h"

namespace fairlead::api {

/// EAFNOSUPPORT, EINVAL (too short).
std::expected<Endpoint, int> endpoint_of(const sockaddr* address, socklen_t size);
sockaddr_storage sockaddr_of(const Endpoint& endpoint);
/// As getsockname(): cut to *size, which says how long it is. `out` may be nullptr.
void store(const Endpoint& endpoint, sockaddr* out, socklen_t* size);

}  // namespace fairlead::api
