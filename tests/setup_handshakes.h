// Handshakes of a scripted peer with a listener that leaves them to the NIC stack.
#pragma once

#include <gtest/gtest.h>

#include <vector>

#include "sim/scripted_peer.h"

namespace fairlead::sim {

inline host::ListenOptions offloaded(host::SocketOptions socket = {}) {
  host::ListenOptions options;
  options.setup_offload = true;
  options.socket = socket;
  return options;
}

inline Seg linux_syn(const ScriptedPeer& peer) {
  return seg().syn().mss(1460).sack_ok().wscale(7).ts(peer.ts_clock(), 0);
}

/// Answers a SYN with this relative sequence number as a kernel's program would. Returns the
/// SYN-ACK, absolute.
inline Seg answered_below(ScriptedPeer& peer, uint32_t seq) {
  SegContext context = peer.to_stack();
  const std::vector<uint8_t> frame = linux_syn(peer).seq(seq).encode(context);
  port::TxPacket answer;
  const nic::SetupOutcome outcome =
      peer.stack().setup().on_packet({.frame = frame}, peer.now(), answer);
  EXPECT_EQ(outcome.verdict, FL_SETUP_ANSWERED);
  std::swap(context.source, context.destination);
  context.source_isn = context.destination_isn = 0;
  std::string why;
  return Seg::decode(answer.header_bytes(), context, why).value_or(Seg{});
}

inline Seg acknowledgement(ScriptedPeer& peer, uint32_t seq, const Seg& syn_ack) {
  return seg()
      .seq(seq + 1)
      .ack(*syn_ack.get_seq() + 1 - peer.stack_isn())
      .ts(peer.ts_clock(), syn_ack.get_options().timestamps->value);
}

}  // namespace fairlead::sim
