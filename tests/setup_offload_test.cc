// Connection setup as a client sees it: SYN in, SYN-ACK out, ACK in, and what the host is told.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "nic/setup/secrets.h"
#include "nic/setup/setup.h"
#include "nic/setup/setup_cookie.h"
#include "tests/setup_packets.h"
#include "wire/tcp.h"

namespace fairlead::nic {
namespace {

using namespace wire::tcp_flag;
using test::PacketBytes;
using test::operator+;
using test::ReadSegment;
using test::Segment;

/// Only the addresses of the vectors' listener are local.
class OneMachine final : public port::Router {
 public:
  Result<port::Path> resolve(const IpAddress&) override { return fail(Errc::kHostUnreachable); }
  std::optional<IpAddress> source_for(const IpAddress&) override { return std::nullopt; }
  std::optional<uint16_t> mtu_for(const IpAddress&) const override { return std::nullopt; }
  uint64_t generation() const override { return 0; }
  bool is_local(const IpAddress& address) const override {
    return address == test::setup_listener_endpoint(false).address ||
           address == test::setup_listener_endpoint(true).address;
  }
};

constexpr std::array<uint8_t, 6> kClientMac{2, 0, 0, 0, 0, 7};
constexpr std::array<uint8_t, 6> kOurMac{2, 0, 0, 0, 0, 1};

PacketBytes frame_of(const PacketBytes& packet) {
  PacketBytes out(kOurMac.begin(), kOurMac.end());
  out.insert(out.end(), kClientMac.begin(), kClientMac.end());
  test::append16(out, !packet.empty() && packet[0] >> 4 == 6 ? 0x86dd : 0x0800);
  return out + packet;
}

/// The rule in words: a lone SYN with timestamps, nothing special, and room for our options.
bool is_answered(const ReadSegment& syn) {
  const wire::TcpOptions& o = syn.options;
  return (syn.flags & kSyn) != 0 && (syn.flags & ~(kSyn | kEce | kCwr)) == 0 &&
         syn.payload.empty() && syn.tuple.local.port != 0 && o.timestamps && !o.malformed &&
         !o.fast_open && !o.authenticated && o.mss.value_or(536) >= 536 &&
         syn.options_size >= (o.window_scale ? 20 : 16);
}

class SetupOffloadTest : public testing::Test {
 protected:
  SetupOffloadTest() {
    for (const bool v6 : {false, true}) {
      EXPECT_TRUE(setup_.set_listener(test::setup_listener_endpoint(v6), test::kSetupListener));
    }
  }

  SetupOutcome receive(const PacketBytes& packet,
                       port::ChecksumState checksum = port::ChecksumState::kUnknown) {
    const PacketBytes frame = frame_of(packet);
    answer_.clear();
    return setup_.on_packet({.frame = frame, .checksum = checksum, .port_index = 3}, now_, answer_);
  }
  /// The answer from its IP header on.
  ByteSpan answer_packet() const { return answer_.header_bytes().subspan(14); }
  /// Sends a SYN that is answered.
  ReadSegment syn_ack_to(const Segment& syn) {
    EXPECT_EQ(receive(packet_of(syn)).verdict, FL_SETUP_ANSWERED);
    const auto read = test::read_segment(answer_packet());
    EXPECT_TRUE(read.has_value()) << "malformed, or a wrong checksum";
    return read.value_or(ReadSegment{});
  }
  ReadSegment linux_handshake(bool v6 = false) { return syn_ack_to(test::linux_syn(v6)); }
  SetupOutcome acknowledge(const ReadSegment& syn_ack, const PacketBytes& payload = {}) {
    return receive(packet_of(test::ack_segment(syn_ack, 0x11223355, payload)));
  }

  OneMachine router_;
  Time now_{seconds(1'000'000)};
  port::TxPacket answer_;
  SetupOffload setup_{router_, test::kSetupSecrets, {.max_listeners = 3, .max_replays = 8}};
};

TEST_F(SetupOffloadTest, GivesEveryVectorItsVerdict) {
  for (const test::SetupVector& vector : test::setup_vectors()) {
    const uint64_t before = setup_.count(vector.verdict);
    const SetupOutcome outcome = receive(vector.packet);
    EXPECT_EQ(outcome.verdict, vector.verdict) << vector.name;
    EXPECT_EQ(setup_.count(vector.verdict), before + 1) << vector.name;
    EXPECT_EQ(answer_.header_size > 0, vector.verdict == FL_SETUP_ANSWERED) << vector.name;
    if (vector.verdict == FL_SETUP_ANSWERED) {
      EXPECT_TRUE(test::read_segment(answer_packet())) << vector.name;
    }
  }
}

/// Every byte of the frame, computed by another program from the layout in setup_cookie.h.
TEST_F(SetupOffloadTest, AnswersLinuxByteForByteOverIpv4) {
  linux_handshake(false);
  EXPECT_EQ(
      PacketBytes(answer_.header_bytes().begin(), answer_.header_bytes().end()),
      (PacketBytes{0x02, 0x00, 0x00, 0x00, 0x00, 0x07, 0x02, 0x00, 0x00, 0x00, 0x00, 0x01, 0x08,
                   0x00, 0x45, 0x00, 0x00, 0x3c, 0x00, 0x00, 0x40, 0x00, 0x40, 0x06, 0x4e, 0x80,
                   0xc0, 0x00, 0x02, 0x01, 0xc6, 0x33, 0x64, 0x07, 0x00, 0x50, 0x9c, 0x40, 0x64,
                   0x4a, 0x8c, 0xd0, 0x89, 0xab, 0xcd, 0xf0, 0xa0, 0x12, 0xff, 0xff, 0xb3, 0xc1,
                   0x00, 0x00, 0x02, 0x04, 0x05, 0xb4, 0x04, 0x02, 0x08, 0x0a, 0x62, 0xf5, 0x1b,
                   0x4f, 0x11, 0x22, 0x33, 0x44, 0x01, 0x03, 0x03, 0x07}));
}

TEST_F(SetupOffloadTest, AnswersLinuxByteForByteOverIpv6) {
  linux_handshake(true);
  EXPECT_EQ(PacketBytes(answer_.header_bytes().begin(), answer_.header_bytes().end()),
            (PacketBytes{0x02, 0x00, 0x00, 0x00, 0x00, 0x07, 0x02, 0x00, 0x00, 0x00, 0x00, 0x01,
                         0x86, 0xdd, 0x60, 0x00, 0x00, 0x00, 0x00, 0x28, 0x06, 0x40, 0x20, 0x01,
                         0x0d, 0xb8, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
                         0x00, 0x01, 0x20, 0x01, 0x0d, 0xb8, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00,
                         0x00, 0x00, 0x00, 0x00, 0x00, 0x07, 0x00, 0x50, 0x9c, 0x40, 0x99, 0xed,
                         0xc7, 0xd0, 0x89, 0xab, 0xcd, 0xf0, 0xa0, 0x12, 0xff, 0xff, 0xf8, 0xd5,
                         0x00, 0x00, 0x02, 0x04, 0x05, 0xb4, 0x04, 0x02, 0x08, 0x0a, 0x47, 0xff,
                         0x11, 0x4f, 0x11, 0x22, 0x33, 0x44, 0x01, 0x03, 0x03, 0x07}));
}

TEST_F(SetupOffloadTest, AnswerGoesBackWhereTheSynCameFrom) {
  linux_handshake(true);
  EXPECT_EQ(answer_.port_index, 3);
  EXPECT_TRUE(answer_.ipv6);
  EXPECT_FALSE(answer_.checksum_partial);
  EXPECT_EQ(answer_.l4_offset, 14 + 40);
  EXPECT_EQ(answer_.payload_count, 0);
}

TEST_F(SetupOffloadTest, SaysNothingOfItsOwnThatTheSynDidNotAskFor) {
  Segment syn = test::linux_syn(false);
  syn.seq = 0xffffffff;
  syn.traffic_class = 0x2b;
  const ReadSegment answer = syn_ack_to(syn);
  EXPECT_EQ(answer.tuple, (FourTuple{.local = syn.to, .remote = syn.from}));
  EXPECT_EQ(answer.ack, 0u);
  EXPECT_EQ(answer.flags, kSyn | kAck);
  EXPECT_EQ(answer.window, test::kSetupListener.window);
  EXPECT_EQ(answer.hop_limit, 64);
  EXPECT_EQ(answer.traffic_class, 0) << "a SYN-ACK is never ECN-capable: RFC 3168 §6.1.1";
  wire::TcpOptions expected;
  expected.mss = test::kSetupListener.mss;
  expected.sack_permitted = true;
  expected.window_scale = test::kSetupListener.window_scale;
  expected.timestamps = wire::Timestamps{answer.options.timestamps->value, 0x11223344};
  EXPECT_EQ(answer.options, expected);
}

/// Every combination of options, both families: what the client asked for, the host is told.
TEST_F(SetupOffloadTest, OptionsComeBackWithTheAck) {
  Rng rng(1);
  for (int scale = -1; scale <= 14; ++scale) {
    for (unsigned choices = 0; choices < 16; ++choices) {
      const bool sack = (choices & 1) != 0, ecn = (choices & 2) != 0;
      const bool v6 = (choices & 4) != 0, with_mss = (choices & 8) != 0;
      SCOPED_TRACE(testing::Message() << "scale " << scale << " choices " << choices);
      wire::TcpOptions offered;
      if (with_mss) offered.mss = static_cast<uint16_t>(536 + rng.below(65000));
      if (scale >= 0) offered.window_scale = static_cast<uint8_t>(scale);
      offered.sack_permitted = sack;
      offered.timestamps = wire::Timestamps{static_cast<uint32_t>(rng.next()), 0};
      PacketBytes options = test::bytes_of(offered);
      options.resize(std::max<size_t>(options.size(), scale >= 0 ? 20 : 16), 1);
      Segment syn = test::syn_segment(v6, options);
      syn.seq = static_cast<uint32_t>(rng.next());
      syn.from.port = static_cast<uint16_t>(1 + rng.below(65535));
      if (ecn) syn.flags = kSyn | kEce | kCwr;
      now_ += milliseconds(rng.below(1'000'000));

      const ReadSegment answer = syn_ack_to(syn);
      EXPECT_EQ(answer.options.window_scale.has_value(), scale >= 0);
      EXPECT_EQ(answer.options.sack_permitted, sack);
      EXPECT_EQ(answer.flags, kSyn | kAck | (ecn ? kEce : 0));
      EXPECT_EQ(answer.options.timestamps->echo, offered.timestamps->value);
      now_ += milliseconds(rng.below(60'000));
      const SetupOutcome outcome = acknowledge(answer, test::some_bytes(rng.below(100)));
      ASSERT_EQ(outcome.verdict, FL_SETUP_NEW_CONNECTION);
      const NewConnection& c = outcome.connection;
      EXPECT_EQ(c.tuple, (FourTuple{.local = syn.to, .remote = syn.from}));
      EXPECT_EQ(c.irs.value(), syn.seq);
      EXPECT_EQ(c.iss.value(), answer.seq);
      EXPECT_EQ(c.peer_window_shift, offered.window_scale);
      EXPECT_EQ(c.window_shift, scale >= 0 ? test::kSetupListener.window_scale : 0);
      EXPECT_EQ(c.sack, sack);
      EXPECT_EQ(c.ecn, ecn);
      EXPECT_EQ(c.mss, test::kSetupListener.mss);
      EXPECT_EQ(c.window, test::kSetupListener.window);
      const uint16_t mss = offered.mss.value_or(v6 ? 1220 : 536);
      EXPECT_EQ(c.peer_mss, fl_cookie_mss(fl_cookie_mss_index(mss)));
      EXPECT_EQ(c.timestamps.value, 0x11223355u);
      EXPECT_EQ(c.timestamps.echo, answer.options.timestamps->value);
    }
  }
}

TEST_F(SetupOffloadTest, WhateverIsAnsweredIsAnsweredRight) {
  int answered = 0;
  for (uint64_t seed = 0; seed < 20'000; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Rng rng(seed);
    const PacketBytes packet = test::random_syn(rng);
    const auto syn = test::read_segment(packet);
    ASSERT_EQ(receive(packet).verdict == FL_SETUP_ANSWERED, syn && is_answered(*syn));
    if (answer_.header_size == 0) continue;
    ++answered;
    const auto answer = test::read_segment(answer_packet());
    ASSERT_TRUE(answer.has_value());
    ASSERT_EQ(answer_packet().size(), packet.size());
    ASSERT_EQ(answer->ack, syn->seq + 1);
    ASSERT_EQ(answer->options.window_scale.has_value(), syn->options.window_scale.has_value());
    ASSERT_EQ(answer->options.sack_permitted, syn->options.sack_permitted);
    const SetupOutcome outcome = acknowledge(*answer);
    ASSERT_EQ(outcome.verdict, FL_SETUP_NEW_CONNECTION);
    ASSERT_EQ(outcome.connection.peer_window_shift, syn->options.window_scale);
    ASSERT_EQ(outcome.connection.sack, syn->options.sack_permitted);
    ASSERT_EQ(outcome.connection.irs.value(), syn->seq);
  }
  EXPECT_GT(answered, 5'000) << "the generator makes SYNs worth answering";
}

TEST_F(SetupOffloadTest, EcnNeedsBothFlagsAndTheListenersConsent) {
  Segment syn = test::linux_syn(false);
  for (const uint8_t flags : {uint8_t{kEce}, uint8_t{kCwr}, uint8_t{0}}) {
    syn.flags = kSyn | flags;
    EXPECT_EQ(syn_ack_to(syn).flags, kSyn | kAck);
  }
  fl_setup_listener without = test::kSetupListener;
  without.flags = 0;
  ASSERT_TRUE(setup_.set_listener(syn.to, without));
  syn.flags = kSyn | kEce | kCwr;
  const ReadSegment answer = syn_ack_to(syn);
  EXPECT_EQ(answer.flags, kSyn | kAck);
  EXPECT_FALSE(acknowledge(answer).connection.ecn);
}

TEST_F(SetupOffloadTest, HostsTimestampsPassThePawsOfTheClient) {
  for (int i = 0; i < 1000; ++i) {
    now_ += milliseconds(37);
    const ReadSegment answer = linux_handshake();
    const NewConnection c = acknowledge(answer).connection;
    fl_setup_tuple tuple{};
    std::memcpy(&tuple.source, c.tuple.remote.address.bytes().data(), 16);
    std::memcpy(&tuple.destination, c.tuple.local.address.bytes().data(), 16);
    tuple.source_port = __builtin_bswap16(c.tuple.remote.port);
    tuple.destination_port = __builtin_bswap16(c.tuple.local.port);
    const fl_setup_time time =
        fl_setup_time_of(static_cast<uint64_t>(now_.time_since_epoch().count()));
    const uint32_t sent =
        fl_timestamp_sent(time.milliseconds, fl_timestamp_offset(&test::kSetupSecrets, &tuple));
    EXPECT_GT(static_cast<int32_t>(sent - c.timestamps.echo), 0) << "in the same millisecond";
    EXPECT_FALSE(fl_timestamp_has_options(sent));
  }
}

TEST_F(SetupOffloadTest, LateAckIsExpired) {
  const ReadSegment answer = linux_handshake();
  now_ += seconds(60);
  EXPECT_EQ(acknowledge(answer).verdict, FL_SETUP_NEW_CONNECTION);
  now_ += seconds(4);
  EXPECT_EQ(acknowledge(answer).verdict, FL_SETUP_EXPIRED);
}

TEST_F(SetupOffloadTest, RepeatedSynHasTheSameAnswer) {
  const ReadSegment first = linux_handshake();
  const ReadSegment second = linux_handshake();
  EXPECT_EQ(first.seq, second.seq);
  now_ += seconds(5);
  linux_handshake();
  EXPECT_EQ(acknowledge(first).verdict, FL_SETUP_NEW_CONNECTION) << "the client took the first";
}

TEST_F(SetupOffloadTest, NoBitOfTheAckCanBeChanged) {
  for (const bool v6 : {false, true}) {
    const ReadSegment answer = linux_handshake(v6);
    const PacketBytes good = packet_of(test::ack_segment(answer, 0x11223355));
    ASSERT_EQ(receive(good).verdict, FL_SETUP_NEW_CONNECTION);
    const size_t tcp = v6 ? 40 : 20;
    const auto flip_all = [&](size_t from, size_t to) {
      for (size_t bit = 8 * from; bit < 8 * to; ++bit) {
        PacketBytes packet = good;
        packet[bit / 8] = static_cast<uint8_t>(packet[bit / 8] ^ 1u << bit % 8);
        EXPECT_NE(receive(packet).verdict, FL_SETUP_NEW_CONNECTION) << "bit " << bit;
      }
    };
    flip_all(v6 ? 8 : 12, tcp);    // addresses
    flip_all(tcp, tcp + 12);       // ports, sequence number, acknowledgement
    flip_all(tcp + 28, tcp + 32);  // TSecr
  }
}

TEST_F(SetupOffloadTest, SegmentThatOvertookTheFirstIsNotTakenForIt) {
  const ReadSegment answer = linux_handshake();
  Segment second = test::ack_segment(answer, 0x11223355, test::some_bytes(100));
  second.seq += 1000;
  EXPECT_EQ(receive(packet_of(second)).verdict, FL_SETUP_FORGED);
  EXPECT_EQ(acknowledge(answer, test::some_bytes(1000)).verdict, FL_SETUP_NEW_CONNECTION);
}

TEST_F(SetupOffloadTest, FinWithTheFirstDataIsAConnectionToo) {
  Segment ack = test::ack_segment(linux_handshake(), 0x11223355, test::some_bytes(10));
  ack.flags = kAck | kPsh | kFin;
  EXPECT_EQ(receive(packet_of(ack)).verdict, FL_SETUP_NEW_CONNECTION);
  ack.flags = kAck | kRst;
  EXPECT_EQ(receive(packet_of(ack)).verdict, FL_SETUP_NOT_OURS);
  ack.flags = kAck | kSyn;
  EXPECT_EQ(receive(packet_of(ack)).verdict, FL_SETUP_NOT_OURS);
}

TEST_F(SetupOffloadTest, OrdinarySegmentIsLeftAlone) {
  Segment ack = test::ack_segment(linux_handshake(), 0x11223355, test::some_bytes(10));
  ack.options = test::nops(2) + test::timestamps(1, 2);
  EXPECT_EQ(receive(packet_of(ack)).verdict, FL_SETUP_NOT_OURS) << "an even TSecr";
  ack.options = {};
  EXPECT_EQ(receive(packet_of(ack)).verdict, FL_SETUP_NOT_OURS) << "no timestamps";
}

TEST_F(SetupOffloadTest, ProofMakesOneConnection) {
  const ReadSegment answer = linux_handshake();
  const NewConnection connection = acknowledge(answer).connection;
  EXPECT_EQ(acknowledge(answer).verdict, FL_SETUP_NEW_CONNECTION) << "the host had no room";
  setup_.made_connection(connection, now_);
  EXPECT_EQ(acknowledge(answer).verdict, FL_SETUP_REPLAYED);
  EXPECT_EQ(acknowledge(answer, test::some_bytes(10)).verdict, FL_SETUP_REPLAYED);
  now_ += seconds(64);
  EXPECT_EQ(acknowledge(answer).verdict, FL_SETUP_EXPIRED);
}

TEST_F(SetupOffloadTest, ListenerThatWaitsForDataSeesNoAckThatBringsNone) {
  fl_setup_listener waits = test::kSetupListener;
  waits.flags |= FL_SETUP_DEFER;
  ASSERT_TRUE(setup_.set_listener(test::setup_listener_endpoint(false), waits));
  const ReadSegment answer = linux_handshake();
  EXPECT_EQ(acknowledge(answer).verdict, FL_SETUP_DEFERRED);
  Segment ack = test::ack_segment(answer, 0x11223355);
  ++ack.seq;
  EXPECT_EQ(receive(packet_of(ack)).verdict, FL_SETUP_FORGED);
  const SetupOutcome first = acknowledge(answer, test::some_bytes(10));
  EXPECT_EQ(first.verdict, FL_SETUP_NEW_CONNECTION);
  setup_.made_connection(first.connection, now_);
  EXPECT_EQ(acknowledge(answer).verdict, FL_SETUP_DEFERRED);
  --ack.seq;
  ack.flags = kAck | kFin;
  EXPECT_EQ(receive(packet_of(ack)).verdict, FL_SETUP_REPLAYED) << "a FIN is something";
}

/// Five bits of time tell 70 s and 200 s from now, but not 140 s.
TEST_F(SetupOffloadTest, ClientThatWasSilentIsToldHoweverLong) {
  const ReadSegment answer = linux_handshake();
  for (const int64_t silent : {70, 140, 200, 270, 100'000}) {
    now_ = Time(seconds(1'000'000 + silent));
    EXPECT_EQ(acknowledge(answer, test::some_bytes(10)).verdict, FL_SETUP_EXPIRED) << silent;
  }
}

TEST_F(SetupOffloadTest, ForgettingAProofThatIsStillGoodIsCounted) {
  for (uint32_t i = 0; i < 9; ++i) {
    Segment syn = test::linux_syn(false);
    syn.seq = i;
    const NewConnection connection = acknowledge(syn_ack_to(syn)).connection;
    EXPECT_EQ(setup_.replays_forgotten(), 0u);
    setup_.made_connection(connection, now_);
  }
  EXPECT_EQ(setup_.replays_forgotten(), 1u);
}

TEST_F(SetupOffloadTest, ListenerThatIsGoneOrChangedConfirmsNothing) {
  const ReadSegment answer = linux_handshake();
  fl_setup_listener changed = test::kSetupListener;
  changed.window_scale = 8;
  ASSERT_TRUE(setup_.set_listener(test::setup_listener_endpoint(false), changed));
  EXPECT_EQ(acknowledge(answer).verdict, FL_SETUP_FORGED) << "the client was told another scale";
  setup_.remove_listener(test::setup_listener_endpoint(false));
  EXPECT_EQ(acknowledge(answer).verdict, FL_SETUP_NOT_OURS);
}

TEST_F(SetupOffloadTest, ListenersHaveABound) {
  EXPECT_TRUE(setup_.set_listener({*IpAddress::parse("192.0.2.1"), 81}, test::kSetupListener));
  const auto result =
      setup_.set_listener({*IpAddress::parse("192.0.2.1"), 82}, test::kSetupListener);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Errc::kNoBufferSpace);
  EXPECT_TRUE(setup_.set_listener({*IpAddress::parse("192.0.2.1"), 81}, test::kSetupListener))
      << "not a new one";
}

TEST_F(SetupOffloadTest, UnspecifiedAddressStandsForThisMachinesOwn) {
  for (const bool v6 : {false, true}) {
    setup_.remove_listener(test::setup_listener_endpoint(v6));
    const Endpoint any{v6 ? IpAddress() : IpAddress::v4(0), 80};
    ASSERT_TRUE(setup_.set_listener(any, test::kSetupListener));
    EXPECT_EQ(acknowledge(linux_handshake(v6)).verdict, FL_SETUP_NEW_CONNECTION);
    Segment syn = test::linux_syn(v6);
    syn.to.address = *IpAddress::parse(v6 ? "2001:db8::2" : "192.0.2.2");
    EXPECT_EQ(receive(packet_of(syn)).verdict, FL_SETUP_NOT_OURS) << "passes through";
  }
}

TEST_F(SetupOffloadTest, ChecksumIsVerifiedUnlessThePortHas) {
  PacketBytes syn = packet_of(test::linux_syn(false));
  syn[20 + 16] = static_cast<uint8_t>(syn[20 + 16] ^ 0x55);
  EXPECT_EQ(receive(syn).verdict, FL_SETUP_UP_MALFORMED);
  for (const auto state : {port::ChecksumState::kVerified, port::ChecksumState::kPartial}) {
    EXPECT_EQ(receive(syn, state).verdict, FL_SETUP_ANSWERED);
    EXPECT_TRUE(test::read_segment(answer_packet())) << "the answer's is right in any case";
  }
}

TEST_F(SetupOffloadTest, Ipv4MappedAddressesSpeakForNobody) {
  for (const uint8_t flags : {uint8_t{kSyn}, uint8_t{kAck}}) {
    const ReadSegment answer = linux_handshake(false);
    Segment segment = flags == kSyn ? test::linux_syn(true) : test::ack_segment(answer, 0x11223355);
    segment.from.address = segment.to.address = *IpAddress::parse("2001:db8::1");
    segment.flags = flags;
    PacketBytes packet = packet_of(segment);
    for (const size_t at : {8u, 24u}) {
      std::fill_n(packet.begin() + static_cast<ptrdiff_t>(at), 10, uint8_t{0});
      packet[at + 10] = packet[at + 11] = 0xff;
    }
    const auto client = *IpAddress::parse("198.51.100.7");
    std::ranges::copy(client.header_bytes(), packet.begin() + 20);
    std::ranges::copy(test::setup_listener_endpoint(false).address.header_bytes(),
                      packet.begin() + 36);
    test::complete_checksums(packet, false);
    EXPECT_EQ(receive(packet).verdict, flags == kSyn ? FL_SETUP_UP_MALFORMED : FL_SETUP_NOT_OURS);
  }
}

TEST_F(SetupOffloadTest, FramesOfAnyLengthAreReadWithinBounds) {
  const PacketBytes frame = frame_of(packet_of(test::syn_segment(true, {})));
  for (size_t size = 0; size < frame.size(); ++size) {
    const auto exact = std::make_unique<uint8_t[]>(size);
    std::copy_n(frame.begin(), size, exact.get());
    EXPECT_EQ(setup_.on_packet({.frame = {exact.get(), size}}, now_, answer_).verdict,
              FL_SETUP_NOT_OURS);
  }
}

TEST_F(SetupOffloadTest, WhatAnswersAProcessThatIsNoMoreIsExpired) {
  fl_setup_secrets others = test::kSetupSecrets;
  others.cookie[0].k0 ^= 1;
  others.cookie[1].k0 ^= 1;
  const ReadSegment before = linux_handshake();
  now_ += seconds(1);
  SetupOffload restarted(router_, others, {.secrets_since = now_});
  ASSERT_TRUE(restarted.set_listener(test::setup_listener_endpoint(false), test::kSetupListener));
  const PacketBytes late = frame_of(packet_of(test::ack_segment(before, 0x11223355, {})));
  EXPECT_EQ(restarted.on_packet({.frame = late}, now_, answer_).verdict, FL_SETUP_EXPIRED);
  // What may be our own is a forgery, as ever.
  now_ += seconds(8);
  const ReadSegment after = linux_handshake();
  const PacketBytes forged = frame_of(packet_of(test::ack_segment(after, 0x11223355, {})));
  EXPECT_EQ(restarted.on_packet({.frame = forged}, now_, answer_).verdict, FL_SETUP_FORGED);
}

TEST_F(SetupOffloadTest, HandshakesGoOnWhileSecretsRotate) {
  SetupSecrets secrets;
  std::vector<std::pair<Time, ReadSegment>> pending;
  for (const Time end = now_ + seconds(600); now_ < end; now_ += milliseconds(500)) {
    if (secrets.rotate(now_)) setup_.set_secrets(secrets.secrets());
    if (pending.empty()) setup_.set_secrets(secrets.secrets());
    pending.emplace_back(now_, linux_handshake());
    const auto& [made, answer] = pending[pending.size() > 100 ? pending.size() - 100 : 0];
    ASSERT_EQ(acknowledge(answer).verdict, FL_SETUP_NEW_CONNECTION) << "50 s later";
  }
}

}  // namespace
}  // namespace fairlead::nic
