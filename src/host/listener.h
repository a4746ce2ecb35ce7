// Listener: a local endpoint that takes connections.
//
// Two bounds (ListenOptions): connections whose handshake is under way, and connections that wait
// to be accepted. What happens at each is written there.
#pragma once

#include <cstddef>

#include "base/intrusive_list.h"
#include "host/config.h"
#include "host/connection.h"
#include "wire/address.h"

namespace fairlead::host {

class Listener : public ListHook<EventTag> {
 public:
  Listener(const Endpoint& endpoint, const ListenOptions& options, const SocketOptions& socket)
      : endpoint_(endpoint), options_(options), socket_(&socket), mss_max_(socket.mss_max) {}

  const Endpoint& endpoint() const { return endpoint_; }
  /// Told event::kAcceptable. nullptr: none.
  void set_observer(Observer* observer) { observer_ = observer; }
  /// The connection that waited longest; nullptr when none does. The caller owns it.
  Connection* accept() {
    Connection* connection = queue_.pop_front();
    if (connection == nullptr) return nullptr;
    --pending_;
    connection->listener_ = nullptr;
    connection->owned_ = true;
    connection->events_ = 0;  // the accessors show what happened so far
    return connection;
  }
  size_t pending() const { return pending_; }
  bool full() const { return pending_ >= options_.backlog; }
  size_t handshakes() const { return handshakes_; }
  uint16_t mss_max() const { return mss_max_; }

 private:
  friend class Stack;

  Endpoint endpoint_;
  ListenOptions options_;
  const SocketOptions* socket_;
  uint16_t mss_max_;
  Observer* observer_ = nullptr;
  IntrusiveList<Connection, EventTag> queue_;  // nobody observes them yet: the hook is free
  size_t pending_ = 0;                         // in queue_
  size_t handshakes_ = 0;                      // in SYN-RECEIVED
  bool setup_paused_ = false;                  // SYNs are not left to the NIC stack elsewhere
};

}  // namespace fairlead::host
