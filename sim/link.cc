#include "sim/link.h"

#include "wire/checksum.h"
#include "wire/ethernet.h"
#include "wire/ipv4.h"

namespace fairlead::sim {
namespace {

/// Sets Congestion Experienced on an ECN-capable packet (RFC 3168 §5). Frames here have no tags.
bool mark_ce(Link::Frame& frame) {
  if (frame.size() < wire::kEthernetSize + 20) return false;
  uint8_t* ip = frame.data() + wire::kEthernetSize;
  if (ip[0] >> 4 == 4) {
    if ((ip[1] & 3) == 0) return false;
    auto& h = *reinterpret_cast<wire::Ipv4Header*>(ip);
    FieldChange<uint16_t> change{static_cast<uint16_t>(ip[0] << 8 | ip[1]),
                                 static_cast<uint16_t>(ip[0] << 8 | ip[1] | 3)};
    h.checksum = checksum_update(h.checksum.value(), change);
    h.tos |= 3;
    return true;
  }
  if ((ip[1] >> 4 & 3) == 0) return false;
  ip[1] |= 0x30;
  return true;
}

}  // namespace

bool Link::lost() {
  if (in_burst_) {
    in_burst_ = !rng_.chance(1.0 / options_.burst_length);
    return true;
  }
  if (options_.burst_start > 0 && rng_.chance(options_.burst_start)) {
    in_burst_ = true;
    return true;
  }
  return rng_.chance(options_.loss);
}

void Link::send(Frame frame) {
  ++counters_.sent;
  if (options_.mtu != 0 && frame.size() > options_.mtu + wire::kEthernetSize) {
    ++counters_.too_big;
    return;
  }
  if (lost()) {
    ++counters_.lost;
    return;
  }
  if (rng_.chance(options_.corrupt) && frame.size() > wire::kEthernetSize) {
    size_t bit = rng_.below((frame.size() - wire::kEthernetSize) * 8);
    frame[wire::kEthernetSize + bit / 8] ^= static_cast<uint8_t>(1u << bit % 8);
    ++counters_.corrupted;
  }
  if (rng_.chance(options_.duplicate)) {
    ++counters_.duplicated;
    transfer(frame);
  }
  transfer(std::move(frame));
}

void Link::transfer(Frame frame) {
  Time start = simulator_.now();
  if (options_.bits_per_second > 0) {
    auto wait = std::max(Duration::zero(), free_at_ - start);
    auto waiting = std::chrono::duration<double>(wait).count() * options_.bits_per_second / 8;
    if (waiting > static_cast<double>(options_.queue_bytes)) {
      ++counters_.queue_full;
      return;
    }
    if (options_.mark_bytes > 0 && waiting > static_cast<double>(options_.mark_bytes) &&
        mark_ce(frame)) {
      ++counters_.marked;
    }
    double seconds_on_wire = static_cast<double>(frame.size()) * 8 / options_.bits_per_second;
    free_at_ = start + wait + Duration(static_cast<int64_t>(seconds_on_wire * 1e9));
    start = free_at_;
  }
  Time arrival = start + options_.delay;
  if (options_.jitter > Duration::zero()) {
    arrival +=
        Duration(static_cast<int64_t>(rng_.below(static_cast<uint64_t>(options_.jitter.count()))));
  }
  if (rng_.chance(options_.reorder)) arrival += options_.reorder_delay;
  simulator_.at(arrival, [this, f = std::move(frame)]() mutable {
    ++counters_.delivered;
    simulator_.trace(f);
    deliver_(std::move(f));
  });
}

}  // namespace fairlead::sim
