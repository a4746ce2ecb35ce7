#include "port/af_packet_transmit.h"

#include <algorithm>
#include <cerrno>

namespace fairlead::port {
namespace {

/// The kernel reads what it sends; iovec just has no const in it.
iovec part(ByteSpan bytes) { return {const_cast<uint8_t*>(bytes.data()), bytes.size()}; }

/// EAGAIN: send buffer full. Not ENOBUFS: the interface's queue, or a filter at its egress, has
/// dropped the packet, and may do so for ever. Nor ENOMEM: it can't be cut or completed.
bool worth_offering_again(int error) { return error == EAGAIN || error == EINTR; }

}  // namespace

void PacketSender::describe(const TxPacket& packet, size_t slot) {
  vnet_headers_[slot] = packet.offload != nullptr ? *packet.offload : VnetHeader::of(packet);
  auto& parts = parts_[slot];
  parts[0] = {&vnet_headers_[slot], sizeof(VnetHeader)};
  parts[1] = part(packet.header_bytes());
  for (size_t i = 0; i < packet.payload_count; ++i) parts[2 + i] = part(packet.payload[i]);
  messages_[slot].msg_hdr.msg_iov = parts.data();
  messages_[slot].msg_hdr.msg_iovlen = size_t{2} + packet.payload_count;
}

size_t PacketSender::send_messages(std::span<const TxPacket> packets, PortCounters& counters) {
  for (size_t i = 0; i < packets.size(); ++i) describe(packets[i], i);
  size_t taken = 0;
  bool stale_error_cleared = false;
  while (taken < packets.size()) {
    const int sent = ::sendmmsg(fd_, &messages_[taken],
                                static_cast<unsigned>(packets.size() - taken), MSG_DONTWAIT);
    // sendmmsg() reports an error only when the first packet met it; one met later shows up as a
    // short count, and again as an error on the next round.
    if (sent < 0) {
      if (worth_offering_again(errno)) break;
      // The interface going down leaves this error on the socket, to be reported by the next call
      // even when the interface is up again by then. The second time it is about this packet.
      if (errno == ENETDOWN && !stale_error_cleared) {
        stale_error_cleared = true;
        continue;
      }
      ++counters.tx_dropped;
      ++taken;
      continue;
    }
    for (const TxPacket& packet : packets.subspan(taken, static_cast<size_t>(sent))) {
      ++counters.tx_packets;
      counters.tx_bytes += packet.size();
    }
    taken += static_cast<size_t>(sent);
  }
  return taken;
}

/// As many as one way of sending takes; 0: no room now.
size_t PacketSender::send_some(std::span<const TxPacket> packets, PortCounters& counters) {
  const size_t run = bursts_.run(packets);
  if (run > 0 && bursts_.send(packets.first(run), counters)) return run;
  size_t size = std::max<size_t>(run, 1);
  const size_t most = std::min(packets.size(), kBatch);
  while (size < most && bursts_.run(packets.subspan(size)) == 0) ++size;
  return send_messages(packets.first(size), counters);
}

size_t PacketSender::transmit(std::span<const TxPacket> packets, PortCounters& counters) {
  size_t taken = 0;
  while (taken < packets.size()) {
    const size_t n = send_some(packets.subspan(taken), counters);
    if (n == 0) {
      ++counters.tx_busy;
      break;
    }
    taken += n;
  }
  return taken;
}

}  // namespace fairlead::port
