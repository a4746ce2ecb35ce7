#include "tests/steering_vectors.h"

#include <utility>

namespace fairlead::test {
namespace {

using Bytes = std::vector<uint8_t>;

constexpr uint8_t kIcmp = 1;
constexpr uint8_t kTcp = 6;
constexpr uint8_t kUdp = 17;
constexpr uint8_t kIcmpV6 = 58;

IpAddress address(std::string_view text) { return *IpAddress::parse(text); }
const IpAddress kOurs4 = address("10.0.0.1");
const IpAddress kOurs6 = address("2001:db8::1");
const IpAddress kPeer4 = address("10.0.0.2");
const IpAddress kPeer6 = address("2001:db8::2");

void put16(Bytes& to, size_t value) {
  to.push_back(static_cast<uint8_t>(value >> 8));
  to.push_back(static_cast<uint8_t>(value));
}
void append(Bytes& to, ByteSpan bytes) { to.insert(to.end(), bytes.begin(), bytes.end()); }

struct Ports {
  uint16_t from;
  uint16_t to;
};

Bytes tcp(Ports ports) {
  Bytes out;
  put16(out, ports.from);
  put16(out, ports.to);
  out.resize(20);
  out[12] = 0x50;
  return out;
}

struct Ip {
  IpAddress from;
  IpAddress to;
  uint8_t protocol = kTcp;
  uint16_t fragment = 0;    // IPv4: flags and offset
  size_t option_words = 0;  // IPv4
};

Bytes ipv4(const Ip& ip, ByteSpan payload) {
  Bytes out{static_cast<uint8_t>(0x45 + ip.option_words), 0};
  put16(out, 20 + 4 * ip.option_words + payload.size());
  put16(out, 0);
  put16(out, ip.fragment);
  append(out, Bytes{64, ip.protocol, 0, 0});
  append(out, ip.from.header_bytes());
  append(out, ip.to.header_bytes());
  out.resize(20 + 4 * ip.option_words, 1);
  append(out, payload);
  return out;
}

Bytes ipv6(const Ip& ip, ByteSpan payload) {
  Bytes out{0x60, 0, 0, 0};
  put16(out, payload.size());
  append(out, Bytes{ip.protocol, 64});
  append(out, ip.from.header_bytes());
  append(out, ip.to.header_bytes());
  append(out, payload);
  return out;
}

/// An extension header of 8 bytes before `rest`.
Bytes extension(uint8_t next, ByteSpan rest) {
  Bytes out{next, 0, 1, 4, 0, 0, 0, 0};
  append(out, rest);
  return out;
}

Bytes fragment6(uint8_t next, uint16_t offset_and_more, ByteSpan rest) {
  Bytes out{next, 0};
  put16(out, offset_and_more);
  out.resize(8);
  append(out, rest);
  return out;
}

Bytes icmp(uint8_t type, ByteSpan quoted) {
  Bytes out{type, 0, 0, 0, 0, 0, 0, 0};
  append(out, quoted);
  return out;
}

Bytes ethernet(uint16_t type, ByteSpan payload) {
  Bytes out{0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 9};
  put16(out, type);
  append(out, payload);
  return out;
}

Bytes frame(const Bytes& packet) { return ethernet(packet[0] >> 4 == 4 ? 0x0800 : 0x86dd, packet); }

Bytes tcp4(IpAddress to, uint16_t port) { return ipv4({kPeer4, to}, tcp({40000, port})); }
Bytes tcp6(IpAddress to, uint16_t port) { return ipv6({kPeer6, to}, tcp({40000, port})); }

void add_listener_vectors(std::vector<SteeringVector>& out) {
  const auto add = [&](const char* name, const Bytes& packet, fl_verdict verdict) {
    out.push_back({name, frame(packet), verdict});
  };
  add("listener, IPv4", tcp4(kOurs4, 80), FL_OURS_LISTENER);
  add("listener, IPv6", tcp6(kOurs6, 80), FL_OURS_LISTENER);
  add("other port, IPv4", tcp4(kOurs4, 81), FL_PASS_NOT_OURS);
  add("other port, IPv6", tcp6(kOurs6, 81), FL_PASS_NOT_OURS);
  add("other address of a listener's port", tcp4(kPeer4, 80), FL_PASS_NOT_OURS);
  add("listener on any address, IPv4", tcp4(kOurs4, 7000), FL_OURS_LISTENER);
  add("listener on any address, IPv6", tcp6(kOurs6, 7000), FL_OURS_LISTENER);
  add("passing through, IPv4", tcp4(address("192.0.2.9"), 7000), FL_PASS_NOT_OURS);
  add("passing through, IPv6", tcp6(address("2001:db8:9::9"), 7000), FL_PASS_NOT_OURS);
  add("IPv4 options", ipv4({.from = kPeer4, .to = kOurs4, .option_words = 10}, tcp({9, 80})),
      FL_OURS_LISTENER);
  add("UDP to a listener's port", ipv4({kPeer4, kOurs4, kUdp}, tcp({9, 80})), FL_PASS_NOT_TCP);
  add("our own port as the source", ipv4({kPeer4, kOurs4}, tcp({80, 5000})), FL_PASS_NOT_OURS);
}

void add_local_port_vectors(std::vector<SteeringVector>& out) {
  const auto add = [&](const char* name, const Bytes& packet, fl_verdict verdict) {
    out.push_back({name, frame(packet), verdict});
  };
  add("first local port", tcp4(kOurs4, kLocalPortFirst), FL_OURS_LOCAL_PORT);
  add("last local port", tcp6(kOurs6, kLocalPortLast), FL_OURS_LOCAL_PORT);
  add("below the local ports", tcp4(kOurs4, kLocalPortFirst - 1), FL_PASS_NOT_OURS);
  add("above the local ports", tcp4(kOurs4, kLocalPortLast + 1), FL_PASS_NOT_OURS);
  add("local port, passing through", tcp4(address("192.0.2.9"), 61500), FL_PASS_NOT_OURS);
}

void add_extension_vectors(std::vector<SteeringVector>& out) {
  const auto add = [&](const char* name, const Bytes& payload, uint8_t next, fl_verdict verdict) {
    out.push_back({name, frame(ipv6({kPeer6, kOurs6, next}, payload)), verdict});
  };
  const Bytes segment = tcp({9, 80});
  add("hop-by-hop", extension(kTcp, segment), 0, FL_OURS_LISTENER);
  add("hop-by-hop, routing, destination options",
      extension(43, extension(60, extension(kTcp, segment))), 0, FL_OURS_LISTENER);
  Bytes chain = extension(kTcp, segment);
  for (int i = 1; i < 6; ++i) chain = extension(60, chain);
  add("six extension headers", chain, 60, FL_OURS_LISTENER);
  add("seven extension headers", extension(60, chain), 60, FL_PASS_NOT_TCP);
  add("unknown extension header", extension(kTcp, segment), 135, FL_PASS_NOT_TCP);
  add("first fragment, IPv6", fragment6(kTcp, 1, segment), 44, FL_OURS_FRAGMENT);
  add("later fragment, IPv6", fragment6(kTcp, 8 << 3, segment), 44, FL_PASS_NOT_TCP);
  add("extension header cut off", Bytes{kTcp, 0}, 0, FL_PASS_NOT_TCP);
}

void add_fragment_vectors(std::vector<SteeringVector>& out) {
  const auto add = [&](const char* name, uint16_t fragment, uint16_t port, fl_verdict verdict) {
    const Ip ip{.from = kPeer4, .to = kOurs4, .fragment = fragment};
    out.push_back({name, frame(ipv4(ip, tcp({9, port}))), verdict});
  };
  add("do not fragment", 0x4000, 80, FL_OURS_LISTENER);
  add("first fragment, IPv4", 0x2000, 80, FL_OURS_FRAGMENT);
  add("first fragment of the kernel's", 0x2000, 81, FL_PASS_NOT_OURS);
  add("middle fragment, IPv4", 0x2001, 80, FL_PASS_NOT_TCP);
  add("last fragment, IPv4", 0x0001, 80, FL_PASS_NOT_TCP);
}

void add_icmp_vectors(std::vector<SteeringVector>& out) {
  const auto add4 = [&](const char* name, uint8_t type, const Bytes& quoted, fl_verdict verdict) {
    const Ip ip{address("10.0.0.254"), kOurs4, kIcmp};
    out.push_back({name, frame(ipv4(ip, icmp(type, quoted))), verdict});
  };
  const auto add6 = [&](const char* name, uint8_t type, const Bytes& quoted, fl_verdict verdict) {
    const Ip ip{address("2001:db8::fe"), kOurs6, kIcmpV6};
    out.push_back({name, frame(ipv6(ip, icmp(type, quoted))), verdict});
  };
  const Bytes ours4 = ipv4({kOurs4, kPeer4}, tcp({80, 40000}));
  const Bytes ours6 = ipv6({kOurs6, kPeer6}, tcp({80, 40000}));
  add4("unreachable, about a listener's segment", 3, ours4, FL_OURS_ICMP_ERROR);
  add4("time exceeded, about a listener's segment", 11, ours4, FL_OURS_ICMP_ERROR);
  add4("redirect, about a listener's segment", 5, ours4, FL_PASS_NOT_TCP);
  add4("echo request", 8, ours4, FL_PASS_NOT_TCP);
  add4("unreachable, eight bytes of TCP quoted", 3, Bytes(ours4.begin(), ours4.begin() + 28),
       FL_OURS_ICMP_ERROR);
  add4("unreachable, quote cut off in the ports", 3, Bytes(ours4.begin(), ours4.begin() + 23),
       FL_PASS_NOT_TCP);
  add4("unreachable, about a local port", 3, ipv4({kOurs4, kPeer4}, tcp({61500, 80})),
       FL_OURS_ICMP_ERROR);
  add4("unreachable, about the kernel's TCP", 3, ipv4({kOurs4, kPeer4}, tcp({81, 40000})),
       FL_PASS_NOT_OURS);
  add4("unreachable, about UDP", 3, ipv4({kOurs4, kPeer4, kUdp}, tcp({80, 40000})),
       FL_PASS_NOT_TCP);
  add4("unreachable, quoting IPv6", 3, ours6, FL_PASS_NOT_TCP);
  add6("unreachable, IPv6", 1, ours6, FL_OURS_ICMP_ERROR);
  add6("packet too big, IPv6", 2, ours6, FL_OURS_ICMP_ERROR);
  add6("time exceeded, IPv6", 3, ours6, FL_OURS_ICMP_ERROR);
  add6("echo request, IPv6", 128, ours6, FL_PASS_NOT_TCP);
}

void add_malformed_vectors(std::vector<SteeringVector>& out) {
  const auto add = [&](const char* name, Bytes bytes, fl_verdict verdict) {
    out.push_back({name, std::move(bytes), verdict});
  };
  Bytes packet = tcp4(kOurs4, 80);
  add("ARP", ethernet(0x0806, Bytes(28)), FL_PASS_NOT_TCP);
  packet[0] = 0x44;
  add("IPv4 header length of 16", ethernet(0x0800, packet), FL_PASS_NOT_TCP);
  packet[0] = 0x65;
  add("version 6 in an IPv4 frame", ethernet(0x0800, packet), FL_PASS_NOT_TCP);
  packet[0] = 0x4f;
  add("IPv4 header longer than the packet", ethernet(0x0800, packet), FL_PASS_NOT_TCP);
  packet = tcp4(kOurs4, 80);
  packet.resize(23);
  add("IPv4, cut off in the ports", ethernet(0x0800, packet), FL_PASS_NOT_TCP);
  packet = tcp6(kOurs6, 80);
  packet.resize(43);
  add("IPv6, cut off in the ports", ethernet(0x86dd, packet), FL_PASS_NOT_TCP);
  add("802.1Q tag in the frame", ethernet(0x8100, tcp4(kOurs4, 80)), FL_PASS_NOT_TCP);
}

}  // namespace

std::vector<SteeringVector> steering_vectors() {
  std::vector<SteeringVector> out;
  add_listener_vectors(out);
  add_local_port_vectors(out);
  add_extension_vectors(out);
  add_fragment_vectors(out);
  add_icmp_vectors(out);
  add_malformed_vectors(out);
  return out;
}

std::vector<Endpoint> vector_listeners() {
  return {{kOurs4, 80}, {kOurs6, 80}, {IpAddress::v4(0), 7000}, {IpAddress(), 7000}};
}

std::vector<IpAddress> vector_addresses() { return {kOurs4, kOurs6}; }

}  // namespace fairlead::test
