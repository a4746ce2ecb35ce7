// NicStack: the NIC's own part of TCP, between the clients and the host.
//
//     clients ── SYN ──▶ teardown ▶ setup ── SYN-ACK ──▶ clients
//                        │ taken      └─ others, proofs as messages ──▶ host
//     clients ◀── data, FIN, ACK                         ◀── listen, teardown messages
//                            └─ load, now and then ──▶ host
#pragma once

#include <array>

#include "bench/short_connections/client_generator.h"
#include "bench/short_connections/frame_pipe.h"
#include "bench/short_connections/host_core.h"
#include "nic/channel/channel.h"
#include "nic/channel/load_report.h"
#include "nic/setup/setup.h"
#include "nic/teardown/teardown.h"

namespace fairlead::bench {

class NicStack {
 public:
  NicStack(const port::Path& host, ClientGenerator& clients, Time now);

  /// A frame of the host's: a message, or for a client.
  void from_host(Frame& frame, Time now);
  /// A client's. True: `frame` is to go to the host.
  bool from_client(Frame& frame, size_t room, Time now);
  /// How full it is, when the host is to be told.
  std::optional<nic::LoadMessage> load(Time now);
  /// What is due to clients.
  void turn(Time now);

 private:
  bool closes(ByteSpan frame, Time now);

  ClientGenerator& clients_;
  OneHop router_;
  nic::SetupOffload setup_;
  nic::Teardown teardown_;
  nic::LoadReport load_report_;
  bool offloads_ = false;  // setup
  port::PacketBurst burst_;
  std::array<uint8_t, 2048> scratch_;
};

}  // namespace fairlead::bench
