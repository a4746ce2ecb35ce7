#include <array>
#include <vector>

#include "base/random.h"
#include "bench/aggregate_peers.h"
#include "bench/aggregate_traffic.h"
#include "nic/aggregate/aggregator.h"

namespace fairlead::bench {
namespace {

class FairleadPeer final : public Peer, nic::PacketSink {
 public:
  FairleadPeer(Work work, size_t flows)
      : work_(work),
        memory_(kFrames * kStride),
        aggregator_(config(work, flows), Time(seconds(1))) {
    for (size_t i = 0; i < kFrames; ++i) free_.push_back(memory_.data() + i * kStride);
    refill();
  }

  uint8_t* frame(size_t i) override { return const_cast<uint8_t*>(burst_[i].frame.data()); }

  void process(Time now) override {
    aggregator_.on_burst(burst_, now, *this);
    aggregator_.on_timer(now, *this);
  }

  size_t collect() override {
    refill();
    return std::exchange(sent_, 0);
  }

 private:
  static constexpr size_t kFrames = 2048;
  static constexpr size_t kStride = 2048 + 64;  // frames do not share the cache's sets

  static nic::AggregateConfig config(Work work, size_t flows) {
    nic::AggregateConfig config{.ag_timer = kLongestWait,
                                .del_timer = minutes(1),
                                .contexts = flows,
                                .leave_checksum = work == Work::kHeaders,
                                .chain = work == Work::kHeaders};
    fill_secure_random({reinterpret_cast<uint8_t*>(&config.secret), sizeof config.secret});
    return config;
  }

  void deliver(const port::RxPacket& packet, std::span<const ByteSpan> chain) override {
    ++sent_;
    if (work_ == Work::kPayload) return;
    if (chain.empty()) done_.push_back(packet.frame.data());
    for (const ByteSpan part : chain) done_.push_back(part.data());
  }

  void refill() {
    if (work_ == Work::kPayload && burst_[0].frame.data() != nullptr) return;  // none is kept
    for (const uint8_t* at : done_) {
      const auto index = static_cast<size_t>(at - memory_.data()) / kStride;
      free_.push_back(memory_.data() + index * kStride);
    }
    done_.clear();
    for (port::RxPacket& packet : burst_) {
      packet = {.frame = {free_.back(), Traffic::kFrame},
                .checksum = work_ == Work::kHeaders ? port::ChecksumState::kVerified
                                                    : port::ChecksumState::kUnknown};
      free_.pop_back();
    }
  }

  Work work_;
  std::vector<uint8_t> memory_;
  std::vector<uint8_t*> free_;
  std::vector<const uint8_t*> done_;
  std::array<port::RxPacket, kBurst> burst_{};
  size_t sent_ = 0;
  nic::Aggregator aggregator_;
};

}  // namespace

std::unique_ptr<Peer> make_fairlead(Work work, size_t flows) {
  return std::make_unique<FairleadPeer>(work, flows);
}

}  // namespace fairlead::bench
