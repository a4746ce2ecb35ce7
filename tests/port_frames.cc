#include "tests/port_frames.h"

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/check.h"
#include "wire/checksum.h"

namespace fairlead::test {
namespace {

using port::ChecksumState;
using port::Port;
using port::RxPacket;
using port::TxPacket;

constexpr size_t kIpv4Header = 20;
constexpr size_t kIpv6Header = 40;
constexpr size_t kTcpHeader = 20;

void take(const RxPacket& packet, Received& received) {
  const ByteSpan frame = packet.frame;
  const bool ipv6 = frame.size() > 14 && frame[12] == 0x86;
  const size_t l4 = 14 + (ipv6 ? kIpv6Header : kIpv4Header);
  if (frame.size() < l4 + kTcpHeader || frame[ipv6 ? 20 : 23] != 6 || frame[l4 + 3] != 9) return;
  ++received.frames;
  if (packet.gso_size != 0) ++received.super_packets;
  // Short frames may be padded: the IP header has the length.
  const size_t size = ipv6 ? size_t{frame[18]} << 8 | frame[19]
                           : (size_t{frame[16]} << 8 | frame[17]) - kIpv4Header;
  if (packet.checksum == ChecksumState::kUnknown) {
    const ByteSpan addresses = frame.subspan(ipv6 ? 22 : 26, ipv6 ? 32 : 8);
    const uint64_t sum = checksum_add(6 + size, addresses);
    if (!checksum_ok(checksum_add(sum, frame.subspan(l4, size)))) ++received.bad_checksums;
  }
  const ByteSpan payload = frame.subspan(l4 + kTcpHeader, size - kTcpHeader);
  received.payload.insert(received.payload.end(), payload.begin(), payload.end());
}

}  // namespace

std::unique_ptr<Port> open_port(const port::AfPacketOptions& options) {
  auto ports = port::open_af_packet(options);
  if (!ports) fmt::print(stderr, "{}\n", ports.error().to_string());
  CHECK(ports.has_value());
  return std::move(ports->front());
}

void put16(TxPacket& packet, size_t offset, size_t value) {
  packet.header[offset] = static_cast<uint8_t>(value >> 8);
  packet.header[offset + 1] = static_cast<uint8_t>(value);
}

TxPacket tcp_packet(const Port& from, const Port& to, bool ipv6, ByteSpan payload) {
  TxPacket packet;
  packet.header.fill(0);
  packet.clear();
  packet.ipv6 = ipv6;
  std::ranges::copy(to.info().mac.bytes, packet.header.begin());
  std::ranges::copy(from.info().mac.bytes, packet.header.begin() + 6);
  const IpAddress source = *IpAddress::parse(ipv6 ? "fd77::200" : "10.77.0.200");
  const IpAddress destination = *IpAddress::parse(ipv6 ? "fd77::100" : "10.77.0.100");
  uint8_t* ip = &packet.header[14];
  put16(packet, 12, ipv6 ? 0x86dd : 0x0800);
  if (ipv6) {
    ip[0] = 0x60;
    put16(packet, 18, kTcpHeader + payload.size());
    ip[6] = 6;
    ip[7] = 64;
  } else {
    ip[0] = 0x45;
    put16(packet, 16, kIpv4Header + kTcpHeader + payload.size());
    ip[8] = 64;
    ip[9] = 6;
  }
  std::ranges::copy(source.header_bytes(), ip + (ipv6 ? 8 : 12));
  std::ranges::copy(destination.header_bytes(), ip + (ipv6 ? 24 : 16));
  if (!ipv6) put16(packet, 24, checksum_finish(checksum_add(0, {ip, kIpv4Header})));
  packet.l4_offset = static_cast<uint16_t>(14 + (ipv6 ? kIpv6Header : kIpv4Header));
  packet.header_size = static_cast<uint16_t>(packet.l4_offset + kTcpHeader);
  put16(packet, packet.l4_offset, 61000);
  put16(packet, packet.l4_offset + size_t{2}, 9);
  packet.header[packet.l4_offset + 12] = 0x50;
  packet.header[packet.l4_offset + 13] = 0x10;
  const uint64_t pseudo = pseudo_header_sum(
      {source, destination, 6, static_cast<uint32_t>(kTcpHeader + payload.size())});
  put16(packet, packet.l4_offset + size_t{16}, checksum_fold(pseudo));
  packet.checksum_partial = true;
  packet.payload[0] = payload;
  packet.payload_count = payload.empty() ? 0 : 1;
  packet.payload_size = static_cast<uint32_t>(payload.size());
  return packet;
}

Received receive_payload(Port& port, size_t bytes) {
  Received received;
  std::array<RxPacket, 32> burst;
  while (received.payload.size() < bytes) {
    pollfd waiting{.fd = port.poll_fd(), .events = POLLIN, .revents = 0};
    if (::poll(&waiting, 1, 500) <= 0) break;
    const size_t n = port.receive(burst);
    for (size_t i = 0; i < n; ++i) take(burst[i], received);
    port.release();
  }
  return received;
}

}  // namespace fairlead::test
