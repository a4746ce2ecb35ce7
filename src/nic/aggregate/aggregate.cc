#include "nic/aggregate/aggregate.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "wire/checksum.h"
#include "wire/ipv4.h"
#include "wire/ipv6.h"
#include "wire/tcp.h"

namespace fairlead::nic {
namespace {

template <typename Header>
Header& header_at(MutableByteSpan frame, size_t offset) {
  static_assert(alignof(Header) == 1);
  return *reinterpret_cast<Header*>(frame.data() + offset);
}

/// A folded sum as it counts behind an odd number of bytes (RFC 1071 §2(B)).
uint16_t swapped(uint16_t sum) { return std::byteswap(sum); }

}  // namespace

void Aggregate::use_buffer(MutableByteSpan buffer) {
  CHECK(buffer.size() > kHeadroom);
  payload_ = buffer.data() + kHeadroom;
  capacity_ = static_cast<uint32_t>(buffer.size() - kHeadroom);
}

void Aggregate::open(Context& context, const Segment& segment, SeqNum base, Time deadline) {
  CHECK(empty());
  context_ = &context;
  base_ = base;
  deadline_ = deadline;
  layout_ = segment.layout;
  dont_fragment_ = segment.dont_fragment;
  std::memcpy(payload_ - layout_.payload, segment.frame.data(), layout_.payload);
}

bool Aggregate::has_place(const SegmentFields& fields) const {
  const uint32_t offset = offset_of(fields.seq);
  return offset <= capacity_ && fields.size <= capacity_ - offset;
}

bool Aggregate::overlaps_held(const SegmentFields& fields) const {
  for (size_t i = 0; i < held_count_; ++i) {
    if (held_[i].seq.before(fields.end()) && fields.seq.before(held_[i].end())) return true;
  }
  return false;
}

bool Aggregate::ip_id_follows(uint16_t id) const {
  // inet_gro_flush() of Linux: with the second packet it shows whether IDs count or, where nobody
  // will ever need them (DF, RFC 6864 §4.1), stay.
  const auto distance = static_cast<uint16_t>(id - run_.first.ip_id);
  if (run_.count == 1 && dont_fragment_ && distance == 0) return true;
  return distance == (run_.same_ip_id ? 0 : static_cast<uint16_t>(run_.count));
}

std::optional<FlushReason> Aggregate::obstacle(const SegmentFields& fields) const {
  if (run_.count == 0) return std::nullopt;
  if (fields.size > run_.first.size) return FlushReason::kLongerSegment;
  if (ip_size() + fields.size > capacity_) return FlushReason::kFull;
  if (!layout_.ipv6 && !ip_id_follows(fields.ip_id)) return FlushReason::kIpId;
  if (fields.ack.before(run_.last.ack)) return FlushReason::kAck;
  // RFC 7323 §4.3: TSval does not go back.
  const SeqNum value(fields.timestamps.value), last_value(run_.last.timestamps.value);
  if (layout_.timestamps && value.before(last_value)) return FlushReason::kTimestamp;
  return std::nullopt;
}

void Aggregate::place(const SegmentFields& fields, ByteSpan payload) {
  CHECK(has_place(fields) && payload.size() == fields.size);
  std::memcpy(payload_ + offset_of(fields.seq), payload.data(), payload.size());
}

void Aggregate::append(const SegmentFields& fields) {
  CHECK(offset_of(fields.seq) == run_.size);
  if (run_.count == 0) {
    run_.first = fields;
    run_.earliest = fields.arrived;
  } else if (run_.count == 1) {
    run_.same_ip_id = fields.ip_id == run_.first.ip_id;
  }
  if (fields.arrived < run_.earliest) {
    run_.arrived_later += run_.count * (run_.earliest - fields.arrived);
    run_.earliest = fields.arrived;
  }
  run_.arrived_later += fields.arrived - run_.earliest;
  run_.sum += run_.size % 2 == 0 ? fields.sum : swapped(fields.sum);
  run_.flags |= fields.flags;
  run_.last = fields;
  run_.size += fields.size;
  ++run_.count;
}

void Aggregate::hold(const SegmentFields& fields) {
  CHECK(held_count_ < kMaxHeld);
  size_t at = held_count_++;
  for (; at > 0 && fields.seq.before(held_[at - 1].seq); --at) held_[at] = held_[at - 1];
  held_[at] = fields;
}

SegmentFields Aggregate::take_held() {
  CHECK(held_count_ > 0);
  const SegmentFields first = held_[0];
  --held_count_;
  std::copy_n(held_.begin() + 1, held_count_, held_.begin());
  return first;
}

void Aggregate::write_ip(MutableByteSpan frame) const {
  const size_t size = ip_size();
  if (layout_.ipv6) {
    auto& ip = header_at<wire::Ipv6Header>(frame, layout_.l3);
    ip.payload_length = static_cast<uint16_t>(size - sizeof ip);
    return;
  }
  auto& ip = header_at<wire::Ipv4Header>(frame, layout_.l3);
  ip.total_length = static_cast<uint16_t>(size);
  ip.id = run_.first.ip_id;
  ip.checksum = 0;
  ip.checksum = checksum_finish(checksum_add(0, frame.subspan(layout_.l3, sizeof ip)));
}

void Aggregate::write_tcp(MutableByteSpan frame, bool partial) const {
  auto& tcp = header_at<wire::TcpHeader>(frame, layout_.l4);
  tcp.seq = run_.first.seq.value();
  tcp.ack = run_.last.ack.value();
  tcp.window = run_.last.window;
  tcp.flags = run_.flags;
  if (layout_.timestamps) {
    // What a delayed ACK echoes is the earliest TSval (RFC 7323 §4.3); TSecr belongs to the ACK.
    constexpr size_t kValue = sizeof(wire::TcpHeader) + 4;
    header_at<Be32>(frame, layout_.l4 + kValue) = run_.first.timestamps.value;
    header_at<Be32>(frame, layout_.l4 + kValue + 4) = run_.last.timestamps.echo;
  }
  const auto addresses = layout_.ipv6 ? frame.subspan(layout_.l3 + 8u, 2 * 16)
                                      : frame.subspan(layout_.l3 + 12u, 2 * 4);
  const uint64_t pseudo =
      checksum_add(wire::ip_protocol::kTcp, addresses) + (frame.size() - layout_.l4);
  tcp.checksum = 0;
  const auto headers = frame.subspan(layout_.l4, size_t{layout_.payload} - layout_.l4);
  tcp.checksum =
      partial ? checksum_fold(pseudo) : checksum_finish(checksum_add(pseudo + run_.sum, headers));
}

ByteSpan Aggregate::finish(bool partial) {
  CHECK(run_.count > 0);
  const MutableByteSpan frame(payload_ - layout_.payload, layout_.payload + run_.size);
  write_ip(frame);
  write_tcp(frame, partial);
  return frame;
}

void Aggregate::rebase(SeqNum base) {
  if (held_count_ > 0) {
    CHECK(base.at_or_before(held_[0].seq));
    const uint32_t begin = offset_of(base);
    const uint32_t end = offset_of(held_[held_count_ - 1].end());
    std::memmove(payload_, payload_ + begin, end - begin);
  }
  base_ = base;
  run_ = {};
}

}  // namespace fairlead::nic
