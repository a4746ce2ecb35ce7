#include <fmt/format.h>

#include <cstring>
#include <limits>

#include "nic/channel/channel.h"
#include "nic/channel/channel_layout.h"
#include "nic/setup/setup_cookie.h"
#include "wire/ethernet.h"
#include "wire/ipv4.h"
#include "wire/ipv6.h"
#include "wire/tcp.h"
#include "wire/tcp_options.h"

namespace fairlead::nic {
namespace {

namespace layout = channel_layout;

constexpr size_t kShortestFrame = 60;  // Ethernet's, without its checksum
constexpr uint8_t kMaxShift = wire::TcpOptions::kMaxWindowScale;

template <typename... Args>
std::unexpected<Error> bad(fmt::format_string<Args...> format, Args&&... args) {
  return fail(Errc::kBadMessage, fmt::format(format, std::forward<Args>(args)...));
}

/// Ends where the body does, but for padding.
template <typename Body>
Result<Body> read(ByteSpan frame, std::string_view what) {
  const size_t size = wire::kEthernetSize + sizeof(Body);
  if (frame.size() < size || frame.size() > std::max(size, kShortestFrame)) {
    return bad("{}: a frame of {} bytes, not {}", what, frame.size(), size);
  }
  Body body;
  std::memcpy(&body, frame.data() + wire::kEthernetSize, sizeof body);
  return body;
}

FourTuple tuple_of(const layout::Tuple& tuple) {
  return {.local = {IpAddress::v6(tuple.local), tuple.local_port.value()},
          .remote = {IpAddress::v6(tuple.remote), tuple.remote_port.value()}};
}

bool one_family(const FourTuple& tuple) {
  return tuple.local.address.is_v4() == tuple.remote.address.is_v4();
}

// ---- those without a packet ----

Result<ChannelMessage> decode_listen(ByteSpan frame) {
  const auto body = read<layout::Listen>(frame, "listen");
  if (!body) return std::unexpected(body.error());
  ListenMessage message{.endpoint = {IpAddress::v6(body->address), body->port.value()},
                        .listener = {}};
  if (message.endpoint.port == 0) return bad("listen: port 0");
  if (body->on > 1 || body->reserved != 0 ||
      (body->flags & ~(FL_SETUP_ECN | FL_SETUP_DEFER)) != 0) {
    return bad("listen: reserved bits are set");
  }
  if (body->on == 0) {
    const bool empty = body->window_scale == 0 && body->flags == 0 && body->mss.value() == 0 &&
                       body->window.value() == 0;
    return empty ? Result<ChannelMessage>(message) : bad("listen: off, and yet with parameters");
  }
  if (body->window_scale > kMaxShift) {
    return bad("listen: a window scale of {}, more than 14", body->window_scale);
  }
  message.listener = fl_setup_listener{.mss = body->mss.value(),
                                       .window = body->window.value(),
                                       .window_scale = body->window_scale,
                                       .flags = body->flags,
                                       .reserved = 0};
  return message;
}

Result<ChannelMessage> decode_splice(ByteSpan frame) {
  const auto body = read<layout::Splice>(frame, "splice");
  if (!body) return std::unexpected(body.error());
  const auto way_of = [](const layout::Way& way) {
    return SpliceWay{.interface = way.interface.value(),
                     .next_hop = IpAddress::v6(way.next_hop),
                     .mtu = way.mtu.value()};
  };
  const SplicePair pair{.client = tuple_of(body->client),
                        .server = tuple_of(body->server),
                        .seq_offset = body->seq_offset.value(),
                        .ack_offset = body->ack_offset.value(),
                        .ts_value_offset = body->ts_value_offset.value(),
                        .ts_echo_offset = body->ts_echo_offset.value(),
                        .scales = {.announced_by_client = body->announced_by_client,
                                   .announced_to_client = body->announced_to_client,
                                   .announced_by_server = body->announced_by_server,
                                   .announced_to_server = body->announced_to_server},
                        .timestamps = (body->flags & layout::kTimestamps) != 0,
                        .sack = (body->flags & layout::kSack) != 0,
                        .to_server = way_of(body->to_server),
                        .to_client = way_of(body->to_client),
                        .shard = body->shard.value(),
                        .generation = body->generation.value(),
                        .spliced_at = body->spliced_at.value()};
  if ((body->flags & ~(layout::kTimestamps | layout::kSack)) != 0 || body->reserved != 0) {
    return bad("splice: reserved bits are set");
  }
  if (!one_family(pair.client) || !one_family(pair.server) ||
      pair.client.local.address.is_v4() != pair.server.local.address.is_v4()) {
    return bad("splice: addresses of two families");
  }
  for (const uint8_t shift : {body->announced_by_client, body->announced_to_client,
                              body->announced_by_server, body->announced_to_server}) {
    if (shift > kMaxShift) return bad("splice: a window scale of {}, more than 14", shift);
  }
  if (!pair.timestamps && (pair.ts_value_offset != 0 || pair.ts_echo_offset != 0)) {
    return bad("splice: offsets for timestamps that are not used");
  }
  return pair;
}

Result<ChannelMessage> decode_closed_teardown(ByteSpan frame) {
  const auto body = read<layout::ClosedTeardown>(frame, "closed teardown");
  if (!body) return std::unexpected(body.error());
  if (body->end > static_cast<uint8_t>(TeardownEnd::kRemoved)) {
    return bad("closed teardown: no end has number {}", body->end);
  }
  if (body->lasted.value() > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
    return bad("closed teardown: it lasted too long");
  }
  const TeardownReport report{.tuple = tuple_of(body->tuple),
                              .end = static_cast<TeardownEnd>(body->end),
                              .bytes = body->bytes.value(),
                              .acked = body->acked.value(),
                              .retransmitted = body->retransmitted.value(),
                              .lasted = Duration(static_cast<int64_t>(body->lasted.value()))};
  if (!one_family(report.tuple)) return bad("closed teardown: addresses of two families");
  return report;
}

Result<ChannelMessage> decode_closed_splice(ByteSpan frame) {
  const auto body = read<layout::ClosedSplice>(frame, "closed splice");
  if (!body) return std::unexpected(body.error());
  if (body->end > static_cast<uint8_t>(SpliceEnd::kRemoved)) {
    return bad("closed splice: no end has number {}", body->end);
  }
  const SpliceReport report{
      .client = tuple_of(body->client),
      .server = tuple_of(body->server),
      .up = {.packets = body->up.packets.value(), .bytes = body->up.bytes.value()},
      .down = {.packets = body->down.packets.value(), .bytes = body->down.bytes.value()},
      .end = static_cast<SpliceEnd>(body->end)};
  if (!one_family(report.client) || !one_family(report.server)) {
    return bad("closed splice: addresses of two families");
  }
  return report;
}

Result<ChannelMessage> decode_closed(ByteSpan frame) {
  const uint8_t what = frame.size() > wire::kEthernetSize ? frame[wire::kEthernetSize] : 0;
  if (what == static_cast<uint8_t>(layout::Closed::kTeardown)) return decode_closed_teardown(frame);
  if (what == static_cast<uint8_t>(layout::Closed::kSplice)) return decode_closed_splice(frame);
  return bad("closed: nothing has number {}", what);
}

Result<ChannelMessage> decode_load(ByteSpan frame) {
  const auto body = read<layout::Load>(frame, "load");
  if (!body) return std::unexpected(body.error());
  const LoadMessage load{.closing = body->closing.value(), .most = body->most.value()};
  if (load.most == 0) return bad("load: room for no connection");
  if (load.closing > load.most) {
    return bad("load: {} connections, where there is room for {}", load.closing, load.most);
  }
  return load;
}

// ---- those that are packets ----

/// A packet and what stands behind it.
template <typename Trailer>
struct PacketMessage {
  IpAddress source;
  IpAddress destination;
  wire::TcpView tcp;
  wire::TcpOptions options;
  Trailer trailer;
};

template <typename View, typename Trailer>
Result<PacketMessage<Trailer>> read_packet(ByteSpan frame, const std::optional<View>& ip,
                                           uint8_t protocol, std::string_view what) {
  if (!ip || protocol != wire::ip_protocol::kTcp || ip->is_fragment()) {
    return bad("{}: no TCP segment in it", what);
  }
  const auto tcp = wire::TcpView::checked(ip->payload());
  if (!tcp) return bad("{}: a TCP header that contradicts its length", what);
  const auto size = static_cast<size_t>(ip->payload().data() + ip->payload().size() - frame.data());
  if (frame.size() != size + sizeof(Trailer)) {
    return bad("{}: {} bytes behind the packet, not {}", what, frame.size() - size,
               sizeof(Trailer));
  }
  PacketMessage<Trailer> message{.source = ip->source(),
                                 .destination = ip->destination(),
                                 .tcp = *tcp,
                                 .options = wire::TcpOptions::parse(tcp->options()),
                                 .trailer = {}};
  std::memcpy(&message.trailer, frame.data() + size, sizeof(Trailer));
  return message;
}

template <typename Trailer>
Result<PacketMessage<Trailer>> read_packet(ByteSpan frame, std::string_view what) {
  const ByteSpan packet = frame.subspan(wire::kEthernetSize);
  if (!packet.empty() && packet[0] >> 4 == 4) {
    const auto ip = wire::Ipv4View::checked(packet);
    return read_packet<wire::Ipv4View, Trailer>(frame, ip, ip ? ip->header().protocol : 0, what);
  }
  const auto ip = wire::Ipv6View::checked(packet);
  return read_packet<wire::Ipv6View, Trailer>(frame, ip, ip ? ip->protocol() : 0, what);
}

/// Of an IP packet, headers included; nullopt: too short to say.
std::optional<size_t> ip_size(ByteSpan packet) {
  if (packet.size() < sizeof(wire::Ipv4Header)) return std::nullopt;
  if (packet[0] >> 4 == 4) {
    return reinterpret_cast<const wire::Ipv4Header*>(packet.data())->total_length.value();
  }
  if (packet.size() < sizeof(wire::Ipv6Header)) return std::nullopt;
  const auto& ip = *reinterpret_cast<const wire::Ipv6Header*>(packet.data());
  return sizeof ip + ip.payload_length.value();
}

/// Ready to be parsed: of type IPv4 or IPv6 again.
port::RxPacket packet_of(MutableByteSpan frame, const layout::NewConnection& trailer) {
  const bool v4 = frame[wire::kEthernetSize] >> 4 == 4;
  const Be16 type(v4 ? wire::ether_type::kIpv4 : wire::ether_type::kIpv6);
  std::memcpy(frame.data() + wire::kEthernetSize - sizeof type, &type, sizeof type);
  return {.frame = frame.first(frame.size() - sizeof trailer),
          .gso_size = trailer.gso_size.value(),
          .checksum = static_cast<port::ChecksumState>(trailer.checksum),
          .port_index = trailer.port_index};
}

Result<NewConnection> connection_of(const layout::NewConnection& trailer,
                                    const ConfirmingSegment& segment) {
  const auto& timestamps = segment.options.timestamps;
  using namespace wire::tcp_flag;
  if (segment.options.malformed) return bad("new connection: malformed TCP options");
  if (trailer.reserved != 0) return bad("new connection: reserved bits are set");
  if ((segment.flags & (kSyn | kRst | kAck)) != kAck || !timestamps ||
      !fl_timestamp_has_options(timestamps->echo)) {
    return bad("new connection: the segment does not answer a SYN-ACK that holds options");
  }
  fl_setup_options agreed{};
  fl_timestamp_options(timestamps->echo, &agreed);
  const bool scales = agreed.window_scale != FL_NO_WINDOW_SCALE;
  if (trailer.window_shift > (scales ? kMaxShift : 0)) {
    return bad("new connection: a window scale of {}", trailer.window_shift);
  }
  if (trailer.checksum > static_cast<uint8_t>(port::ChecksumState::kPartial)) {
    return bad("new connection: no state of a checksum has number {}", trailer.checksum);
  }
  const SeqNum iss = segment.ack - 1;
  return NewConnection{
      .tuple = segment.tuple,
      .irs = segment.seq - 1,
      .iss = iss,
      .mss = trailer.mss.value(),
      .window = trailer.window.value(),
      .window_shift = trailer.window_shift,
      .peer_mss = fl_cookie_mss(iss.value() >> 5 & 7),
      .peer_window_shift = scales ? std::optional(agreed.window_scale) : std::nullopt,
      .sack = agreed.sack != 0,
      .ecn = agreed.ecn != 0,
      .timestamps = *timestamps,
      .timestamp_offset = trailer.timestamp_offset.value(),
      .proof = trailer.proof.value()};
}

const layout::NewConnection& trailer_of(ByteSpan frame) {
  return *reinterpret_cast<const layout::NewConnection*>(
      frame.last(sizeof(layout::NewConnection)).data());
}

Result<ChannelMessage> decode_new_connection(MutableByteSpan frame) {
  const auto read = read_packet<layout::NewConnection>(frame, "new connection");
  if (!read) return std::unexpected(read.error());
  const wire::TcpHeader& tcp = read->tcp.header();
  const auto connection = connection_of(
      read->trailer, {.tuple = {.local = {read->destination, tcp.destination_port.value()},
                                .remote = {read->source, tcp.source_port.value()}},
                      .seq = read->tcp.seq(),
                      .ack = read->tcp.ack(),
                      .flags = tcp.flags,
                      .options = read->options});
  if (!connection) return std::unexpected(connection.error());
  return NewConnectionMessage{.connection = *connection, .packet = packet_of(frame, read->trailer)};
}

Result<ChannelMessage> decode_teardown(ByteSpan frame) {
  const auto read = read_packet<layout::Teardown>(frame, "teardown");
  if (!read) return std::unexpected(read.error());
  const layout::Teardown& trailer = read->trailer;
  const wire::TcpHeader& tcp = read->tcp.header();
  using namespace wire::tcp_flag;
  if (read->options.malformed) return bad("teardown: malformed TCP options");
  if (trailer.reserved != 0) return bad("teardown: reserved bits are set");
  if ((tcp.flags & (kSyn | kRst | kAck | kFin)) != (kAck | kFin)) {
    return bad("teardown: the segment is not the connection's last");
  }
  const uint16_t state = trailer.state.value();
  if (state != layout::kEstablished && state != layout::kCloseWait) {
    return bad("teardown: from state {}, neither ESTABLISHED nor CLOSE-WAIT", state);
  }
  const auto& ethernet = *reinterpret_cast<const wire::EthernetHeader*>(frame.data());
  return TeardownMessage{
      .flow = {.tuple = {.local = {read->source, tcp.source_port.value()},
                         .remote = {read->destination, tcp.destination_port.value()}},
               .local_mac = ethernet.source,
               .next_hop = ethernet.destination,
               .port_index = trailer.port_index,
               .peer_closed = state == layout::kCloseWait,
               .mss = trailer.mss.value(),
               .window = tcp.window.value(),
               .receive_window = trailer.receive_window.value(),
               .send_window = trailer.send_window.value(),
               .rto = microseconds(trailer.rto.value()),
               .snd_una = read->tcp.seq(),
               .snd_nxt = read->tcp.seq() + trailer.sent.value(),
               .rcv_nxt = read->tcp.ack(),
               .timestamps = read->options.timestamps,
               .data = {}},
      .data = read->tcp.payload()};
}

std::optional<uint16_t> type_of(ByteSpan frame) {
  if (frame.size() < wire::kEthernetSize) return std::nullopt;
  return reinterpret_cast<const wire::EthernetHeader*>(frame.data())->type.value();
}

}  // namespace

std::optional<port::RxPacket> new_connection_packet(MutableByteSpan frame) {
  if (type_of(frame) != channel_type::kNewConnection) return std::nullopt;
  const std::optional<size_t> size = ip_size(frame.subspan(wire::kEthernetSize));
  if (!size || frame.size() != wire::kEthernetSize + *size + sizeof(layout::NewConnection)) {
    return std::nullopt;
  }
  return packet_of(frame, trailer_of(frame));
}

Result<NewConnection> decode_new_connection(ByteSpan frame, const ConfirmingSegment& segment) {
  return connection_of(trailer_of(frame), segment);
}

Result<ChannelMessage> decode(MutableByteSpan frame) {
  const std::optional<uint16_t> type = type_of(frame);
  if (!type) return bad("channel: {} bytes are no frame", frame.size());
  switch (*type) {
    case channel_type::kNewConnection:
      return decode_new_connection(frame);
    case channel_type::kTeardown:
      return decode_teardown(frame);
    case channel_type::kSplice:
      return decode_splice(frame);
    case channel_type::kClosed:
      return decode_closed(frame);
    case channel_type::kListen:
      return decode_listen(frame);
    case channel_type::kLoad:
      return decode_load(frame);
    default:
      return bad("channel: a frame of type 0x{:04x} is no message", *type);
  }
}

}  // namespace fairlead::nic
