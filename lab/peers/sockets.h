// Kernel TCP sockets, non-blocking, for the lab's own programs.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "base/result.h"
#include "base/unique_fd.h"
#include "wire/address.h"

namespace fairlead::lab {

/// "ECONNRESET" for 104.
std::string errno_name(int error_number);

/// A listening socket with SO_REUSEADDR and SO_REUSEPORT: each thread may have its own. An error
/// has a message.
Result<UniqueFd> listen_on(const Endpoint& endpoint, int backlog);

/// A socket whose connection attempt is under way: writable when it is over, pending_error() says
/// how. On failure an invalid descriptor, errno says why.
UniqueFd start_connect(const Endpoint& endpoint);

/// The next connection of a listening socket, invalid when there is none.
UniqueFd accept_from(const UniqueFd& listener);

/// SO_ERROR: 0, or the errno value the kernel has noted for the socket.
int pending_error(const UniqueFd& socket);

void set_nodelay(const UniqueFd& socket);
/// close() will send RST and leave no TIME_WAIT.
void reset_on_close(const UniqueFd& socket);

/// What one read or write came to.
struct IoResult {
  size_t bytes = 0;
  bool ended = false;  // read: the peer's FIN
  int error = 0;       // errno, 0 also when it would block
};
IoResult read_some(const UniqueFd& socket, std::span<std::byte> into);
IoResult write_some(const UniqueFd& socket, std::span<const std::byte> from);

/// Lets this process have as many descriptors as its hard limit permits.
void raise_descriptor_limit();

}  // namespace fairlead::lab
