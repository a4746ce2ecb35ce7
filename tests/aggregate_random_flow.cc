#include "tests/aggregate_random_flow.h"

namespace fairlead::test {

RandomFlow::RandomFlow(Rng rng, uint16_t number) : rng_(rng) {
  if (rng_.chance(0.5)) sender_ = Sender::v6();
  sender_.segment.from.port = static_cast<uint16_t>(1000 + number / 2);  // two may share a port
  sender_.segment.seq = static_cast<uint32_t>(rng_.next());
  if (rng_.chance(0.3)) tags_ = {static_cast<uint16_t>(number)};
  if (number % 2 != 0) tags_.push_back(9);
  mss_ = 1 + rng_.below(1460);
  with_timestamps_ = rng_.chance(0.5);
  trouble_ = rng_.chance(0.3) ? 0 : 0.1 * rng_.unit();
}

FrameSpec RandomFlow::next() {
  if (!late_.empty() && rng_.chance(0.3)) return take_late();
  FrameSpec spec = make();
  if (rng_.chance(trouble_)) {
    late_.push_back(spec);  // overtaken
    if (rng_.chance(0.3)) late_.push_back(spec);
    return make();
  }
  if (rng_.chance(trouble_)) late_.push_back(spec);  // a duplicate
  if (rng_.chance(trouble_)) return make();          // lost
  return spec;
}

FrameSpec RandomFlow::take_late() {
  const size_t at = rng_.below(late_.size());
  FrameSpec out = late_[at];
  late_.erase(late_.begin() + static_cast<ptrdiff_t>(at));
  return out;
}

FrameSpec RandomFlow::make() {
  FrameSpec spec = sender_.next(rng_.chance(0.05) ? rng_.below(mss_ + 1) : mss_);
  spec.tags = tags_;
  sender_.segment.ack += static_cast<uint32_t>(rng_.below(3));
  if (rng_.chance(trouble_)) sender_.segment.ack -= 2;
  if (with_timestamps_) {
    clock_ += static_cast<uint32_t>(rng_.below(2));
    spec.segment.options = nops(2) + timestamps(clock_, clock_ + 1);
  }
  if (rng_.chance(trouble_)) spec.segment.options = nops(2) + sack({1, 2});
  if (rng_.chance(0.03)) spec.segment.flags |= 8;
  if (rng_.chance(trouble_ / 4)) spec.segment.flags = static_cast<uint8_t>(rng_.next());
  if (rng_.chance(trouble_)) spec.segment.traffic_class = 3;
  if (rng_.chance(trouble_ / 4)) spec.segment.ttl = 9;
  if (rng_.chance(trouble_ / 4)) spec.fragment = 0;
  if (rng_.chance(trouble_ / 4)) spec.ip_id = 0;
  if (rng_.chance(trouble_ / 4)) spec.mac = 7;
  if (rng_.chance(trouble_ / 4)) sender_.segment.seq += static_cast<uint32_t>(rng_.below(1u << 18));
  if (rng_.chance(trouble_)) spec.padding = 4;
  return spec;
}

nic::AggregateConfig random_config(Rng& rng) {
  nic::AggregateConfig config{.ag_timer = microseconds(10 + rng.below(1000)),
                              .contexts = 1 + rng.below(8),
                              .open_aggregates = 1 + rng.below(6),
                              .max_held = rng.below(33),
                              .carry_push = rng.chance(0.5),
                              .leave_checksum = rng.chance(0.5),
                              .chain = rng.chance(0.5)};
  if (rng.chance(0.5)) {
    config.max_aggregate = 1500 + rng.below(20'000);
    config.threshold = rng.below(config.max_aggregate - 1500 + 1);
  }
  return config;
}

}  // namespace fairlead::test
