#include "tests/setup_packets.h"

#include <array>

#include "wire/checksum.h"
#include "wire/ipv4.h"
#include "wire/ipv6.h"
#include "wire/tcp.h"

namespace fairlead::test {
namespace {

using namespace wire::tcp_flag;

IpAddress address(std::string_view text) { return *IpAddress::parse(text); }

Endpoint client_endpoint(bool v6) {
  return {address(v6 ? "2001:db8:1::7" : "198.51.100.7"), 40000};
}

struct IpPart {
  IpAddress source;
  IpAddress destination;
  uint8_t hop_limit;
  uint8_t traffic_class;
  ByteSpan payload;
};

std::optional<IpPart> read_ip(ByteSpan packet) {
  if (packet.empty()) return std::nullopt;
  if (packet[0] >> 4 == 4) {
    const auto ip = wire::Ipv4View::checked(packet);
    if (!ip || !ip->checksum_ok() || ip->is_fragment() ||
        ip->header().protocol != wire::ip_protocol::kTcp) {
      return std::nullopt;
    }
    return IpPart{ip->source(), ip->destination(), ip->header().ttl, ip->header().tos,
                  ip->payload()};
  }
  const auto ip = wire::Ipv6View::checked(packet);
  if (!ip || ip->is_fragment() || ip->protocol() != wire::ip_protocol::kTcp) return std::nullopt;
  const uint32_t first = ip->header().version_class_flow.value();
  return IpPart{ip->source(), ip->destination(), ip->header().hop_limit,
                static_cast<uint8_t>(first >> 20), ip->payload()};
}

wire::TcpOptions linux_syn_options() {
  wire::TcpOptions out;
  out.mss = 1460;
  out.window_scale = 7;
  out.sack_permitted = true;
  out.timestamps = wire::Timestamps{.value = 0x11223344, .echo = 0};
  return out;
}

/// A SYN with one thing changed.
class Vectors {
 public:
  explicit Vectors(bool v6) : v6_(v6), prefix_(v6 ? "IPv6: " : "IPv4: ") {}

  void add(const std::string& name, fl_setup_verdict verdict, const PacketBytes& packet) {
    all.push_back({prefix_ + name, packet, verdict});
  }
  void add(const std::string& name, fl_setup_verdict verdict, const Segment& segment) {
    add(name, verdict, packet_of(segment));
  }
  void add_options(const std::string& name, fl_setup_verdict verdict, const PacketBytes& options) {
    add(name, verdict, syn_segment(v6_, options));
  }
  Segment syn() const { return linux_syn(v6_); }

  void add_flags() {
    for (unsigned flags = 0; flags < 256; ++flags) {
      Segment segment = syn();
      segment.flags = static_cast<uint8_t>(flags);
      fl_setup_verdict verdict = FL_SETUP_ANSWERED;
      if ((flags & kSyn) == 0 || (flags & (kAck | kRst)) != 0) {
        verdict = FL_SETUP_NOT_OURS;
      } else if ((flags & kFin) != 0) {
        verdict = FL_SETUP_UP_DATA;
      } else if ((flags & (kPsh | kUrg)) != 0) {
        verdict = FL_SETUP_UP_MALFORMED;
      }
      add("flags " + std::to_string(flags), verdict, segment);
    }
  }
  void add_option_lists() {
    const PacketBytes ts = timestamps(7, 0);
    const PacketBytes mss{2, 4, 5, 0xb4};
    add_options("no options", FL_SETUP_UP_NO_TIMESTAMPS, {});
    add_options("no timestamps", FL_SETUP_UP_NO_TIMESTAMPS,
                mss + PacketBytes{4, 2, 3, 3, 7, 1, 1, 1});
    add_options("no MSS, and room for ours", FL_SETUP_ANSWERED, nops(6) + ts);
    add_options("no MSS, and no room for ours", FL_SETUP_UP_OPTIONS, nops(2) + ts);
    add_options("scale without the room", FL_SETUP_UP_OPTIONS, PacketBytes{3, 3, 9, 1, 1, 1} + ts);
    add_options("unusual order", FL_SETUP_ANSWERED,
                PacketBytes{3, 3, 14, 4, 2} + ts + PacketBytes{1} + mss);
    add_options("unknown options", FL_SETUP_ANSWERED,
                mss + ts + PacketBytes{30, 12} + some_bytes(10) + PacketBytes{253, 2});
    add_options("as many as there can be", FL_SETUP_ANSWERED,
                mss + ts + PacketBytes{3, 3, 0, 4, 2} + nops(17) + PacketBytes{1, 1, 1, 1});
    add_options("scale above 14", FL_SETUP_ANSWERED, mss + ts + PacketBytes{3, 3, 200, 1, 1, 1});
    add_options("timestamps behind the end", FL_SETUP_UP_NO_TIMESTAMPS,
                mss + PacketBytes{0, 1} + ts);
    add_options("timestamps of the wrong length", FL_SETUP_UP_NO_TIMESTAMPS,
                mss + PacketBytes{8, 9, 0, 0, 0, 0, 0, 0, 0} + nops(3));
    add_options("length 0", FL_SETUP_UP_MALFORMED, mss + ts + PacketBytes{99, 0});
    add_options("length 1", FL_SETUP_UP_MALFORMED, mss + ts + PacketBytes{99, 1});
    add_options("length past the end", FL_SETUP_UP_MALFORMED, mss + ts + PacketBytes{99, 3});
    add_options("kind without a length", FL_SETUP_UP_MALFORMED, mss + ts + PacketBytes{1, 99});
    add_options("Fast Open", FL_SETUP_UP_OPTIONS, mss + ts + PacketBytes{34, 2});
    add_options("MD5", FL_SETUP_UP_OPTIONS,
                mss + ts + PacketBytes{19, 18} + PacketBytes(16) + nops(4));
    add_options("AO", FL_SETUP_UP_OPTIONS, mss + ts + PacketBytes{29, 4, 1, 1, 1, 1});
    add_options("MSS 535", FL_SETUP_UP_OPTIONS, PacketBytes{2, 4, 2, 0x17} + ts + nops(2));
    add_options("MSS 536", FL_SETUP_ANSWERED, PacketBytes{2, 4, 2, 0x18} + ts + nops(2));
  }
  void add_headers() {
    Segment segment = syn();
    segment.payload = some_bytes(1);
    add("data", FL_SETUP_UP_DATA, segment);
    segment = syn();
    segment.from.port = 0;
    add("from port 0", FL_SETUP_UP_MALFORMED, segment);
    segment = syn();
    segment.to.port = 81;
    add("another port", FL_SETUP_NOT_OURS, segment);
    segment = syn();
    segment.from = segment.to;
    add("to itself", FL_SETUP_UP_MALFORMED, segment);
    for (const char* from :
         v6_ ? std::initializer_list<const char*>{"::", "ff02::1"}
             : std::initializer_list<const char*>{"0.0.0.0", "224.0.0.1", "255.255.255.255"}) {
      segment = syn();
      segment.from.address = address(from);
      add(std::string("from ") + from, FL_SETUP_UP_MALFORMED, segment);
    }
    segment = syn();
    segment.seq = 0xffffffff;
    segment.traffic_class = 0x2b;
    segment.flow_label = 0x12345;
    segment.ttl = 1;
    segment.urgent = 7;
    add("odd fields", FL_SETUP_ANSWERED, segment);
    PacketBytes packet = packet_of(syn());
    const size_t tcp = v6_ ? 40 : 20;
    packet[tcp + 12] = static_cast<uint8_t>(packet[tcp + 12] | 0x01);
    complete_checksums(packet, false);
    add("Accurate ECN's bit", FL_SETUP_ANSWERED, packet);
    packet[tcp + 16] = static_cast<uint8_t>(packet[tcp + 16] ^ 1);
    add("wrong checksum", FL_SETUP_UP_MALFORMED, packet);
    add("padding", FL_SETUP_ANSWERED, packet_of(syn()) + PacketBytes(6));
    packet = packet_of(syn());
    packet.pop_back();
    add("cut short", FL_SETUP_NOT_OURS, packet);
    packet = packet_of(syn());
    packet[tcp + 12] = 0x40;
    add("header length 16", FL_SETUP_NOT_OURS, packet);
    packet[tcp + 12] = 0xf0;
    add("header longer than the packet", FL_SETUP_NOT_OURS, packet);
    packet = packet_of(syn());
    packet[v6_ ? 6 : 9] = 17;
    add("UDP", FL_SETUP_NOT_OURS, packet);
    if (v6_) return;
    packet = packet_of(syn());
    packet[1] = 0x10;
    add("wrong header checksum", FL_SETUP_UP_MALFORMED, packet);
    packet = packet_of(syn());
    packet[6] = 0x20;
    add("fragment", FL_SETUP_NOT_OURS, packet);
  }

  std::vector<SetupVector> all;

 private:
  bool v6_;
  std::string prefix_;
};

}  // namespace

Endpoint setup_listener_endpoint(bool v6) {
  return {address(v6 ? "2001:db8::1" : "192.0.2.1"), 80};
}

PacketBytes bytes_of(const wire::TcpOptions& options) {
  PacketBytes out(wire::TcpOptions::kMaxSize);
  out.resize(options.emit(out));
  return out;
}

Segment syn_segment(bool v6, const PacketBytes& options) {
  Segment out{.from = client_endpoint(v6), .to = setup_listener_endpoint(v6), .seq = 0x89abcdef};
  out.flags = kSyn;
  out.window = 64240;
  out.options = options;
  return out;
}

Segment linux_syn(bool v6) { return syn_segment(v6, bytes_of(linux_syn_options())); }

std::optional<ReadSegment> read_segment(ByteSpan packet) {
  const auto ip = read_ip(packet);
  if (!ip) return std::nullopt;
  const auto tcp = wire::TcpView::checked(ip->payload);
  if (!tcp) return std::nullopt;
  const uint64_t pseudo = pseudo_header_sum({.source = ip->source,
                                             .destination = ip->destination,
                                             .protocol = wire::ip_protocol::kTcp,
                                             .length = static_cast<uint32_t>(ip->payload.size())});
  if (!checksum_ok(checksum_add(pseudo, ip->payload))) return std::nullopt;
  const wire::TcpHeader& header = tcp->header();
  return ReadSegment{.tuple = {.local = {ip->source, header.source_port.value()},
                               .remote = {ip->destination, header.destination_port.value()}},
                     .seq = tcp->seq().value(),
                     .ack = tcp->ack().value(),
                     .flags = header.flags,
                     .window = header.window.value(),
                     .hop_limit = ip->hop_limit,
                     .traffic_class = ip->traffic_class,
                     .options = wire::TcpOptions::parse(tcp->options()),
                     .options_size = tcp->options().size(),
                     .payload = {tcp->payload().begin(), tcp->payload().end()}};
}

Segment ack_segment(const ReadSegment& syn_ack, uint32_t ts_value, const PacketBytes& payload) {
  Segment out{.from = syn_ack.tuple.remote,
              .to = syn_ack.tuple.local,
              .seq = syn_ack.ack,
              .ack = syn_ack.seq + 1};
  out.options = nops(2) + timestamps(ts_value, syn_ack.options.timestamps->value);
  out.payload = payload;
  return out;
}

std::vector<SetupVector> setup_vectors() {
  std::vector<SetupVector> out;
  for (const bool v6 : {false, true}) {
    Vectors vectors(v6);
    vectors.add("Linux", FL_SETUP_ANSWERED, vectors.syn());
    vectors.add_flags();
    vectors.add_option_lists();
    vectors.add_headers();
    out.insert(out.end(), vectors.all.begin(), vectors.all.end());
  }
  return out;
}

PacketBytes random_syn(Rng& rng) {
  constexpr std::array<uint8_t, 10> kKinds{0, 1, 2, 3, 4, 5, 8, 19, 34, 77};
  PacketBytes options;
  const size_t size = 4 * rng.below(11);
  if (rng.chance(0.5)) options = bytes_of(linux_syn_options());
  while (options.size() < size) {
    const uint8_t kind = kKinds[rng.below(kKinds.size())];
    constexpr std::array<uint8_t, 9> kLengths{0, 1, 4, 3, 2, 10, 0, 0, 10};
    options.push_back(kind);
    if (kind < 2) continue;
    const uint8_t usual = kind <= 8 ? kLengths[kind] : 4;
    const uint8_t length = rng.chance(0.1) ? static_cast<uint8_t>(rng.below(12)) : usual;
    options.push_back(length);
    for (uint8_t i = 2; i < length; ++i) options.push_back(static_cast<uint8_t>(rng.next()));
  }
  while (options.size() % 4 != 0) options.push_back(1);
  options.resize(std::min<size_t>(options.size(), 40));
  Segment out = syn_segment(rng.chance(0.5), options);
  out.seq = static_cast<uint32_t>(rng.next());
  out.from.port = static_cast<uint16_t>(rng.next());
  if (rng.chance(0.3)) out.flags = static_cast<uint8_t>(kSyn | (rng.next() & (kEce | kCwr)));
  if (rng.chance(0.05)) out.payload = some_bytes(rng.below(20));
  PacketBytes packet = packet_of(out);
  if (rng.chance(0.1)) packet[rng.below(packet.size())] = static_cast<uint8_t>(rng.next());
  return packet;
}

}  // namespace fairlead::test
