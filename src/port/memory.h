// MemoryPort: two ports in one process, wired to each other. For simulation, tests, fuzzing and
// benchmarks.
//
//      a->transmit() ──▶ [bounded queue of frames] ──▶ b->receive()
//      a->receive()  ◀── [bounded queue of frames] ◀── b->transmit()
//
// It behaves like a pair of Linux veth interfaces: what the sender left to "the interface" is never
// done, because nothing ever goes on a wire. A TxPacket with checksum_partial arrives as
// ChecksumState::kPartial, one with gso_size arrives whole, as a super-packet. An end whose
// PortInfo offers neither gets neither from its stack, and its frames arrive as kUnknown, to be
// verified.
//
// Frames are copied once, into the queue, and lent to the receiver from there. Buffers keep their
// size, so that in the steady state nothing is allocated. Both ends belong to one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "port/port.h"

namespace fairlead::port {

/// A bounded FIFO of frames which lends its oldest ones.
class FrameQueue {
 public:
  struct Frame {
    std::vector<uint8_t> bytes;
    uint16_t gso_size = 0;
    ChecksumState checksum = ChecksumState::kUnknown;
  };

  explicit FrameQueue(size_t capacity) : frames_(capacity) {}

  bool full() const { return size_ == frames_.size(); }
  size_t size() const { return size_; }
  /// The i-th oldest frame; i < size().
  const Frame& operator[](size_t i) const { return frames_[(head_ + i) % frames_.size()]; }
  /// A slot at the end, to be overwritten; the queue must not be full.
  Frame& append();
  /// Forgets the n oldest; n <= size().
  void remove(size_t n);

 private:
  std::vector<Frame> frames_;
  size_t head_ = 0;
  size_t size_ = 0;
};

class MemoryPort final : public Port {
 public:
  static constexpr size_t kDefaultQueue = 1024;  // frames in flight, each direction

  struct Pair {
    std::unique_ptr<MemoryPort> a;
    std::unique_ptr<MemoryPort> b;
  };
  /// Two ends. queue_capacity bounds each direction, in frames: at the bound a frame is lost and
  /// counted as rx_dropped of the end it was meant for. Either end may be destroyed first.
  static Pair make_pair(PortInfo a, PortInfo b, size_t queue_capacity = kDefaultQueue);

  const PortInfo& info() const override { return info_; }
  const PortCounters& counters() override;
  size_t receive(std::span<RxPacket> burst) override;
  void release() override;
  size_t transmit(std::span<const TxPacket> packets) override;
  int poll_fd() const override { return -1; }

  /// Delivers raw bytes to this port's receive(), as if the other end had sent them: for tests with
  /// frames no stack of ours would build. False when the queue is full (counted as rx_dropped).
  bool inject(ByteSpan frame, ChecksumState checksum = ChecksumState::kUnknown,
              uint16_t gso_size = 0);
  /// Frames waiting to be received.
  size_t pending() const { return incoming_->frames.size() - lent_; }

 private:
  /// One direction, shared by its two ends: the sender writes, the receiver reads.
  struct Direction {
    explicit Direction(size_t capacity) : frames(capacity) {}
    FrameQueue frames;
    uint64_t dropped = 0;
  };

  MemoryPort(PortInfo info, std::shared_ptr<Direction> in, std::shared_ptr<Direction> out)
      : info_(std::move(info)), incoming_(std::move(in)), outgoing_(std::move(out)) {}

  PortInfo info_;
  PortCounters counters_;
  std::shared_ptr<Direction> incoming_;
  std::shared_ptr<Direction> outgoing_;
  size_t lent_ = 0;  // frames handed out by receive() and not yet released
};

}  // namespace fairlead::port
