#include "bench/short_connections/nic_stack.h"

#include <algorithm>
#include <cstring>

#include "host/teardown_segment.h"

namespace fairlead::bench {
namespace {

constexpr uint32_t kMaxFlows = 1 << 18;

ByteSpan whole(const port::TxPacket& packet, MutableByteSpan into) {
  CHECK(packet.size() <= into.size());
  uint8_t* at = std::ranges::copy(packet.header_bytes(), into.data()).out;
  for (size_t i = 0; i < packet.payload_count; ++i)
    at = std::ranges::copy(packet.payload[i], at).out;
  return into.first(packet.size());
}

}  // namespace

NicStack::NicStack(const port::Path& host, ClientGenerator& clients, Time now)
    : clients_(clients),
      router_(host),
      setup_(router_, shared_secrets().setup, {.max_listeners = 1, .max_replays = 8}),
      teardown_({.max_flows = kMaxFlows, .max_held_bytes = size_t{256} << 20},
                shared_secrets().hash, nullptr, now) {}

void NicStack::from_host(Frame& frame, Time now) {
  if (!nic::is_channel_message(frame.bytes())) return clients_.on_frame(frame.bytes());
  const auto message = nic::decode({frame.room(), frame.size});
  CHECK(message);
  if (const auto* listen = std::get_if<nic::ListenMessage>(&*message)) {
    offloads_ = listen->listener.has_value();
    if (offloads_) CHECK(setup_.set_listener(listen->endpoint, *listen->listener));
  } else {
    const auto& teardown = std::get<nic::TeardownMessage>(*message);
    CHECK(teardown_.take(teardown.handover(), now));
  }
}

bool NicStack::closes(ByteSpan frame, Time now) {
  if (teardown_.size() == 0) return false;
  host::Segment segment;
  host::Counters counters;
  ByteSpan icmp;
  const port::RxPacket packet{.frame = frame, .checksum = port::ChecksumState::kVerified};
  if (host::parse_frame(packet, segment, icmp, counters) != host::FrameKind::kTcp) return false;
  const auto verdict = teardown_.on_segment(host::teardown_segment(segment, segment.syn()), now);
  return verdict.outcome == nic::Teardown::Outcome::kTaken;
}

bool NicStack::from_client(Frame& frame, size_t room, Time now) {
  if (closes(frame.bytes(), now)) return false;
  if (!offloads_) return true;
  port::TxPacket answer;
  answer.clear();
  const port::RxPacket packet{.frame = frame.bytes(), .checksum = port::ChecksumState::kVerified};
  const nic::SetupOutcome outcome = setup_.on_packet(packet, now, answer);
  if (outcome.verdict == FL_SETUP_ANSWERED) {
    clients_.on_frame(whole(answer, scratch_));
    return false;
  }
  if (outcome.verdict == FL_SETUP_NEW_CONNECTION) {
    // It ends behind the packet: in place, but for a copy of the packet.
    const ByteSpan copy = MutableByteSpan(scratch_).first(frame.size);
    std::memcpy(scratch_.data(), frame.room(), frame.size);
    const Result<size_t> size =
        nic::encode(outcome.connection, {.frame = copy}, {frame.room(), room});
    CHECK(size);
    frame.size = static_cast<uint32_t>(*size);
  }
  return outcome.verdict != FL_SETUP_DEFERRED;
}

std::optional<nic::LoadMessage> NicStack::load(Time now) {
  return load_report_.next(
      {.closing = static_cast<uint32_t>(teardown_.active()), .most = kMaxFlows}, now);
}

void NicStack::turn(Time now) {
  if (teardown_.size() == 0) return;
  teardown_.on_timer(now);
  bool more = true;
  while (more) {
    more = teardown_.transmit(burst_, now);
    for (const port::TxPacket& packet : burst_.packets())
      clients_.on_frame(whole(packet, scratch_));
    burst_.clear();
  }
}

}  // namespace fairlead::bench
