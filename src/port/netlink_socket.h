// NetlinkSocket: the few things Fairlead does with rtnetlink, over libmnl: ask and read the whole
// answer, subscribe and read what comes, send without waiting.
#pragma once

#include <libmnl/libmnl.h>

#include <cstdint>
#include <functional>
#include <memory>

#include "base/result.h"

namespace fairlead::port {

class NetlinkSocket {
 public:
  using Handler = std::function<void(const nlmsghdr&)>;

  /// groups: bit set of RTMGRP_*; 0 for none.
  static Result<NetlinkSocket> open(uint32_t groups);

  /// Sends a request (NLM_F_DUMP, or one with a single answer) and hands each message of the answer
  /// to `handle`. Waits for the kernel, which answers at once. The kernel's errno when it refuses.
  Result<void> ask(nlmsghdr& request, const Handler& handle);

  /// Reads what has come, without waiting, at most `max_reads` datagrams. ENOBUFS: the kernel had
  /// to drop messages, whatever was learnt from this socket may be stale.
  Result<void> receive(const Handler& handle, unsigned max_reads);

  /// Throws away what has come. Once the kernel had to drop a message it drops all further ones,
  /// without saying so again, until everything that was queued has been read.
  void discard();

  /// Sends a request nobody waits for. False when the kernel does not take it now.
  bool post(const nlmsghdr& request);

  int fd() const { return mnl_socket_get_fd(socket_.get()); }

 private:
  struct Closer {
    void operator()(mnl_socket* socket) const { mnl_socket_close(socket); }
  };
  explicit NetlinkSocket(mnl_socket* socket) : socket_(socket) {}

  std::unique_ptr<mnl_socket, Closer> socket_;
  uint32_t sequence_ = 0;
};

}  // namespace fairlead::port
