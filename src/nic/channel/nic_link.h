// NicLink: the way to a NIC stack that is not the host's own, on another core or machine. What
// comes the other way goes to Stack::on_new_connection() and Stack::on_packet().
#pragma once

#include "nic/channel/channel.h"

namespace fairlead::nic {

class NicLink {
 public:
  /// Handshakes with this endpoint are its own, or no longer.
  virtual void listen(const ListenMessage& message) = 0;
  /// The connection is its own to close. False: no room, nothing was sent.
  virtual bool take(const Handover& handover) = 0;

 protected:
  ~NicLink() = default;
};

}  // namespace fairlead::nic
