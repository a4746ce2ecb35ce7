#include <algorithm>
#include <cstring>
#include <limits>

#include "nic/channel/channel.h"
#include "nic/channel/channel_layout.h"
#include "port/packet_builder.h"
#include "wire/ethernet.h"
#include "wire/ipv4.h"
#include "wire/ipv6.h"
#include "wire/tcp.h"

namespace fairlead::nic {
namespace {

namespace layout = channel_layout;

layout::Tuple tuple_layout(const FourTuple& tuple) {
  return {.local = tuple.local.address.bytes(),
          .remote = tuple.remote.address.bytes(),
          .local_port = Be16(tuple.local.port),
          .remote_port = Be16(tuple.remote.port)};
}

layout::Way way_layout(const SpliceWay& way) {
  return {.next_hop = way.next_hop.bytes(), .interface = Be32(way.interface), .mtu = Be16(way.mtu)};
}

layout::Flow flow_layout(const SpliceFlow& flow) {
  return {.packets = Be64(flow.packets), .bytes = Be64(flow.bytes)};
}

template <typename Body>
Result<size_t> write(uint16_t type, const ChannelLink& link, const Body& body,
                     MutableByteSpan out) {
  static_assert(wire::kEthernetSize + sizeof(Body) <= kMaxChannelMessage);
  if (out.size() < wire::kEthernetSize + sizeof(Body)) return fail(Errc::kNoBufferSpace);
  const wire::EthernetHeader header{link.destination, link.source, Be16(type)};
  std::memcpy(out.data(), &header, wire::kEthernetSize);
  std::memcpy(out.data() + wire::kEthernetSize, &body, sizeof(Body));
  return wire::kEthernetSize + sizeof(Body);
}

void set_type(MutableByteSpan frame, uint16_t type) {
  const Be16 value(type);
  std::memcpy(frame.data() + wire::kEthernetSize - sizeof value, &value, sizeof value);
}

/// Ethernet header and IP packet, without padding.
size_t frame_size(ByteSpan frame) {
  const ByteSpan packet = frame.subspan(wire::kEthernetSize);
  if (const auto ip = wire::Ipv4View::checked(packet)) {
    return wire::kEthernetSize + ip->header_size() + ip->payload().size();
  }
  const auto& ip = *reinterpret_cast<const wire::Ipv6Header*>(packet.data());
  return wire::kEthernetSize + sizeof ip + ip.payload_length.value();
}

uint32_t microseconds_of(Duration duration) {
  const int64_t value = std::chrono::ceil<microseconds>(duration).count();
  return static_cast<uint32_t>(std::clamp<int64_t>(value, 0, std::numeric_limits<uint32_t>::max()));
}

}  // namespace

Result<size_t> encode(const ListenMessage& message, const ChannelLink& link, MutableByteSpan out) {
  layout::Listen body{};
  body.address = message.endpoint.address.bytes();
  body.port = message.endpoint.port;
  if (message.listener) {
    body.on = 1;
    body.window_scale = message.listener->window_scale;
    body.flags = message.listener->flags;
    body.mss = message.listener->mss;
    body.window = message.listener->window;
  }
  return write(channel_type::kListen, link, body, out);
}

Result<size_t> encode(const SplicePair& pair, const ChannelLink& link, MutableByteSpan out) {
  const auto flags = static_cast<uint8_t>((pair.timestamps ? layout::kTimestamps : 0) |
                                          (pair.sack ? layout::kSack : 0));
  const layout::Splice body{.seq_offset = Be32(pair.seq_offset),
                            .ack_offset = Be32(pair.ack_offset),
                            .client = tuple_layout(pair.client),
                            .server = tuple_layout(pair.server),
                            .ts_value_offset = Be32(pair.ts_value_offset),
                            .ts_echo_offset = Be32(pair.ts_echo_offset),
                            .announced_by_client = pair.scales.announced_by_client,
                            .announced_to_client = pair.scales.announced_to_client,
                            .announced_by_server = pair.scales.announced_by_server,
                            .announced_to_server = pair.scales.announced_to_server,
                            .flags = flags,
                            .reserved = 0,
                            .shard = Be16(pair.shard),
                            .generation = Be32(pair.generation),
                            .spliced_at = Be64(pair.spliced_at),
                            .to_server = way_layout(pair.to_server),
                            .to_client = way_layout(pair.to_client)};
  return write(channel_type::kSplice, link, body, out);
}

Result<size_t> encode(const TeardownReport& report, const ChannelLink& link, MutableByteSpan out) {
  const layout::ClosedTeardown body{.what = static_cast<uint8_t>(layout::Closed::kTeardown),
                                    .end = static_cast<uint8_t>(report.end),
                                    .tuple = tuple_layout(report.tuple),
                                    .bytes = Be32(report.bytes),
                                    .acked = Be32(report.acked),
                                    .retransmitted = Be32(report.retransmitted),
                                    .lasted = Be64(static_cast<uint64_t>(report.lasted.count()))};
  return write(channel_type::kClosed, link, body, out);
}

Result<size_t> encode(const SpliceReport& report, const ChannelLink& link, MutableByteSpan out) {
  const layout::ClosedSplice body{.what = static_cast<uint8_t>(layout::Closed::kSplice),
                                  .end = static_cast<uint8_t>(report.end),
                                  .client = tuple_layout(report.client),
                                  .server = tuple_layout(report.server),
                                  .up = flow_layout(report.up),
                                  .down = flow_layout(report.down)};
  return write(channel_type::kClosed, link, body, out);
}

Result<size_t> encode(const LoadMessage& load, const ChannelLink& link, MutableByteSpan out) {
  const layout::Load body{.closing = Be32(load.closing), .most = Be32(load.most)};
  return write(channel_type::kLoad, link, body, out);
}

Result<size_t> encode(const NewConnection& connection, const port::RxPacket& packet,
                      MutableByteSpan out) {
  const size_t size = frame_size(packet.frame);
  if (out.size() < size + sizeof(layout::NewConnection)) return fail(Errc::kNoBufferSpace);
  const layout::NewConnection trailer{.proof = Be64(connection.proof),
                                      .mss = Be16(connection.mss),
                                      .window = Be16(connection.window),
                                      .gso_size = Be16(packet.gso_size),
                                      .window_shift = connection.window_shift,
                                      .checksum = static_cast<uint8_t>(packet.checksum),
                                      .port_index = packet.port_index,
                                      .reserved = 0,
                                      .timestamp_offset = Be32(connection.timestamp_offset)};
  std::memcpy(out.data(), packet.frame.data(), size);
  set_type(out, channel_type::kNewConnection);
  std::memcpy(out.data() + size, &trailer, sizeof trailer);
  return size + sizeof trailer;
}

Result<size_t> encode(const Handover& handover, MutableByteSpan out) {
  size_t bytes = 0;
  for (const ByteSpan part : handover.data) bytes += part.size();
  const size_t ip_size = port::headers_to(handover.tuple.remote.address) +
                         (handover.timestamps ? wire::TcpOptions::kTimestampsSize : 0) + bytes;
  if (ip_size > std::numeric_limits<uint16_t>::max()) return fail(Errc::kMessageTooLong);
  const size_t size = wire::kEthernetSize + ip_size + sizeof(layout::Teardown);
  if (out.size() < std::max(size, port::kMaxTcpHeaders)) return fail(Errc::kNoBufferSpace);
  port::TcpPacketSpec spec;
  spec.tuple = handover.tuple;
  spec.local_mac = handover.local_mac;
  spec.next_hop = handover.next_hop;
  spec.seq = handover.snd_una;
  spec.ack = handover.rcv_nxt;
  spec.flags = wire::tcp_flag::kFin | wire::tcp_flag::kAck | wire::tcp_flag::kPsh;
  spec.window = handover.window;
  spec.options.timestamps = handover.timestamps;
  uint8_t* at =
      out.data() + port::write_tcp_headers(spec, bytes, out.first<port::kMaxTcpHeaders>());
  set_type(out, channel_type::kTeardown);
  for (const ByteSpan part : handover.data) at = std::copy_n(part.data(), part.size(), at);
  const layout::Teardown trailer{
      .mss = Be16(handover.mss),
      .rto = Be32(microseconds_of(handover.rto)),
      .state = Be16(handover.peer_closed ? layout::kCloseWait : layout::kEstablished),
      .sent = Be32(static_cast<uint32_t>(handover.snd_nxt - handover.snd_una)),
      .send_window = Be32(handover.send_window),
      .receive_window = Be32(handover.receive_window),
      .port_index = handover.port_index,
      .reserved = 0};
  std::memcpy(at, &trailer, sizeof trailer);
  return size;
}

}  // namespace fairlead::nic
