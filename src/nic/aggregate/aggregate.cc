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

}  // namespace

void Aggregate::use(const Memory& memory) {
  buffer_ = memory.buffer;
  capacity_ = static_cast<uint32_t>(memory.max_size);
  chained_ = memory.chained;
}

void Aggregate::open(Context& context, const Segment& segment, SeqNum base, Time deadline) {
  CHECK(empty());
  context_ = &context;
  base_ = base;
  deadline_ = deadline;
  payload_ = buffer_->data + kHeadroom;
  headers_.set(segment);
  dont_fragment_ = segment.dont_fragment;
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

void Aggregate::write_ip() {
  const MutableByteSpan headers = headers_.bytes();
  const size_t size = ip_size();
  if (layout().ipv6) {
    auto& ip = header_at<wire::Ipv6Header>(headers, layout().l3);
    ip.payload_length = static_cast<uint16_t>(size - sizeof ip);
    return;
  }
  auto& ip = header_at<wire::Ipv4Header>(headers, layout().l3);
  ip.total_length = static_cast<uint16_t>(size);
  ip.id = run_.first.ip_id;
  ip.checksum = 0;
  ip.checksum = checksum_finish(checksum_add_fixed<sizeof ip>(0, headers.data() + layout().l3));
}

void Aggregate::write_tcp(bool partial) {
  const MutableByteSpan headers = headers_.bytes();
  auto& tcp = header_at<wire::TcpHeader>(headers, layout().l4);
  tcp.seq = run_.first.seq.value();
  tcp.ack = run_.last.ack.value();
  tcp.window = run_.last.window;
  tcp.flags = run_.flags;
  if (layout().timestamps) {
    // What a delayed ACK echoes is the earliest TSval (RFC 7323 §4.3); TSecr belongs to the ACK.
    constexpr size_t kValue = sizeof(wire::TcpHeader) + 4;
    header_at<Be32>(headers, layout().l4 + kValue) = run_.first.timestamps.value;
    header_at<Be32>(headers, layout().l4 + kValue + 4) = run_.last.timestamps.echo;
  }
  const auto addresses = layout().ipv6 ? headers.subspan(layout().l3 + 8u, 2 * 16)
                                       : headers.subspan(layout().l3 + 12u, 2 * 4);
  const size_t size = size_t{layout().payload} - layout().l4 + run_.size;
  const uint64_t pseudo = checksum_add(wire::ip_protocol::kTcp, addresses) + size;
  tcp.checksum = 0;
  const auto tcp_header = headers.subspan(layout().l4);
  tcp.checksum = partial ? checksum_fold(pseudo)
                         : checksum_finish(checksum_add(pseudo + run_.sum, tcp_header));
}

ByteSpan Aggregate::finish(bool partial) {
  CHECK(run_.count > 0);
  write_ip();
  write_tcp(partial);
  const ByteSpan headers = headers_.bytes();
  if (chained_) return headers;
  uint8_t* const frame = payload_ - headers.size();
  std::ranges::copy(headers, frame);
  return {frame, headers.size() + run_.size};
}

void Aggregate::rebase(SeqNum base) {
  if (held_count_ > 0 && !chained_) {
    CHECK(base.at_or_before(held_[0].seq));
    const uint32_t begin = offset_of(base);
    const uint32_t end = offset_of(held_[held_count_ - 1].end());
    std::memmove(payload_, payload_ + begin, end - begin);
  }
  base_ = base;
  run_ = {};
}

}  // namespace fairlead::nic
