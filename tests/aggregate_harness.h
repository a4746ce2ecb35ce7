// Frames for an Aggregator, and what it makes of them, checked by code of its own: every delivered
// frame has the lengths and checksums it should have, or the test fails.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "nic/aggregate/aggregator.h"
#include "tests/splice_packets.h"

namespace fairlead::test {

/// A segment, and what is around it.
struct FrameSpec {
  Segment segment;
  uint16_t ip_id = 0;
  uint16_t fragment = 0x4000;    // DF
  std::vector<uint16_t> tags{};  // VLAN ids, outer first
  uint8_t mac = 1;               // the sender's last byte
  size_t padding = 0;
};
PacketBytes frame_of(const FrameSpec& spec);

/// A delivered packet, read back.
struct Delivered {
  PacketBytes frame;
  uint16_t gso_size = 0;
  port::ChecksumState checksum = port::ChecksumState::kUnknown;
  Time when{};
  size_t fragments = 0;  // behind the headers, when chained
  // Of TCP, when it is that; else all zero.
  std::string flow{};  // source, destination, ports, tags as bytes
  uint16_t ip_id = 0;
  uint32_t seq = 0;
  uint32_t ack = 0;
  uint16_t window = 0;
  uint8_t flags = 0;
  PacketBytes options{};
  PacketBytes payload{};

  size_t segments() const { return gso_size == 0 ? 1 : (payload.size() + gso_size - 1) / gso_size; }
};
/// Reads any frame; `frame` only when it is not TCP in IP.
Delivered read_frame(ByteSpan frame);
/// What is wrong with a TCP frame, empty when nothing is: lengths, both checksums.
std::string fault_of(ByteSpan frame, bool partial);

/// The segments that one stands for (gso_size): sequence number and payload.
std::vector<std::pair<uint32_t, PacketBytes>> cut(const Delivered& delivered);

constexpr Time kHarnessStart{seconds(1'700'000'000)};

/// An aggregator on a virtual clock: timers fire exactly when they are due.
class Harness : public nic::PacketSink {
 public:
  explicit Harness(const nic::AggregateConfig& config = {});

  /// `wait` after the last; several at the same time.
  void arrive_together(std::span<const FrameSpec> specs, Duration wait = microseconds(1),
                       port::ChecksumState checksum = port::ChecksumState::kUnknown);
  void arrive(const FrameSpec& spec, Duration wait = microseconds(1));
  void arrive(const port::RxPacket& packet, Duration wait = microseconds(1));
  void wait(Duration duration);
  void flush() { aggregator.flush(now, *this); }
  void deliver(const port::RxPacket& packet, std::span<const ByteSpan> chain) override;

  /// What was delivered since the last call.
  std::vector<Delivered> take() { return std::exchange(delivered, {}); }
  uint64_t flushed(nic::FlushReason reason) const { return aggregator.counters()[reason]; }
  uint64_t simple(nic::SimpleReason reason) const { return aggregator.counters()[reason]; }

  Time now = kHarnessStart;
  nic::AggregateConfig config;
  nic::Aggregator aggregator;
  std::vector<Delivered> delivered;

 private:
  /// A copy of exactly its size, which is there as long as the contract says and no longer.
  port::RxPacket lend(const port::RxPacket& packet);
  void take_back();

  std::deque<std::unique_ptr<uint8_t[]>> borrowed_;  // with config.chain: all
};

/// Consecutive segments of one connection, one after the other.
struct Sender {
  Segment segment{.from = {IpAddress::v4(0xc0000201u), 1000},
                  .to = {IpAddress::v4(0xc6336401u), 80},
                  .seq = 0xffff'f000u,
                  .ack = 5};
  uint16_t ip_id = 0xfff0;
  uint32_t content = 0;  // what the next byte is made of

  static Sender v6();
  FrameSpec next(size_t size = 1000);
};

}  // namespace fairlead::test
