// The address of a Unix socket, made with its bound in view.
#pragma once

#include <sys/socket.h>
#include <sys/un.h>

#include <string>

#include "base/result.h"

namespace fairlead::control {

/// EINVAL with a message when `path` is empty or does not fit (107 bytes).
Result<sockaddr_un> unix_address(const std::string& path);

inline const sockaddr* as_sockaddr(const sockaddr_un& address) {
  return reinterpret_cast<const sockaddr*>(&address);
}

}  // namespace fairlead::control
