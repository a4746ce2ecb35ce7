// Teardowns: a Teardown, the hand-overs it gets, and what it sends, for its tests.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "nic/teardown/teardown.h"
#include "wire/tcp.h"

namespace fairlead::nic {

inline constexpr Time kStart{seconds(100)};
inline constexpr uint32_t kMss = 1000;
inline constexpr uint32_t kBytes = 3000;
inline constexpr uint32_t kWindow = 60'000;
inline constexpr Duration kRto = milliseconds(200);
inline const SeqNum kUna(0xffff'fc00);  // wraps within the data
inline const SeqNum kEnd = kUna + (kBytes + 1);
inline const SeqNum kRcvNxt(5000);

inline FourTuple tuple(uint16_t port) {
  return {{IpAddress::v4(0xc0000201), 80}, {IpAddress::v4(0xc0000202), port}};
}
inline uint8_t byte_at(uint32_t offset) { return static_cast<uint8_t>(offset * 7 + offset / 251); }

/// What was sent, as far as it matters here.
struct Sent {
  uint8_t flags;
  SeqNum seq;
  SeqNum ack;
  uint32_t size;
  std::vector<uint8_t> payload;
  wire::TcpOptions options;
};

class Teardowns : public testing::Test, public TeardownObserver {
 protected:
  Teardowns() { reset({}); }

  void reset(const Teardown::Options& options) {
    teardown_.reset();
    reports_.clear();
    now_ = kStart;
    teardown_.emplace(options, SipKey{1, 2}, this, now_);
  }
  void on_teardown_end(const TeardownReport& report) override { reports_.push_back(report); }

  static std::vector<uint8_t> data(uint32_t size) {
    std::vector<uint8_t> bytes(size);
    for (uint32_t i = 0; i < size; ++i) bytes[i] = byte_at(i);
    return bytes;
  }
  static Handover handover(uint16_t port = 5000) {
    return {.tuple = tuple(port),
            .local_mac = {{2, 0, 0, 0, 0, 1}},
            .next_hop = {{2, 0, 0, 0, 0, 2}},
            .port_index = 3,
            .mss = kMss,
            .window = 500,
            .receive_window = kWindow,
            .send_window = kBytes,
            .rto = kRto,
            .snd_una = kUna,
            .snd_nxt = kUna,
            .rcv_nxt = kRcvNxt,
            .timestamps = {},
            .data = {}};
  }
  /// In two pieces.
  std::expected<void, TeardownRefusal> take(Handover h, uint32_t size = kBytes) {
    const std::vector<uint8_t> bytes = data(size);
    const std::array pieces{ByteSpan(bytes).first(size / 3), ByteSpan(bytes).subspan(size / 3)};
    h.data = pieces;
    return teardown_->take(h, now_);
  }
  /// What it sends now.
  std::vector<Sent> sent() {
    std::vector<Sent> all;
    port::PacketBurst burst;
    bool more = true;
    while (more) {
      more = teardown_->transmit(burst, now_);
      for (const port::TxPacket& packet : burst.packets()) all.push_back(decode(packet));
      burst.clear();
    }
    return all;
  }
  static Sent decode(const port::TxPacket& packet) {
    auto tcp = wire::TcpView::checked(packet.header_bytes().subspan(packet.l4_offset));
    EXPECT_EQ(packet.port_index, 3);
    Sent s{tcp->header().flags, tcp->seq(), tcp->ack(), packet.payload_size, {}, {}};
    s.options = wire::TcpOptions::parse(tcp->options());
    for (size_t i = 0; i < packet.payload_count; ++i) {
      s.payload.insert(s.payload.end(), packet.payload[i].begin(), packet.payload[i].end());
    }
    return s;
  }
  static TeardownSegment segment(uint8_t flags, SeqNum seq, SeqNum ack, uint32_t payload = 0) {
    TeardownSegment s;
    s.tuple = tuple(5000);
    s.seq = seq;
    s.ack = ack;
    s.flags = flags;
    s.payload = payload;
    s.window = 1000;
    return s;
  }
  Teardown::Outcome deliver(const TeardownSegment& s) {
    return teardown_->on_segment(s, now_).outcome;
  }
  void deliver_ack(SeqNum ack) { deliver(segment(wire::tcp_flag::kAck, kRcvNxt, ack)); }
  /// A timer of this length comes up by then: its slack, and an interval of the wheel.
  static Duration latest(Duration wait) {
    constexpr Duration kInterval = microseconds(100);
    return wait + kInterval +
           std::min<Duration>(wait / Teardown::kTimerSlack,
                              kInterval * int64_t{Teardown::kMaxSlack});
  }
  void pass(Duration duration) {
    const Time until = now_ + duration;
    for (;;) {
      const std::optional<Time> next = teardown_->next_deadline();
      if (!next || *next > until) break;
      now_ = std::max(now_, *next);
      if (*next == Time{}) break;  // it wants to send
      teardown_->on_timer(now_);
    }
    now_ = until;
    teardown_->on_timer(now_);
  }
  std::string state(uint16_t port = 5000) {
    const auto s = teardown_->state(tuple(port));
    if (s) return std::string(teardown_state_name(*s));
    return reports_.empty() ? "gone" : std::string(teardown_end_name(reports_.back().end));
  }
  void expect_empty() {
    EXPECT_EQ(teardown_->size(), 0u);
    EXPECT_EQ(teardown_->held_bytes(), 0u);
    EXPECT_EQ(teardown_->next_deadline(), std::nullopt);
  }

  Time now_ = kStart;
  std::vector<TeardownReport> reports_;
  std::optional<Teardown> teardown_;
};

}  // namespace fairlead::nic
