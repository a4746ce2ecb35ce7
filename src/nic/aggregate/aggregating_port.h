// AggregatingPort: a port whose packets come aggregated.
//
//   receive() ── inner port's burst ──▶ Aggregator ──▶ what it sent, lent until release()
//
// An aggregate is lent in the buffer it was gathered in, which a reader may take: there is one
// copy, from the frame into that buffer. What passes is lent where the inner port has it.
//
// With nothing left to receive there are two ways:
//   kSend   all that is gathered is sent: it waits for no longer than what is in the queue takes.
//           For a reader that is woken by the port and sleeps until it is.
//   kWait   what is gathered waits for more, within AgTimer. The reader calls again at
//           next_deadline(), and receive() then gives what is due.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "nic/aggregate/aggregator.h"
#include "port/port.h"

namespace fairlead::nic {

class AggregatingPort final : public port::Port, PacketSink {
 public:
  enum class WhenIdle : uint8_t { kSend, kWait };
  using ReadClock = Time (*)();

  struct Options {
    AggregateConfig aggregate;
    WhenIdle when_idle = WhenIdle::kSend;
    ReadClock clock = monotonic_now;
  };
  AggregatingPort(std::unique_ptr<port::Port> inner, const Options& options);

  const port::PortInfo& info() const override { return inner_->info(); }
  const port::PortCounters& counters() override { return inner_->counters(); }
  size_t receive(std::span<port::RxPacket> burst) override;
  void release() override;
  size_t transmit(std::span<const port::TxPacket> packets) override {
    return inner_->transmit(packets);
  }
  int poll_fd() const override { return inner_->poll_fd(); }

  /// kWait: when receive() has something to do even if nothing comes.
  std::optional<Time> next_deadline() const { return aggregator_.next_deadline(); }
  const Aggregator& aggregator() const { return aggregator_; }

 private:
  static constexpr size_t kBurst = 64;

  /// A packet to be lent. `buffer` is the one it lies in, or nullptr.
  struct Sent {
    port::RxPacket packet;
    port::RxBuffer* buffer = nullptr;
  };

  bool fetch();
  void deliver(const port::RxPacket& packet, std::span<const ByteSpan> chain) override;
  void pass(const port::RxPacket& packet) override { sent_.push_back({.packet = packet}); }
  ByteSpan copy(ByteSpan frame);

  std::unique_ptr<port::Port> inner_;
  WhenIdle when_idle_;
  ReadClock clock_;
  Aggregator aggregator_;
  std::vector<Sent> sent_;
  size_t lent_ = 0;  // of sent_, from the front
  // What lies in a buffer that is still needed, or for which there is no other. Reused.
  std::deque<std::vector<uint8_t>> copies_;
  size_t copies_used_ = 0;
};

}  // namespace fairlead::nic
