// Packets about to come in. The packets of a burst are of connections that were last looked at long
// ago, when there are many: each would wait for its slot of the flow table, then for the
// connection, to come from memory. Fetched ahead, for some packets at a time, they come together.
#include <algorithm>
#include <array>
#include <optional>

#include "base/prefetch.h"
#include "host/stack.h"
#include "wire/ethernet.h"
#include "wire/ipv4.h"
#include "wire/ipv6.h"
#include "wire/tcp.h"

namespace fairlead::host {
namespace {

/// Of a packet: headers, a short request, and what follows that in a message.
constexpr size_t kFetched = 4 * kCacheLine;

/// Of a plain packet: no tags, IP options or extension headers. A guess: nothing is verified.
struct Glance {
  FourTuple tuple;
  uint32_t ack;
  uint8_t flags;
};

template <typename IpHeader>
const wire::TcpHeader* tcp_behind(const IpHeader& ip, ByteSpan frame) {
  constexpr size_t kNeeded = wire::kEthernetSize + sizeof(IpHeader) + sizeof(wire::TcpHeader);
  if (frame.size() < kNeeded) return nullptr;
  return reinterpret_cast<const wire::TcpHeader*>(&ip + 1);
}

Glance glance_of(const wire::TcpHeader& tcp, const IpAddress& local, const IpAddress& remote) {
  return {.tuple = {{local, tcp.destination_port.value()}, {remote, tcp.source_port.value()}},
          .ack = tcp.ack.value(),
          .flags = tcp.flags};
}

std::optional<Glance> glance_at(ByteSpan frame) {
  if (frame.size() < wire::kEthernetSize + sizeof(wire::Ipv4Header)) return std::nullopt;
  const auto& ethernet = *reinterpret_cast<const wire::EthernetHeader*>(frame.data());
  uint16_t type = ethernet.type.value();
  if (type == nic::channel_type::kNewConnection) {  // has the packet that made it
    type = frame[sizeof ethernet] >> 4 == 4 ? wire::ether_type::kIpv4 : wire::ether_type::kIpv6;
  }
  if (type == wire::ether_type::kIpv4) {
    const auto& ip = *reinterpret_cast<const wire::Ipv4Header*>(&ethernet + 1);
    const wire::TcpHeader* const tcp = tcp_behind(ip, frame);
    if (tcp == nullptr || ip.version_ihl != 0x45) return std::nullopt;
    return glance_of(*tcp, IpAddress::v4(ip.destination.value()), IpAddress::v4(ip.source.value()));
  }
  if (type == wire::ether_type::kIpv6) {
    const auto& ip = *reinterpret_cast<const wire::Ipv6Header*>(&ethernet + 1);
    const wire::TcpHeader* const tcp = tcp_behind(ip, frame);
    if (tcp == nullptr) return std::nullopt;
    return glance_of(*tcp, IpAddress::v6(ip.destination), IpAddress::v6(ip.source));
  }
  return std::nullopt;
}

}  // namespace

void Stack::expect(std::span<const port::RxPacket> packets) const {
  packets = packets.first(std::min(packets.size(), kExpected));
  struct Expected {
    uint64_t hash;
    uint32_t ack;
    uint8_t flags;
  };
  using namespace wire::tcp_flag;
  std::array<Expected, kExpected> glances;
  size_t count = 0;
  for (const port::RxPacket& packet : packets) {
    prefetch(packet.frame.data(), std::min(packet.frame.size(), kFetched));
  }
  for (const port::RxPacket& packet : packets) {
    const std::optional<Glance> glance = glance_at(packet.frame);
    if (!glance) continue;
    const uint64_t hash = index_.hash_of(glance->tuple);
    glances[count++] = {hash, glance->ack, glance->flags};
    index_.prefetch(hash);
  }
  // Those without a connection open one, or are of one that is closing.
  std::array<uint64_t, kExpected> strangers;
  std::array<const Connection*, kExpected> connections;
  size_t unknown = 0;
  size_t known = 0;
  for (const Expected& packet : std::span(glances).first(count)) {
    const Connection* const connection = index_.guess(packet.hash);
    const bool ends = (packet.flags & (kSyn | kFin)) != 0;
    if (connection == nullptr || ends) time_wait_.prefetch(packet.hash);
    if (connection == nullptr) {
      if ((packet.flags & (kSyn | kAck)) == kAck) setup_.prefetch(packet.ack - 1);
      teardown_.prefetch(packet.hash);
      strangers[unknown++] = packet.hash;
    } else {
      prefetch(connection, sizeof *connection);
      connections[known++] = connection;
    }
  }
  for (const uint64_t hash : std::span(strangers).first(unknown)) teardown_.prefetch_flow(hash);
  for (const Connection* connection : std::span(connections).first(known)) {
    if (!connection->is_quasi()) prefetch(connection->tcb_, sizeof(Tcb));
  }
  for (const uint64_t hash : std::span(strangers).first(unknown)) teardown_.prefetch_state(hash);
}

}  // namespace fairlead::host
