// Hostile frames against a stack with live connections: nothing may be read out of bounds (the dev
// preset runs this under AddressSanitizer), nothing may be left over, and everything is counted.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "port/packet_builder.h"
#include "sim/frame_cutter.h"
#include "sim/host.h"
#include "wire/checksum.h"

namespace fairlead::sim {
namespace {

constexpr IpAddress kUs = IpAddress::v4(0xc6120001);
constexpr IpAddress kPeer = IpAddress::v4(0xc6120002);

class GarbageFlood : public testing::Test {
 protected:
  GarbageFlood() : host_(simulator_, {.addresses = {kUs}, .id = 1, .stack = {}}) {
    host_.attach([this](Link::Frame) { ++answers_; });
    CHECK(host_.stack().listen({kUs, 7}, {}).has_value());
  }

  /// A well-formed segment to our listener, checksums complete.
  Link::Frame segment(uint8_t flags, SeqNum seq, SeqNum ack, ByteSpan payload = {}) {
    port::TxPacket packet;
    packet.clear();
    if (!payload.empty()) {
      packet.payload[0] = payload;
      packet.payload_count = 1;
      packet.payload_size = static_cast<uint32_t>(payload.size());
    }
    port::TcpPacketSpec spec;
    spec.tuple = {{kPeer, static_cast<uint16_t>(1024 + rng_.below(60000))}, {kUs, 7}};
    spec.seq = seq;
    spec.ack = ack;
    spec.flags = flags;
    spec.window = static_cast<uint16_t>(rng_.next());
    port::build_tcp_packet(packet, spec);
    return cut_frames(packet).front();
  }
  SeqNum any() { return SeqNum(static_cast<uint32_t>(rng_.next())); }
  void deliver(ByteSpan frame) {
    // At its exact size, so that one byte too far is seen.
    auto exact = std::make_unique<uint8_t[]>(frame.size());
    std::copy(frame.begin(), frame.end(), exact.get());
    port::RxPacket packet;
    packet.frame = {exact.get(), frame.size()};
    host_.stack().expect({&packet, 1});
    host_.stack().on_packet(packet, simulator_.now());
    host_.stack().settle();
    if (++delivered_ % 64 == 0) {
      simulator_.run(simulator_.now() + milliseconds(1));
      host_.turn();
    }
  }

  Simulator simulator_{7};
  Rng rng_{11};
  SimHost host_;
  uint64_t answers_ = 0;
  uint64_t delivered_ = 0;
};

TEST_F(GarbageFlood, RandomBytesMakeNoConnection) {
  for (int i = 0; i < 100'000; ++i) {
    Link::Frame frame(rng_.below(200));
    for (uint8_t& b : frame) b = static_cast<uint8_t>(rng_.next());
    if (frame.size() > 14 && rng_.chance(0.7)) {
      frame[12] = 0x08, frame[13] = 0, frame[14] = 0x45;
    }
    deliver(frame);
  }
  EXPECT_EQ(host_.stack().connection_count(), 0u);
  EXPECT_EQ(host_.stack().counters().segments_received, 0u);
}

TEST_F(GarbageFlood, EveryTruncationOfAGoodFrameIsRefused) {
  std::array<uint8_t, 40> payload{};
  Link::Frame good = segment(wire::tcp_flag::kSyn, any(), SeqNum(0), payload);
  for (size_t n = 0; n < good.size(); ++n) deliver(ByteSpan(good).first(n));
  EXPECT_EQ(host_.stack().connection_count(), 0u);
  deliver(good);
  EXPECT_EQ(host_.stack().connection_count(), 1u);
}

TEST_F(GarbageFlood, AWrongChecksumIsCountedAndRefused) {
  for (int i = 0; i < 2000; ++i) {
    Link::Frame frame = segment(wire::tcp_flag::kSyn, any(), SeqNum(0));
    frame[34 + rng_.below(frame.size() - 34)] ^= static_cast<uint8_t>(1 + rng_.below(255));
    deliver(frame);
  }
  const host::Counters& c = host_.stack().counters();
  EXPECT_EQ(host_.stack().connection_count(), 0u);
  EXPECT_EQ(c.drop_bad_tcp_checksum + c.drop_malformed_tcp, 2000u);
}

TEST_F(GarbageFlood, OptionsOfEveryLengthAreSurvived) {
  for (int round = 0; round < 200; ++round) {
    for (size_t options = 0; options <= 40; options += 4) {
      Link::Frame frame = segment(wire::tcp_flag::kSyn, any(), SeqNum(0));
      std::vector<uint8_t> bytes(options);
      for (uint8_t& b : bytes)
        b = static_cast<uint8_t>(rng_.chance(0.5) ? rng_.below(35) : rng_.below(45));
      frame.insert(frame.end(), bytes.begin(), bytes.end());
      frame[46] = static_cast<uint8_t>((20 + options) / 4 << 4);
      auto put = [&](size_t at, uint16_t v) {
        frame[at] = static_cast<uint8_t>(v >> 8), frame[at + 1] = static_cast<uint8_t>(v);
      };
      put(16, static_cast<uint16_t>(frame.size() - 14));
      put(24, 0);
      put(24, checksum_finish(checksum_add(0, ByteSpan(frame).subspan(14, 20))));
      put(50, 0);
      uint64_t pseudo = pseudo_header_sum({.source = kPeer,
                                           .destination = kUs,
                                           .protocol = wire::ip_protocol::kTcp,
                                           .length = static_cast<uint32_t>(20 + options)});
      put(50, checksum_finish(checksum_add(pseudo, ByteSpan(frame).subspan(34))));
      deliver(frame);
    }
  }
  const host::Counters& c = host_.stack().counters();
  EXPECT_EQ(c.segments_received, 200u * 11);
  EXPECT_EQ(c.drop_bad_tcp_checksum, 0u);
}

TEST_F(GarbageFlood, RandomSegmentsNeverEstablishAConnection) {
  std::array<uint8_t, 100> payload{};
  for (int i = 0; i < 100'000; ++i) {
    deliver(segment(static_cast<uint8_t>(rng_.next()), any(), any(),
                    ByteSpan(payload).first(rng_.below(100))));
  }
  const host::Counters& c = host_.stack().counters();
  EXPECT_EQ(c.connections_established, 0u);
  // The bounds held, and what they refused was counted.
  EXPECT_LE(host_.stack().connection_count(), host::ListenOptions{}.syn_queue);
  EXPECT_GT(c.resets_limited, 0u);
  // Half-open connections go by themselves.
  simulator_.run(simulator_.now() + minutes(3));
  EXPECT_EQ(host_.stack().connection_count(), 0u);
}

}  // namespace
}  // namespace fairlead::sim
