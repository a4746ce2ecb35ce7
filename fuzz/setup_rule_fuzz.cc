// Connection setup: any frame, at any time, with any listener. Nothing is read or written beyond
// it; a SYN that is answered is one by the host's own parser, its answer has right checksums and
// the agreed options come back with the client's ACK; and nothing else makes a connection.
//
// The input, 10 bytes and a packet:
//
//     choices   time, s (4)   MSS (2)   window (2)   our scale   IP packet ...
#include <algorithm>
#include <optional>

#include "fuzz/input.h"
#include "fuzz/packet.h"
#include "nic/setup/setup.h"
#include "nic/setup/setup_cookie.h"
#include "tests/setup_packets.h"
#include "wire/tcp.h"

namespace fairlead::nic {
namespace {

constexpr size_t kPrefix = 10;
// Choices.
constexpr uint8_t kRightSums = 0x01;   // the packet's checksums are computed
constexpr uint8_t kToListener = 0x02;  // its destination becomes a listener's
constexpr uint8_t kEcn = 0x04;         // the listener accepts ECN
constexpr uint8_t kVerified = 0x08;    // the port has verified the checksums

class NoMachine final : public port::Router {
 public:
  Result<port::Path> resolve(const IpAddress&) override { return fail(Errc::kHostUnreachable); }
  std::optional<IpAddress> source_for(const IpAddress&) override { return std::nullopt; }
  std::optional<uint16_t> mtu_for(const IpAddress&) const override { return std::nullopt; }
  uint64_t generation() const override { return 0; }
  bool is_local(const IpAddress&) const override { return false; }
};

/// Ethernet and the packet, with nothing behind it.
std::vector<uint8_t> frame_of(ByteSpan packet) {
  std::vector<uint8_t> out(12);
  test::append16(out, !packet.empty() && packet[0] >> 4 == 6 ? 0x86dd : 0x0800);
  out.insert(out.end(), packet.begin(), packet.end());
  out.shrink_to_fit();
  return out;
}

void send_to_listener(MutableByteSpan packet) {
  const bool v6 = packet[0] >> 4 == 6;
  const Endpoint listener = test::setup_listener_endpoint(v6);
  std::ranges::copy(listener.address.header_bytes(), packet.begin() + (v6 ? 24 : 16));
  test::write16(packet, (v6 ? 40 : 20) + 2, listener.port);
}

void on_answer(SetupOffload& setup, Time now, ByteSpan packet, const port::TxPacket& answer) {
  const ByteSpan bytes = answer.header_bytes().subspan(14);
  CHECK(bytes.size() <= packet.size());
  const auto syn_ack = test::read_segment(bytes);
  CHECK(syn_ack && syn_ack->payload.empty() && syn_ack->options.timestamps);
  const auto ack = frame_of(test::packet_of(test::ack_segment(*syn_ack, 1)));
  port::TxPacket unused;
  unused.clear();
  const SetupOutcome outcome = setup.on_packet({.frame = ack}, now, unused);
  CHECK(outcome.verdict == FL_SETUP_NEW_CONNECTION && unused.header_size == 0);
  CHECK(outcome.connection.irs.value() + 1 == syn_ack->ack);
  CHECK(outcome.connection.iss.value() == syn_ack->seq);
  CHECK(outcome.connection.sack == syn_ack->options.sack_permitted);
  CHECK(outcome.connection.ecn == ((syn_ack->flags & wire::tcp_flag::kEce) != 0));
  CHECK(outcome.connection.peer_window_shift.has_value() ==
        syn_ack->options.window_scale.has_value());
  // What the host's parser made of the SYN, if it may look at it.
  if (const auto syn = test::read_segment(packet)) {
    CHECK(syn->payload.empty() && syn->options.timestamps && !syn->options.malformed);
    CHECK(outcome.connection.peer_window_shift == syn->options.window_scale);
    CHECK(outcome.connection.sack == syn->options.sack_permitted);
    CHECK(!syn->options.mss || outcome.connection.peer_mss <= *syn->options.mss);
  }
}

void on_input(ByteSpan input) {
  const uint8_t choices = input[0];
  const Time now{seconds(test::read32(input, 1))};
  const fl_setup_listener listener{
      .mss = test::read16(input, 5),
      .window = test::read16(input, 7),
      .window_scale = static_cast<uint8_t>(input[9] % 15),
      .flags = (choices & kEcn) != 0 ? uint8_t{FL_SETUP_ECN} : uint8_t{0},
      .reserved = 0};
  std::vector<uint8_t> packet(input.begin() + kPrefix, input.end());
  if (fuzz::has_tcp_headers(packet)) {
    if ((choices & kToListener) != 0) send_to_listener(packet);
    if ((choices & kRightSums) != 0) test::complete_checksums(packet, false);
  }
  static NoMachine machine;
  SetupOffload setup(machine, test::kSetupSecrets, {.max_listeners = 2, .max_replays = 8});
  for (const bool v6 : {false, true}) {
    CHECK(setup.set_listener(test::setup_listener_endpoint(v6), listener));
  }
  const auto frame = frame_of(packet);
  port::TxPacket answer;
  answer.clear();
  const auto state =
      (choices & kVerified) != 0 ? port::ChecksumState::kVerified : port::ChecksumState::kUnknown;
  const SetupOutcome outcome = setup.on_packet({.frame = frame, .checksum = state}, now, answer);
  CHECK((outcome.verdict == FL_SETUP_ANSWERED) == (answer.header_size > 0));
  CHECK(outcome.verdict != FL_SETUP_NEW_CONNECTION);  // 24 bits that nobody here has
  if (outcome.verdict == FL_SETUP_ANSWERED) on_answer(setup, now, packet, answer);
}

}  // namespace
}  // namespace fairlead::nic

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size >= fairlead::nic::kPrefix) fairlead::nic::on_input({data, size});
  return 0;
}
