#include "bench/aggregate_traffic.h"

#include <algorithm>
#include <cstring>

#include "wire/checksum.h"
#include "wire/ethernet.h"
#include "wire/ipv4.h"
#include "wire/tcp.h"

namespace fairlead::bench {
namespace {

using wire::EthernetHeader, wire::Ipv4Header, wire::TcpHeader;

constexpr size_t kIpAt = wire::kEthernetSize;
constexpr size_t kTcpAt = kIpAt + sizeof(Ipv4Header);
constexpr size_t kOptions = kTcpAt + sizeof(TcpHeader);
constexpr size_t kPayload = kOptions + 12;
constexpr uint32_t kSegment = Traffic::kFrame - kPayload;
constexpr size_t kActive = 16;

template <typename T>
T& at(uint8_t* frame, size_t offset) {
  static_assert(alignof(T) == 1);
  return *reinterpret_cast<T*>(frame + offset);
}

}  // namespace

Traffic::Traffic(const TrafficOptions& options)
    : options_(options), flows_(options.flows), template_(kFrame) {
  // All to one server, whose gateway the frames come from.
  constexpr uint8_t kLink[] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0};
  constexpr uint8_t kTimestamps[] = {1, 1, 8, 10};
  std::ranges::copy(kLink, template_.begin());
  Ipv4Header ip;
  ip.total_length = kFrame - kIpAt;
  ip.fragment = Ipv4Header::kDontFragment;
  ip.destination = 0x0a000001;
  at<Ipv4Header>(template_.data(), kIpAt) = ip;
  TcpHeader tcp;
  tcp.destination_port = 80;
  tcp.ack = 1;
  tcp.data_offset = 0x80;
  tcp.flags = wire::tcp_flag::kAck;
  tcp.window = 500;
  at<TcpHeader>(template_.data(), kTcpAt) = tcp;
  std::ranges::copy(kTimestamps, template_.begin() + kOptions);
  for (size_t i = kPayload; i < kFrame; ++i) template_[i] = static_cast<uint8_t>(rng_.next());
  trains_.resize(std::min<size_t>(kActive, options.flows));
}

uint32_t Traffic::pick(bool& push) {
  if (options_.pattern == TrafficOptions::Pattern::kRoundRobin) {
    turn_ = turn_ + 1 < options_.flows ? turn_ + 1 : 0;
    return turn_;
  }
  if (begun_ < options_.flows) return begun_++;
  if (in_a_row_ == 0) {
    active_ = rng_.below(trains_.size());
    in_a_row_ = static_cast<uint32_t>(1 + rng_.below(4));
  }
  --in_a_row_;
  Train& train = trains_[active_];
  if (train.left == 0) {
    train = {.flow = static_cast<uint32_t>(rng_.below(options_.flows)),
             .left = static_cast<uint32_t>(2 + rng_.below(44))};
  }
  push = --train.left == 0;
  return train.flow;
}

void Traffic::next(uint8_t* frame) {
  now_ += kInterval;
  bool push = false;
  const uint32_t flow = pick(push);
  write(frame, flow, push);
}

void Traffic::write(uint8_t* frame, uint32_t flow, bool push) {
  Flow& state = flows_[flow];
  std::memcpy(frame, template_.data(), kFrame);
  auto& ip = at<Ipv4Header>(frame, kIpAt);
  ip.id = state.ip_id++;
  ip.source = 0x0b000000 + flow / 16;
  ip.checksum = 0;
  ip.checksum = checksum_finish(checksum_add(0, {frame + kIpAt, sizeof ip}));
  auto& tcp = at<TcpHeader>(frame, kTcpAt);
  tcp.source_port = static_cast<uint16_t>(1024 + flow % 16);
  tcp.seq = state.seq;
  if (push) tcp.flags |= wire::tcp_flag::kPsh;
  at<Be32>(frame, kOptions + 4) = static_cast<uint32_t>(now_.time_since_epoch() / milliseconds(1));
  const uint64_t pseudo = checksum_add(wire::ip_protocol::kTcp, {frame + kIpAt + 12, 8});
  tcp.checksum = 0;
  tcp.checksum =
      checksum_finish(checksum_add(pseudo + (kFrame - kTcpAt), {frame + kTcpAt, kFrame - kTcpAt}));
  state.seq += kSegment;
}

}  // namespace fairlead::bench
