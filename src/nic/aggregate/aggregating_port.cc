#include "nic/aggregate/aggregating_port.h"

#include <algorithm>
#include <array>
#include <utility>

namespace fairlead::nic {

AggregatingPort::AggregatingPort(std::unique_ptr<port::Port> inner, const Options& options)
    : inner_(std::move(inner)),
      when_idle_(options.when_idle),
      clock_(options.clock),
      aggregator_(options.aggregate, options.clock()) {
  CHECK(!options.aggregate.chain);  // a chain would outlive release()
}

size_t AggregatingPort::receive(std::span<port::RxPacket> burst) {
  while (sent_.empty() && fetch()) inner_->release();
  const size_t count = std::min(burst.size(), sent_.size() - lent_);
  for (size_t i = 0; i < count; ++i) {
    Sent& sent = sent_[lent_ + i];
    burst[i] = sent.packet;
    if (sent.buffer != nullptr) burst[i].buffer = &sent.buffer;
  }
  lent_ += count;
  return count;
}

/// A burst of the inner port. False: it was empty, or there is something to lend.
bool AggregatingPort::fetch() {
  std::array<port::RxPacket, kBurst> burst;
  const size_t count = inner_->receive(burst);
  const Time now = clock_();
  aggregator_.on_timer(now, *this);
  aggregator_.on_burst(std::span(burst).first(count), now, *this);
  if (count == 0 && when_idle_ == WhenIdle::kSend) aggregator_.flush(now, *this);
  return count > 0 && sent_.empty();
}

void AggregatingPort::release() {
  if (lent_ < sent_.size()) return;  // the rest may lie in the same burst of the inner port
  for (const Sent& sent : sent_) {
    if (sent.buffer != nullptr) sent.buffer->pool->give_back(*sent.buffer);
  }
  sent_.clear();
  lent_ = copies_used_ = 0;
  inner_->release();
}

void AggregatingPort::deliver(const port::RxPacket& packet, std::span<const ByteSpan>) {
  Sent& sent = sent_.emplace_back(Sent{.packet = packet});
  sent.packet.buffer = nullptr;
  port::RxBuffer* fresh = packet.buffer == nullptr ? nullptr : (*packet.buffer)->pool->create();
  if (fresh == nullptr) {
    sent.packet.frame = copy(packet.frame);
  } else {
    sent.buffer = std::exchange(*packet.buffer, fresh);
  }
}

ByteSpan AggregatingPort::copy(ByteSpan frame) {
  if (copies_used_ == copies_.size()) copies_.emplace_back();
  std::vector<uint8_t>& out = copies_[copies_used_++];
  out.assign(frame.begin(), frame.end());
  return out;
}

}  // namespace fairlead::nic
