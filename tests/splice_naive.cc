#include "tests/splice_naive.h"

#include <algorithm>
#include <optional>

namespace fairlead::test {
namespace {

constexpr uint8_t kHopByHop = 0;
constexpr uint8_t kTcp = 6;
constexpr uint8_t kRouting = 43;
constexpr uint8_t kFragmentHeader = 44;
constexpr uint8_t kDestinationOptions = 60;

struct Parsed {
  bool fragment = false;  // the first of several
  bool extended = false;  // IPv4 options, IPv6 extension headers
  uint8_t protocol = 0;
  size_t tcp_at = 0;
  size_t size = 0;  // by the IP header
  uint8_t ttl = 0;
  FourTuple tuple;  // as the receiver sees it
};

IpAddress address_v6(ByteSpan packet, size_t at) {
  std::array<uint8_t, 16> bytes;
  std::copy_n(packet.begin() + static_cast<ptrdiff_t>(at), 16, bytes.begin());
  return IpAddress::v6(bytes);
}

std::optional<Parsed> parse_v4(ByteSpan packet) {
  if (packet.size() < 20) return std::nullopt;
  Parsed out;
  out.tcp_at = (packet[0] & 15u) * 4u;
  if (out.tcp_at < 20) return std::nullopt;
  out.extended = out.tcp_at > 20;
  const uint16_t fragment = read16(packet, 6);
  if ((fragment & 0x1fff) != 0) return std::nullopt;
  out.fragment = (fragment & 0x2000) != 0;
  out.protocol = packet[9];
  out.size = read16(packet, 2);
  out.ttl = packet[8];
  out.tuple.remote.address = IpAddress::v4(read32(packet, 12));
  out.tuple.local.address = IpAddress::v4(read32(packet, 16));
  return out;
}

std::optional<Parsed> parse_v6(ByteSpan packet) {
  constexpr int kMaxExtensions = 6;
  if (packet.size() < 40) return std::nullopt;
  Parsed out;
  out.size = size_t{40} + read16(packet, 4);
  out.ttl = packet[7];
  out.tuple.remote.address = address_v6(packet, 8);
  out.tuple.local.address = address_v6(packet, 24);
  if (out.tuple.local.address.is_v4() || out.tuple.remote.address.is_v4()) return std::nullopt;
  out.protocol = packet[6];
  out.tcp_at = 40;
  for (int i = 0; i < kMaxExtensions && out.protocol != kTcp; ++i) {
    const uint8_t kind = out.protocol;
    if (kind != kHopByHop && kind != kRouting && kind != kFragmentHeader &&
        kind != kDestinationOptions) {
      return std::nullopt;
    }
    if (packet.size() < out.tcp_at + 4) return std::nullopt;
    out.extended = true;
    out.protocol = packet[out.tcp_at];
    if (kind == kFragmentHeader) {
      if ((read16(packet, out.tcp_at + 2) & 0xfff8) != 0) return std::nullopt;
      out.fragment = true;
      out.tcp_at += 8;
    } else {
      out.tcp_at += (packet[out.tcp_at + 1] + size_t{1}) * 8;
    }
  }
  return out;
}

std::optional<Parsed> parse(ByteSpan packet) {
  if (packet.empty()) return std::nullopt;
  std::optional<Parsed> out;
  if (packet[0] >> 4 == 4) out = parse_v4(packet);
  if (packet[0] >> 4 == 6) out = parse_v6(packet);
  if (!out || out->protocol != kTcp || packet.size() < out->tcp_at + 4) return std::nullopt;
  out->tuple.remote.port = read16(packet, out->tcp_at);
  out->tuple.local.port = read16(packet, out->tcp_at + 2);
  return out;
}

/// What the pair says about one direction.
struct Way {
  FourTuple in;
  FourTuple out;
  uint32_t seq, ack, ts_value, ts_echo;
  int scale_in, scale_out;
  size_t mtu;
};

Way way_of(const nic::SplicePair& pair, bool from_client) {
  if (from_client) {
    return {pair.client,
            pair.server,
            pair.seq_offset,
            pair.ack_offset,
            pair.ts_value_offset,
            pair.ts_echo_offset,
            pair.scales.announced_by_client,
            pair.scales.announced_to_server,
            pair.to_server.mtu};
  }
  return {pair.server,
          pair.client,
          0 - pair.ack_offset,
          0 - pair.seq_offset,
          0 - pair.ts_echo_offset,
          0 - pair.ts_value_offset,
          pair.scales.announced_by_server,
          pair.scales.announced_to_client,
          pair.to_client.mtu};
}

fl_splice_verdict judge(const Way& way, const Parsed& ip, const NaiveInput& input) {
  if (ip.fragment) return FL_SPLICE_DROP_FRAGMENT;
  if (ip.extended) return FL_SPLICE_UP_OPTIONS;
  if (input.packet.size() < ip.tcp_at + 20) return FL_SPLICE_DROP_MALFORMED;
  const size_t tcp_header = static_cast<size_t>(input.packet[ip.tcp_at + 12] >> 4) * 4;
  if (tcp_header < 20 || ip.size > input.packet.size() || ip.size < ip.tcp_at + tcp_header) {
    return FL_SPLICE_DROP_MALFORMED;
  }
  if ((input.packet[ip.tcp_at + 13] & 2) != 0) return FL_SPLICE_UP_SYN;
  if (ip.ttl < 2) return FL_SPLICE_DROP_TTL;
  size_t payload = ip.size - ip.tcp_at - tcp_header;
  if (input.gso_size != 0) payload = std::min<size_t>(payload, input.gso_size);
  if (ip.tcp_at + tcp_header + payload > way.mtu) return FL_SPLICE_UP_TOO_BIG;
  return FL_SPLICE_TRANSLATED;
}

void add32(MutableByteSpan bytes, size_t at, uint32_t offset) {
  write32(bytes, at, read32(bytes, at) + offset);
}

void translate_options(const Way& way, MutableByteSpan options, bool acknowledges) {
  size_t at = 0;
  while (at < options.size() && options[at] != 0) {
    if (options[at] == 1) {
      ++at;
      continue;
    }
    if (at + 1 >= options.size()) return;
    const uint8_t length = options[at + 1];
    if (length < 2 || at + length > options.size()) return;
    if (options[at] == 8 && length == 10) {
      add32(options, at + 2, way.ts_value);
      if (acknowledges) add32(options, at + 6, way.ts_echo);
    }
    if (options[at] == 5 && length % 8 == 2) {
      for (size_t edge = at + 2; edge < at + length; edge += 4) add32(options, edge, way.ack);
    }
    at += length;
  }
}

void write_address(MutableByteSpan packet, size_t at, const IpAddress& address) {
  std::ranges::copy(address.header_bytes(), packet.begin() + static_cast<ptrdiff_t>(at));
}

uint16_t rescale(const Way& way, uint16_t window) {
  const uint64_t bytes = uint64_t{window} << way.scale_in;
  return static_cast<uint16_t>(std::min<uint64_t>(bytes >> way.scale_out, 0xffff));
}

void translate(const Way& way, const Parsed& ip, MutableByteSpan packet) {
  const bool v4 = packet[0] >> 4 == 4;
  --packet[v4 ? 8 : 7];
  write_address(packet, v4 ? 12 : 8, way.out.local.address);
  write_address(packet, v4 ? 16 : 24, way.out.remote.address);
  const MutableByteSpan tcp = packet.subspan(ip.tcp_at);
  const bool acknowledges = (tcp[13] & 0x10) != 0;
  write16(tcp, 0, way.out.local.port);
  write16(tcp, 2, way.out.remote.port);
  add32(tcp, 4, way.seq);
  if (acknowledges) add32(tcp, 8, way.ack);
  write16(tcp, 14, rescale(way, read16(tcp, 14)));
  translate_options(way, tcp.subspan(20, static_cast<size_t>(tcp[12] >> 4) * 4 - 20), acknowledges);
}

/// 0xffff and 0 are one number to a one's-complement sum.
uint16_t one_zero(uint16_t checksum) { return checksum == 0xffff ? 0 : checksum; }

}  // namespace

NaiveOutcome naive_splice(const nic::SplicePair& pair, bool from_client, const NaiveInput& input) {
  const Way way = way_of(pair, from_client);
  NaiveOutcome out{FL_SPLICE_NO_RULE, PacketBytes(input.packet.begin(), input.packet.end())};
  const std::optional<Parsed> ip = parse(input.packet);
  if (!ip || ip->tuple != way.in) return out;
  out.verdict = judge(way, *ip, input);
  if (out.verdict != FL_SPLICE_TRANSLATED) return out;
  translate(way, *ip, out.packet);
  complete_checksums(out.packet, input.checksum_partial);
  return out;
}

bool has_right_checksums(ByteSpan packet, bool partial) {
  const bool v4 = packet[0] >> 4 == 4;
  const size_t tcp_checksum = v4 ? 36 : 56;
  PacketBytes right(packet.begin(), packet.end());
  complete_checksums(right, partial);
  const bool tcp =
      partial ? read16(right, tcp_checksum) == read16(packet, tcp_checksum)
              : one_zero(read16(right, tcp_checksum)) == one_zero(read16(packet, tcp_checksum));
  return tcp && (!v4 || one_zero(read16(right, 10)) == one_zero(read16(packet, 10)));
}

}  // namespace fairlead::test
