// What the host stack tells a NIC stack that is not in the process, or not all of it.
#pragma once

#include "nic/channel/channel.h"

namespace fairlead::nic {

/// Where handshakes are begun before the host sees them: SYNs are answered there, and what answers
/// those answers comes up to the host, which has the same secrets.
class SetupSeat {
 public:
  /// Handshakes with this endpoint are its own, or no longer: without a listener there, or while it
  /// is full.
  virtual void listen(const ListenMessage& message) = 0;

 protected:
  ~SetupSeat() = default;
};

/// The way to a NIC stack on another core or machine. What comes the other way, messages and
/// packets, goes to Stack::on_packet().
class NicLink : public SetupSeat {
 public:
  /// The connection is its own to close. False: no room, nothing was sent.
  virtual bool take(const Handover& handover) = 0;
  /// How much of the room on the way there is taken: from 0 to 1.
  virtual double fill() const = 0;

 protected:
  ~NicLink() = default;
};

}  // namespace fairlead::nic
