#include "nic/channel/channel.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "base/random.h"
#include "nic/channel/load_report.h"
#include "nic/setup/setup_cookie.h"
#include "port/packet_builder.h"
#include "tests/channel_messages.h"
#include "wire/ipv4.h"
#include "wire/tcp.h"

namespace fairlead::nic {
namespace {

using Bytes = std::vector<uint8_t>;

/// Of hexadecimal digits; blanks are left out.
Bytes bytes(std::string_view text) {
  Bytes out;
  std::string digits;
  for (const char c : text) {
    if (c == ' ') continue;
    digits += c;
    if (digits.size() < 2) continue;
    out.push_back(static_cast<uint8_t>(std::stoul(digits, nullptr, 16)));
    digits.clear();
  }
  return out;
}

constexpr MacAddress kDestination{{2, 0, 0, 0, 0, 2}};
constexpr MacAddress kSource{{2, 0, 0, 0, 0, 1}};
constexpr ChannelLink kLink{.destination = kDestination, .source = kSource};
constexpr Endpoint kLocal{IpAddress::v4(0xc0000201), 80};
constexpr Endpoint kRemote{IpAddress::v4(0xc6336407), 40000};
constexpr FourTuple kClient{kLocal, kRemote};
constexpr FourTuple kServer{{IpAddress::v4(0x0a000001), 61000}, {IpAddress::v4(0x0a000002), 8080}};

template <typename Message>
Bytes encoded(const Message& message) {
  Bytes out(kMaxChannelMessage);
  const Result<size_t> size = encode(message, kLink, out);
  EXPECT_TRUE(size);
  out.resize(size.value_or(0));
  return out;
}

Bytes encoded(const Handover& handover) {
  Bytes out(1 << 17);
  const Result<size_t> size = encode(handover, out);
  EXPECT_TRUE(size);
  out.resize(size.value_or(0));
  return out;
}

/// The frame as decode() leaves it, and what it found.
template <typename Message>
struct Decoded {
  explicit Decoded(Bytes frame_in) : frame(std::move(frame_in)) {
    auto result = decode(frame);
    EXPECT_TRUE(result) << (result ? "" : result.error().message);
    if (!result) return;
    EXPECT_TRUE(std::holds_alternative<Message>(*result));
    if (auto* found = std::get_if<Message>(&*result)) message = *found;
  }
  Bytes frame;
  Message message{};
};

std::string refusal(Bytes frame) {
  const Result<ChannelMessage> message = decode(frame);
  EXPECT_FALSE(message);
  if (message) return "";
  EXPECT_EQ(message.error().code, Errc::kBadMessage);
  return message.error().message;
}

// ---- golden bytes: what fuzz/make_corpus writes, which knows nothing of the code ----

const Bytes kListenBytes = bytes(
    "020000000002 020000000001 090e"
    "00000000000000000000ffffc0000201 0050 01 07 01 00 05b4 ffff");

const Bytes kSpliceBytes = bytes(
    "020000000002 020000000001 090c fffffff0 80000001"
    "00000000000000000000ffffc0000201 00000000000000000000ffffc6336407 0050 9c40"
    "00000000000000000000ffff0a000001 00000000000000000000ffff0a000002 ee48 1f90"
    "7fffffff 00000010 07 08 09 0a 03 00 0005 deadbeef 1122334455667788"
    "00000000000000000000ffffc0000201 00000004 05dc"
    "00000000000000000000ffff0a000002 00000006 2328");

const Bytes kClosedTeardownBytes = bytes(
    "020000000002 020000000001 090d 01 00"
    "00000000000000000000ffffc0000201 00000000000000000000ffffc6336407 0050 9c40"
    "00000040 0000003f 00000002 000000000016e360");

const Bytes kClosedSpliceBytes = bytes(
    "020000000002 020000000001 090d 02 05"
    "00000000000000000000ffffc0000201 00000000000000000000ffffc6336407 0050 9c40"
    "00000000000000000000ffff0a000001 00000000000000000000ffff0a000002 ee48 1f90"
    "000000000000000a 00000000000007d0 000000000000000c 0000000000000bb8");

const Bytes kLoadBytes = bytes("020000000002 020000000001 090f 00009c40 00010000");

const Bytes kNewConnectionBytes = bytes(
    "020000000002 020000000001 090a"
    "45000037000100004006 8e84 c6336407 c0000201"
    "9c40 0050 01020305 a0b0c0c1 8018 01f6 6038 0000 0101080a 11223344 0123456f 474554"
    "8877665544332211 05b4 ffff 05a8 07 01 03 00 99aabbcc");

// TCP's checksum is the pseudo header's sum: whoever sends the packet completes it.
const Bytes kTeardownBytes = bytes(
    "020000000002 020000000001 090b"
    "45000037000040004006 4e85 c0000201 c6336407"
    "0050 9c40 a0b0c0c1 01020309 8019 03e8 ec65 0000 0101080a 01234600 11223344 627965"
    "05a8 00030d40 0001 00000002 0000fa00 0001f400 03 00");

TEST(Channel, ListenHasTheseBytes) {
  ListenMessage message{
      .endpoint = kLocal,
      .listener = fl_setup_listener{
          .mss = 1460, .window = 65535, .window_scale = 7, .flags = FL_SETUP_ECN, .reserved = 0}};
  EXPECT_EQ(encoded(message), kListenBytes);
  const Decoded<ListenMessage> read(kListenBytes);
  EXPECT_EQ(read.message.endpoint, kLocal);
  ASSERT_TRUE(read.message.listener);
  EXPECT_EQ(read.message.listener->mss, 1460);
  EXPECT_EQ(read.message.listener->window, 65535);
  EXPECT_EQ(read.message.listener->window_scale, 7);
  EXPECT_EQ(read.message.listener->flags, FL_SETUP_ECN);
  message.listener->flags = FL_SETUP_DEFER;
  EXPECT_EQ(Decoded<ListenMessage>(encoded(message)).message.listener->flags, FL_SETUP_DEFER);
  message.listener = std::nullopt;
  EXPECT_FALSE(Decoded<ListenMessage>(encoded(message)).message.listener);
}

TEST(Channel, SpliceHasTheseBytes) {
  const SplicePair pair{
      .client = kClient,
      .server = kServer,
      .seq_offset = 0xfffffff0,
      .ack_offset = 0x80000001,
      .ts_value_offset = 0x7fffffff,
      .ts_echo_offset = 0x10,
      .scales = {.announced_by_client = 7,
                 .announced_to_client = 8,
                 .announced_by_server = 9,
                 .announced_to_server = 10},
      .timestamps = true,
      .sack = true,
      .to_server = {.interface = 4, .next_hop = kClient.local.address, .mtu = 1500},
      .to_client = {.interface = 6, .next_hop = kServer.remote.address, .mtu = 9000},
      .shard = 5,
      .generation = 0xdeadbeef,
      .spliced_at = 0x1122334455667788};
  EXPECT_EQ(encoded(pair), kSpliceBytes);
  EXPECT_EQ(Decoded<SplicePair>(kSpliceBytes).message, pair);
}

TEST(Channel, ClosedTeardownHasTheseBytes) {
  const TeardownReport report{.tuple = kClient,
                              .end = TeardownEnd::kClosed,
                              .bytes = 64,
                              .acked = 63,
                              .retransmitted = 2,
                              .lasted = nanoseconds(1'500'000)};
  EXPECT_EQ(encoded(report), kClosedTeardownBytes);
  const Decoded<TeardownReport> read(kClosedTeardownBytes);
  EXPECT_EQ(read.message.tuple, kClient);
  EXPECT_EQ(read.message.end, TeardownEnd::kClosed);
  EXPECT_EQ(read.message.bytes, 64u);
  EXPECT_EQ(read.message.acked, 63u);
  EXPECT_EQ(read.message.retransmitted, 2u);
  EXPECT_EQ(read.message.lasted, report.lasted);
}

TEST(Channel, ClosedSpliceHasTheseBytes) {
  const SpliceReport report{.client = kClient,
                            .server = kServer,
                            .up = {.packets = 10, .bytes = 2000},
                            .down = {.packets = 12, .bytes = 3000},
                            .end = SpliceEnd::kRemoved};
  EXPECT_EQ(encoded(report), kClosedSpliceBytes);
  const Decoded<SpliceReport> read(kClosedSpliceBytes);
  EXPECT_EQ(read.message.client, kClient);
  EXPECT_EQ(read.message.server, kServer);
  EXPECT_EQ(read.message.up.packets, 10u);
  EXPECT_EQ(read.message.up.bytes, 2000u);
  EXPECT_EQ(read.message.down.packets, 12u);
  EXPECT_EQ(read.message.down.bytes, 3000u);
  EXPECT_EQ(read.message.end, SpliceEnd::kRemoved);
}

TEST(Channel, LoadHasTheseBytes) {
  EXPECT_EQ(encoded(LoadMessage{.closing = 40'000, .most = 65'536}), kLoadBytes);
  const Decoded<LoadMessage> read(kLoadBytes);
  EXPECT_EQ(read.message.closing, 40'000u);
  EXPECT_EQ(read.message.most, 65'536u);
}

TEST(Channel, NewConnectionHasTheseBytes) {
  const Decoded<NewConnectionMessage> read(kNewConnectionBytes);
  const NewConnection& connection = read.message.connection;
  EXPECT_EQ(connection.tuple, kClient);
  EXPECT_EQ(connection.irs, SeqNum(0x01020304));
  EXPECT_EQ(connection.iss, SeqNum(0xa0b0c0c0));
  EXPECT_EQ(connection.mss, 1460);
  EXPECT_EQ(connection.window, 65535);
  EXPECT_EQ(connection.window_shift, 7);
  EXPECT_EQ(connection.peer_mss, 1460);
  EXPECT_EQ(connection.peer_window_shift, 7);
  EXPECT_TRUE(connection.sack);
  EXPECT_TRUE(connection.ecn);
  EXPECT_EQ(connection.timestamps, (wire::Timestamps{0x11223344, 0x0123456f}));
  EXPECT_EQ(connection.timestamp_offset, 0x99aabbcc);
  EXPECT_EQ(connection.proof, 0x8877665544332211);
  const port::RxPacket& packet = read.message.packet;
  EXPECT_EQ(packet.gso_size, 1448);
  EXPECT_EQ(packet.checksum, port::ChecksumState::kVerified);
  EXPECT_EQ(packet.port_index, 3);
  // As it came to the NIC.
  Bytes original(kNewConnectionBytes.begin(), kNewConnectionBytes.end() - 22);
  original[12] = 0x08;
  original[13] = 0x00;
  EXPECT_TRUE(std::ranges::equal(packet.frame, original));
  EXPECT_EQ(test::encoded_again(read.message, read.frame), kNewConnectionBytes);
}

/// In two steps, with a parser of ours in between.
Result<NewConnection> decoded_in_steps(Bytes& frame) {
  const std::optional<port::RxPacket> packet = new_connection_packet(frame);
  if (!packet) return fail(Errc::kBadMessage);
  const auto ip = wire::Ipv4View::checked(packet->frame.subspan(14));
  const auto tcp = ip ? wire::TcpView::checked(ip->payload()) : std::nullopt;
  if (!tcp) return fail(Errc::kBadMessage);
  const FourTuple tuple{{ip->destination(), tcp->header().destination_port.value()},
                        {ip->source(), tcp->header().source_port.value()}};
  return decode_new_connection(frame, {.tuple = tuple,
                                       .seq = tcp->seq(),
                                       .ack = tcp->ack(),
                                       .flags = tcp->header().flags,
                                       .options = wire::TcpOptions::parse(tcp->options())});
}

TEST(Channel, ANewConnectionIsTheSameDecodedInTwoSteps) {
  Bytes frame = kNewConnectionBytes;
  ASSERT_TRUE(decoded_in_steps(frame));
  // Another byte anywhere: both refuse, or both find the same.
  for (size_t at = 0; at < kNewConnectionBytes.size(); ++at) {
    for (const int value : {0x00, 0x01, 0x0f, 0x36, 0x45, 0x60, 0x80, 0xff}) {
      SCOPED_TRACE("byte " + std::to_string(at) + " is " + std::to_string(value));
      Bytes whole = kNewConnectionBytes;
      whole[at] = static_cast<uint8_t>(value);
      Bytes steps = whole;
      const Result<ChannelMessage> message = decode(whole);
      const auto* made = message ? std::get_if<NewConnectionMessage>(&*message) : nullptr;
      const Result<NewConnection> found = decoded_in_steps(steps);
      // That parser looks at neither protocol nor fragments.
      const bool is_tcp = steps[23] == 6 && (steps[20] & 0x3f) == 0 && steps[21] == 0;
      ASSERT_EQ(made != nullptr, found.has_value() && is_tcp);
      if (made == nullptr) continue;
      EXPECT_EQ(found->tuple, made->connection.tuple);
      EXPECT_EQ(found->iss, made->connection.iss);
      EXPECT_EQ(found->timestamps, made->connection.timestamps);
      EXPECT_EQ(found->window_shift, made->connection.window_shift);
      EXPECT_EQ(found->proof, made->connection.proof);
      EXPECT_EQ(steps, whole) << "the packet has its type again";
    }
  }
  for (size_t size = 0; size < kNewConnectionBytes.size(); ++size) {
    Bytes shorter(kNewConnectionBytes.begin(),
                  kNewConnectionBytes.begin() + static_cast<ptrdiff_t>(size));
    EXPECT_FALSE(new_connection_packet(shorter));
  }
  Bytes longer = kNewConnectionBytes;
  longer.push_back(0);
  EXPECT_FALSE(new_connection_packet(longer));
  Bytes other = kListenBytes;
  EXPECT_FALSE(new_connection_packet(other));
}

/// Its data is in `parts`.
Handover some_handover(std::span<const ByteSpan> parts) {
  return {.tuple = kClient,
          .local_mac = kSource,
          .next_hop = kDestination,
          .port_index = 3,
          .peer_closed = false,
          .mss = 1448,
          .window = 1000,
          .receive_window = 128'000,
          .send_window = 64'000,
          .rto = milliseconds(200),
          .snd_una = SeqNum(0xa0b0c0c1),
          .snd_nxt = SeqNum(0xa0b0c0c3),
          .rcv_nxt = SeqNum(0x01020309),
          .timestamps = wire::Timestamps{0x01234600, 0x11223344},
          .data = parts};
}

TEST(Channel, TeardownHasTheseBytes) {
  const Bytes data = bytes("627965");
  const std::array<ByteSpan, 2> parts{ByteSpan(data).first(1), ByteSpan(data).subspan(1)};
  Handover handover = some_handover(parts);
  EXPECT_EQ(encoded(handover), kTeardownBytes);
  const Decoded<TeardownMessage> read(kTeardownBytes);
  const Handover found = read.message.handover();
  EXPECT_EQ(found.tuple, kClient);
  EXPECT_EQ(found.local_mac, kSource);
  EXPECT_EQ(found.next_hop, kDestination);
  EXPECT_EQ(found.port_index, 3);
  EXPECT_FALSE(found.peer_closed);
  EXPECT_EQ(found.mss, 1448);
  EXPECT_EQ(found.window, 1000);
  EXPECT_EQ(found.receive_window, 128'000u);
  EXPECT_EQ(found.send_window, 64'000u);
  EXPECT_EQ(found.rto, milliseconds(200));
  EXPECT_EQ(found.snd_una, handover.snd_una);
  EXPECT_EQ(found.snd_nxt, handover.snd_nxt);
  EXPECT_EQ(found.rcv_nxt, handover.rcv_nxt);
  EXPECT_EQ(found.timestamps, handover.timestamps);
  ASSERT_EQ(found.data.size(), 1u);
  EXPECT_TRUE(std::ranges::equal(found.data[0], data));
  handover.peer_closed = true;
  EXPECT_TRUE(Decoded<TeardownMessage>(encoded(handover)).message.flow.peer_closed);
}

// ---- round trips ----

constexpr int kSeeds = 2000;

IpAddress any_address(Rng& rng, bool v4) {
  if (v4) return IpAddress::v4(static_cast<uint32_t>(rng.next()));
  std::array<uint8_t, 16> address{0x20, 0x01};
  for (size_t i = 2; i < address.size(); ++i) address[i] = static_cast<uint8_t>(rng.next());
  return IpAddress::v6(address);
}

uint16_t any16(Rng& rng) { return static_cast<uint16_t>(rng.next()); }
uint32_t any32(Rng& rng) { return static_cast<uint32_t>(rng.next()); }
uint8_t any_shift(Rng& rng) { return static_cast<uint8_t>(rng.below(15)); }

FourTuple any_tuple(Rng& rng, bool v4) {
  return {{any_address(rng, v4), any16(rng)}, {any_address(rng, v4), any16(rng)}};
}

Bytes any_bytes(Rng& rng, size_t most) {
  Bytes out(rng.below(most + 1));
  for (uint8_t& byte : out) byte = static_cast<uint8_t>(rng.next());
  return out;
}

TEST(Channel, AnyHandoverSurvivesTheWay) {
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    const Bytes data = any_bytes(rng, rng.chance(0.1) ? 65'000 : 300);
    const std::array<ByteSpan, 1> parts{data};
    Handover handover = some_handover(parts);
    handover.tuple = any_tuple(rng, rng.chance(0.5));
    handover.port_index = static_cast<uint8_t>(rng.next());
    handover.peer_closed = rng.chance(0.5);
    handover.mss = any16(rng);
    handover.window = any16(rng);
    handover.receive_window = any32(rng);
    handover.send_window = any32(rng);
    handover.rto = microseconds(any32(rng));
    handover.snd_una = SeqNum(any32(rng));
    handover.snd_nxt = handover.snd_una + static_cast<uint32_t>(rng.below(data.size() + 2));
    handover.rcv_nxt = SeqNum(any32(rng));
    if (rng.chance(0.3)) handover.timestamps = std::nullopt;
    const Bytes frame = encoded(handover);
    const Decoded<TeardownMessage> read(frame);
    const Handover found = read.message.handover();
    EXPECT_EQ(found.tuple, handover.tuple);
    EXPECT_EQ(found.rto, handover.rto);
    EXPECT_EQ(found.snd_una, handover.snd_una);
    EXPECT_EQ(found.snd_nxt, handover.snd_nxt);
    EXPECT_EQ(found.timestamps, handover.timestamps);
    EXPECT_TRUE(std::ranges::equal(found.data[0], data));
    EXPECT_EQ(test::encoded_again(read.message, frame), frame);
  }
}

TEST(Channel, AnyNewConnectionSurvivesTheWay) {
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    const fl_setup_options agreed{
        .mss = 0,
        .window_scale = rng.chance(0.3) ? uint8_t{FL_NO_WINDOW_SCALE} : any_shift(rng),
        .sack = static_cast<uint8_t>(rng.below(2)),
        .ecn = static_cast<uint8_t>(rng.below(2))};
    const bool scales = agreed.window_scale != FL_NO_WINDOW_SCALE;
    NewConnection connection;
    connection.tuple = any_tuple(rng, rng.chance(0.5));
    connection.irs = SeqNum(any32(rng));
    connection.iss = SeqNum(any32(rng));
    connection.mss = any16(rng);
    connection.window = any16(rng);
    connection.window_shift = scales ? any_shift(rng) : uint8_t{0};
    connection.timestamps = {any32(rng), fl_timestamp_with_options(any32(rng), &agreed)};
    connection.timestamp_offset = any32(rng);
    connection.proof = rng.next();
    port::TcpPacketSpec spec;
    spec.tuple = {connection.tuple.remote, connection.tuple.local};
    spec.seq = connection.irs + 1;
    spec.ack = connection.iss + 1;
    spec.flags = wire::tcp_flag::kAck;
    spec.options.timestamps = connection.timestamps;
    const Bytes data = any_bytes(rng, 1400);
    port::TxPacket packet;
    packet.clear();
    packet.payload_size = static_cast<uint32_t>(data.size());
    port::build_tcp_packet(packet, spec);
    Bytes frame(packet.header_bytes().begin(), packet.header_bytes().end());
    frame.insert(frame.end(), data.begin(), data.end());
    Bytes padded = frame;
    padded.resize(frame.size() + rng.below(7));
    Bytes out(frame.size() + kMaxChannelOverhead);
    const Result<size_t> size = encode(connection, {.frame = padded}, out);
    ASSERT_TRUE(size);
    out.resize(*size);

    const Decoded<NewConnectionMessage> read(out);
    const NewConnection& found = read.message.connection;
    EXPECT_EQ(found.tuple, connection.tuple);
    EXPECT_EQ(found.irs, connection.irs);
    EXPECT_EQ(found.iss, connection.iss);
    EXPECT_EQ(found.mss, connection.mss);
    EXPECT_EQ(found.window, connection.window);
    EXPECT_EQ(found.window_shift, connection.window_shift);
    EXPECT_EQ(found.peer_mss, fl_cookie_mss(connection.iss.value() >> 5 & 7));
    EXPECT_EQ(found.peer_window_shift, scales ? std::optional(agreed.window_scale) : std::nullopt);
    EXPECT_EQ(found.sack, agreed.sack != 0);
    EXPECT_EQ(found.ecn, agreed.ecn != 0);
    EXPECT_EQ(found.timestamps, connection.timestamps);
    EXPECT_EQ(found.timestamp_offset, connection.timestamp_offset);
    EXPECT_EQ(found.proof, connection.proof);
    EXPECT_TRUE(std::ranges::equal(read.message.packet.frame, frame));
  }
}

// ---- how often the load is told ----

TEST(LoadReport, TellsEachSixteenthAndWhatIsLeftToTellAgainAndAgain) {
  LoadReport report;
  Time now{seconds(100)};
  const auto told = [&](uint32_t closing) {
    return report.next({.closing = closing, .most = 160}, now).has_value();
  };
  EXPECT_FALSE(told(0));
  EXPECT_FALSE(told(9));
  EXPECT_TRUE(told(10));
  EXPECT_FALSE(told(30)) << "a message a millisecond";
  now += milliseconds(1);
  EXPECT_TRUE(told(30));
  EXPECT_EQ(report.next({.closing = 160, .most = 160}, now + milliseconds(1))->closing, 160u);
  now += LoadReport::kHolds / 2;
  EXPECT_TRUE(told(160)) << "before the host forgets it";
  now += milliseconds(1);
  EXPECT_TRUE(told(0));
  now += minutes(1);
  EXPECT_FALSE(told(9)) << "nothing to tell";
}

// ---- refusals ----

TEST(Channel, AFrameEndsWhereItsMessageDoes) {
  for (const Bytes* golden :
       {&kListenBytes, &kSpliceBytes, &kClosedTeardownBytes, &kClosedSpliceBytes, &kLoadBytes,
        &kNewConnectionBytes, &kTeardownBytes}) {
    for (size_t size = 0; size < golden->size(); ++size) {
      EXPECT_NE(refusal({golden->begin(), golden->begin() + static_cast<ptrdiff_t>(size)}), "");
    }
    Bytes longer = *golden;
    longer.resize(std::max<size_t>(golden->size() + 1, 61));
    EXPECT_NE(refusal(longer), "");
  }
  Bytes padded = kListenBytes;
  padded.resize(60);
  EXPECT_EQ(Decoded<ListenMessage>(padded).message.endpoint, kLocal);
}

TEST(Channel, ARefusalSaysWhatIsWrong) {
  struct Case {
    const Bytes& golden;
    size_t at;
    uint8_t value;
    std::string_view reason;
  };
  const Case cases[] = {
      {kListenBytes, 13, 0x10, "channel: a frame of type 0x0910 is no message"},
      {kListenBytes, 31, 0, "listen: port 0"},
      {kListenBytes, 32, 2, "listen: reserved bits are set"},
      {kListenBytes, 32, 0, "listen: off, and yet with parameters"},
      {kListenBytes, 33, 15, "listen: a window scale of 15, more than 14"},
      {kListenBytes, 34, 4, "listen: reserved bits are set"},
      {kListenBytes, 35, 1, "listen: reserved bits are set"},
      {kSpliceBytes, 32, 1, "splice: addresses of two families"},
      {kSpliceBytes, 102, 15, "splice: a window scale of 15, more than 14"},
      {kSpliceBytes, 106, 2, "splice: offsets for timestamps that are not used"},
      {kSpliceBytes, 106, 7, "splice: reserved bits are set"},
      {kSpliceBytes, 107, 1, "splice: reserved bits are set"},
      {kClosedTeardownBytes, 14, 3, "closed: nothing has number 3"},
      {kClosedTeardownBytes, 15, 6, "closed teardown: no end has number 6"},
      {kClosedTeardownBytes, 64, 0x80, "closed teardown: it lasted too long"},
      {kClosedTeardownBytes, 16, 1, "closed teardown: addresses of two families"},
      {kClosedSpliceBytes, 15, 6, "closed splice: no end has number 6"},
      {kClosedSpliceBytes, 52, 1, "closed splice: addresses of two families"},
      {kLoadBytes, 19, 0, "load: room for no connection"},
      {kLoadBytes, 15, 1, "load: 105536 connections, where there is room for 65536"},
      {kNewConnectionBytes, 23, 17, "new connection: no TCP segment in it"},
      {kNewConnectionBytes, 46, 0xf0, "new connection: a TCP header that contradicts its length"},
      {kNewConnectionBytes, 17, 0x36, "new connection: 23 bytes behind the packet, not 22"},
      {kNewConnectionBytes, 47, 0x12,
       "new connection: the segment does not answer a SYN-ACK that holds options"},
      {kNewConnectionBytes, 65, 0x6e,
       "new connection: the segment does not answer a SYN-ACK that holds options"},
      {kNewConnectionBytes, 57, 0, "new connection: malformed TCP options"},
      {kNewConnectionBytes, 83, 15, "new connection: a window scale of 15"},
      {kNewConnectionBytes, 84, 3, "new connection: no state of a checksum has number 3"},
      {kNewConnectionBytes, 86, 1, "new connection: reserved bits are set"},
      {kTeardownBytes, 47, 0x18, "teardown: the segment is not the connection's last"},
      {kTeardownBytes, 76, 2, "teardown: from state 2, neither ESTABLISHED nor CLOSE-WAIT"},
      {kTeardownBytes, 90, 1, "teardown: reserved bits are set"},
  };
  for (const Case& c : cases) {
    Bytes frame = c.golden;
    ASSERT_LT(c.at, frame.size());
    frame[c.at] = c.value;
    EXPECT_EQ(refusal(frame), c.reason);
  }
}

TEST(Channel, WhatDoesNotFitIsNotWritten) {
  Bytes out(kListenBytes.size() - 1);
  EXPECT_EQ(encode(ListenMessage{kLocal, std::nullopt}, kLink, out).error().code,
            Errc::kNoBufferSpace);
  const Bytes data(65'536);
  const std::array<ByteSpan, 1> all{data};
  out.resize(1 << 17);
  EXPECT_EQ(encode(some_handover(all), out).error().code, Errc::kMessageTooLong);
  // An IPv4 packet's 65,535 bytes less 52 of headers.
  const std::array<ByteSpan, 1> largest{ByteSpan(data).first(65'483)};
  const Result<size_t> size = encode(some_handover(largest), out);
  ASSERT_TRUE(size);
  EXPECT_EQ(encode(some_handover(largest), MutableByteSpan(out).first(*size - 1)).error().code,
            Errc::kNoBufferSpace);
}

TEST(Channel, OnlyItsOwnTypesAreMessages) {
  EXPECT_TRUE(is_channel_message(kListenBytes));
  EXPECT_TRUE(is_channel_message(kNewConnectionBytes));
  Bytes packet = kListenBytes;
  packet[12] = 0x08;
  packet[13] = 0x00;
  EXPECT_FALSE(is_channel_message(packet));
  EXPECT_FALSE(is_channel_message(ByteSpan(packet).first(13)));
}

}  // namespace
}  // namespace fairlead::nic
