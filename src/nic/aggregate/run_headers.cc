#include "nic/aggregate/run_headers.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/check.h"
#include "wire/checksum.h"
#include "wire/ethernet.h"
#include "wire/ipv4.h"
#include "wire/ipv6.h"
#include "wire/tcp.h"
#include "wire/tcp_options.h"

namespace fairlead::nic {
namespace {

using wire::tcp_flag::kAck, wire::tcp_flag::kPsh;

constexpr size_t kTag = 4, kMaxTags = 2;
constexpr size_t kIpv4 = sizeof(wire::Ipv4Header), kIpv6 = sizeof(wire::Ipv6Header);
constexpr size_t kTcp = sizeof(wire::TcpHeader);
// Where the fields that may differ begin.
constexpr size_t kIpv4Length = 2, kIpv4Checksum = 10, kIpv6Length = 4;
constexpr size_t kTcpSeq = 4, kTcpFlags = 13, kTcpWindow = 14;
constexpr size_t kTsValue = kTcp + 4;

template <typename Header>
const Header& header_at(const uint8_t* at) {
  static_assert(alignof(Header) == 1);
  return *reinterpret_cast<const Header*>(at);
}

/// Ones where the headers of all segments of a run are the same.
constexpr RunHeaders::Mask mask_of(size_t tags, bool ipv6, bool timestamps) {
  std::array<uint8_t, RunHeaders::kCompared> bytes{};
  const auto set = [&](size_t offset, size_t size, uint8_t value) {
    std::fill_n(bytes.begin() + offset, size, value);
  };
  const size_t l3 = wire::kEthernetSize + tags * kTag;
  const size_t l4 = l3 + (ipv6 ? kIpv6 : kIpv4);
  set(0, l4 + kTcp + (timestamps ? wire::TcpOptions::kTimestampsSize : 0), 0xff);
  if (ipv6) {
    set(l3 + kIpv6Length, sizeof(Be16), 0);
  } else {
    set(l3 + kIpv4Length, 2 * sizeof(Be16), 0);  // and ID
    set(l3 + kIpv4Checksum, sizeof(Be16), 0);
  }
  set(l4 + kTcpSeq, 2 * sizeof(Be32), 0);     // and ACK
  set(l4 + kTcpWindow, 2 * sizeof(Be16), 0);  // and checksum
  // Of the flags read_next() wants more than that they are the same.
  set(l4 + kTcpFlags, 1, 0);
  if (timestamps) set(l4 + kTsValue, 2 * sizeof(Be32), 0);
  return std::bit_cast<RunHeaders::Mask>(bytes);
}

using MasksOfFamily = std::array<std::array<RunHeaders::Mask, 2>, kMaxTags + 1>;

constexpr MasksOfFamily masks_of(bool ipv6) {
  MasksOfFamily out;
  for (size_t tags = 0; tags <= kMaxTags; ++tags) {
    out[tags] = {mask_of(tags, ipv6, false), mask_of(tags, ipv6, true)};
  }
  return out;
}

constexpr MasksOfFamily kMasks[] = {masks_of(false), masks_of(true)};

/// Of those fields of an IPv4 header that may differ. Headers that are the same in all else are
/// both right or both wrong when it is the same: it is never 0, so each remainder modulo 0xffff has
/// one form.
uint16_t sum_of_fields(const wire::Ipv4Header& ip) {
  return checksum_fold(uint64_t{ip.total_length.value()} + ip.id.value() + ip.checksum.value());
}

}  // namespace

void RunHeaders::set(const Segment& first) {
  CHECK(!first.obstacle);
  layout_ = first.layout;
  // What is behind the headers is not compared. A frame is rarely too short for so much.
  if (first.frame.size() >= kCompared) {
    std::memcpy(bytes_.data(), first.frame.data(), kCompared);
  } else {
    std::memcpy(bytes_.data(), first.frame.data(), layout_.payload);
  }
  mask_ = &kMasks[layout_.ipv6][(layout_.l3 - wire::kEthernetSize) / kTag][layout_.timestamps];
  const uint8_t* ip = bytes_.data() + layout_.l3;
  if (!layout_.ipv6) ip_sum_ = sum_of_fields(header_at<wire::Ipv4Header>(ip));
}

bool RunHeaders::same_but_for_fields(ByteSpan frame) const {
  uint64_t differing = 0;
  for (size_t i = 0; i < mask_->size(); ++i) {
    uint64_t a, b;
    std::memcpy(&a, bytes_.data() + i * sizeof a, sizeof a);
    std::memcpy(&b, frame.data() + i * sizeof b, sizeof b);
    differing |= (a ^ b) & (*mask_)[i];
  }
  return differing == 0;
}

bool RunHeaders::read_next(const port::RxPacket& packet, PayloadSum wanted, SeqNum next,
                           SegmentFields& out) const {
  const ByteSpan frame = packet.frame;
  if (frame.size() < kCompared || packet.gso_size != 0) return false;
  const auto& tcp = header_at<wire::TcpHeader>(frame.data() + layout_.l4);
  out.seq = SeqNum(tcp.seq.value());
  out.flags = tcp.flags;
  if (out.seq != next || (out.flags & ~kPsh) != kAck || !same_but_for_fields(frame)) return false;

  size_t end = layout_.l3;
  if (layout_.ipv6) {
    end += kIpv6 + header_at<wire::Ipv6Header>(frame.data() + layout_.l3).payload_length.value();
    out.ip_id = 0;
  } else {
    const auto& ip = header_at<wire::Ipv4Header>(frame.data() + layout_.l3);
    if (sum_of_fields(ip) != ip_sum_) return false;
    end += ip.total_length.value();
    out.ip_id = ip.id.value();
  }
  if (end <= layout_.payload || end > frame.size()) return false;
  out.size = static_cast<uint16_t>(end - layout_.payload);
  out.payload = frame.data() + layout_.payload;
  out.ack = SeqNum(tcp.ack.value());
  out.window = tcp.window.value();
  out.timestamps = {};
  if (layout_.timestamps) {
    const uint8_t* stamps = frame.data() + layout_.l4 + kTsValue;
    out.timestamps = {.value = header_at<Be32>(stamps).value(),
                      .echo = header_at<Be32>(stamps + sizeof(Be32)).value()};
  }
  out.partial = packet.checksum == port::ChecksumState::kPartial;
  return read_checksum(frame.first(end), layout_, packet.checksum, wanted, out.sum);
}

}  // namespace fairlead::nic
