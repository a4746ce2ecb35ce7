#include "sim/frame_cutter.h"

#include <algorithm>

#include "wire/checksum.h"
#include "wire/ipv4.h"
#include "wire/ipv6.h"
#include "wire/tcp.h"

namespace fairlead::sim {
namespace {

using wire::tcp_flag::kCwr;
using wire::tcp_flag::kFin;
using wire::tcp_flag::kPsh;

void finish_headers(std::vector<uint8_t>& frame, const port::TxPacket& packet, uint32_t offset,
                    bool first, bool last) {
  uint8_t* ip = frame.data() + packet.l3_offset;
  auto& tcp = *reinterpret_cast<wire::TcpHeader*>(frame.data() + packet.l4_offset);
  auto l4_length = static_cast<uint32_t>(frame.size() - packet.l4_offset);
  PseudoHeader pseudo{
      .source = {}, .destination = {}, .protocol = wire::ip_protocol::kTcp, .length = l4_length};
  if (packet.ipv6) {
    auto& h = *reinterpret_cast<wire::Ipv6Header*>(ip);
    h.payload_length = static_cast<uint16_t>(l4_length);
    pseudo.source = IpAddress::v6(h.source);
    pseudo.destination = IpAddress::v6(h.destination);
  } else {
    auto& h = *reinterpret_cast<wire::Ipv4Header*>(ip);
    h.total_length = static_cast<uint16_t>(sizeof(h) + l4_length);
    h.checksum = uint16_t{0};
    h.checksum = checksum_finish(checksum_add(0, {ip, sizeof(h)}));
    pseudo.source = IpAddress::v4(h.source.value());
    pseudo.destination = IpAddress::v4(h.destination.value());
  }
  tcp.seq = tcp.seq.value() + offset;
  if (!first) tcp.flags = static_cast<uint8_t>(tcp.flags & ~kCwr);
  if (!last) tcp.flags = static_cast<uint8_t>(tcp.flags & ~(kFin | kPsh));
  tcp.checksum = uint16_t{0};
  ByteSpan segment = ByteSpan(frame).subspan(packet.l4_offset);
  tcp.checksum = checksum_finish(checksum_add(pseudo_header_sum(pseudo), segment));
}

}  // namespace

std::vector<std::vector<uint8_t>> cut_frames(const port::TxPacket& packet) {
  std::vector<uint8_t> payload;
  for (size_t i = 0; i < packet.payload_count; ++i) {
    payload.insert(payload.end(), packet.payload[i].begin(), packet.payload[i].end());
  }
  std::vector<std::vector<uint8_t>> frames;
  size_t unit = packet.gso_size != 0 ? packet.gso_size : std::max<size_t>(payload.size(), 1);
  size_t at = 0;
  do {
    size_t size = std::min(unit, payload.size() - at);
    auto from = payload.begin() + static_cast<ptrdiff_t>(at);
    ByteSpan header = packet.header_bytes();
    std::vector<uint8_t> frame(header.begin(), header.end());
    frame.insert(frame.end(), from, from + static_cast<ptrdiff_t>(size));
    if (packet.checksum_partial) {
      finish_headers(frame, packet, static_cast<uint32_t>(at), at == 0,
                     at + size == payload.size());
    }
    frames.push_back(std::move(frame));
    at += size;
  } while (at < payload.size());
  return frames;
}

}  // namespace fairlead::sim
