#include "nic/setup/setup.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "base/random.h"
#include "nic/setup/setup_rule.h"
#include "nic/steering/load_from_span.h"
#include "wire/ethernet.h"

namespace fairlead::nic {
namespace {

SipKey random_key() {
  SipKey key;
  fill_secure_random({reinterpret_cast<uint8_t*>(&key), sizeof key});
  return key;
}

Endpoint endpoint_of(const fl_address& address, uint16_t port) {
  std::array<uint8_t, 16> bytes;
  std::memcpy(bytes.data(), &address, sizeof bytes);
  return {IpAddress::v6(bytes), fl_swap16(port)};
}

fl_address address_of(const IpAddress& address) {
  fl_address out;
  std::memcpy(&out, address.bytes().data(), sizeof out);
  return out;
}

fl_setup_time time_of(Time now) {
  return fl_setup_time_of(static_cast<uint64_t>(now.time_since_epoch().count()));
}

/// The frame that the packet came in, the other way.
void write_answer(const fl_segment& packet, const port::RxPacket& from, port::TxPacket& out) {
  uint8_t* const start = out.header.data();
  const size_t l4 = wire::kEthernetSize + packet.ip_size;
  static_assert(wire::kEthernetSize + FL_IPV6_HEADER + FL_TCP_HEADER + FL_MAX_OPTIONS <=
                port::TxPacket::kMaxHeader);
  std::memcpy(start, from.frame.data() + 6, 6);
  std::memcpy(start + 6, from.frame.data(), 6);
  std::memcpy(start + 12, from.frame.data() + 12, 2);
  std::memcpy(start + wire::kEthernetSize, packet.ip, packet.ip_size);
  std::memcpy(start + l4, packet.tcp, packet.tcp_size);
  out.header_size = static_cast<uint16_t>(l4 + packet.tcp_size);
  out.l4_offset = static_cast<uint16_t>(l4);
  out.ipv6 = packet.ether_type == FL_ETH_P_IPV6;
  out.port_index = from.port_index;
}

NewConnection connection_of(const FourTuple& tuple, const fl_setup_listener& listener,
                            const fl_setup_confirmation& proof) {
  const bool scales = proof.options.window_scale != FL_NO_WINDOW_SCALE;
  return {.tuple = tuple,
          .irs = SeqNum(proof.client_isn),
          .iss = SeqNum(proof.isn),
          .mss = listener.mss,
          .window = listener.window,
          .window_shift = scales ? listener.window_scale : uint8_t{0},
          .peer_mss = proof.options.mss,
          .peer_window_shift = scales ? std::optional(proof.options.window_scale) : std::nullopt,
          .sack = proof.options.sack != 0,
          .ecn = proof.options.ecn != 0,
          .timestamps = {.value = proof.ts_value, .echo = proof.ts_echo},
          .proof = proof.hash};
}

}  // namespace

std::string_view setup_verdict_name(fl_setup_verdict verdict) {
  switch (verdict) {
    case FL_SETUP_NOT_OURS:
      return "not_ours";
    case FL_SETUP_ANSWERED:
      return "answered";
    case FL_SETUP_UP_NO_TIMESTAMPS:
      return "up_no_timestamps";
    case FL_SETUP_UP_OPTIONS:
      return "up_options";
    case FL_SETUP_UP_DATA:
      return "up_data";
    case FL_SETUP_UP_MALFORMED:
      return "up_malformed";
    case FL_SETUP_NEW_CONNECTION:
      return "new_connection";
    case FL_SETUP_EXPIRED:
      return "expired";
    case FL_SETUP_FORGED:
      return "forged";
    case FL_SETUP_REPLAYED:
      return "replayed";
    case FL_SETUP_DEFERRED:
      return "deferred";
    case FL_SETUP_VERDICTS:
      break;
  }
  check_failed("fl_setup_verdict has a name", __FILE__, __LINE__);
}

SetupOffload::SetupOffload(const port::Router& router, const fl_setup_secrets& secrets,
                           Options options)
    : router_(router),
      secrets_(secrets),
      options_(options),
      listeners_(0, EndpointHash{random_key()}),
      replays_(options.max_replays, random_key().k0) {}

Result<void> SetupOffload::set_listener(const Endpoint& endpoint,
                                        const fl_setup_listener& listener) {
  CHECK(listener.window_scale <= FL_MAX_WINDOW_SCALE);
  if (!listeners_.contains(endpoint) && listeners_.size() >= options_.max_listeners) {
    return fail(Errc::kNoBufferSpace);
  }
  listeners_.insert_or_assign(endpoint, listener);
  return {};
}

void SetupOffload::remove_listener(const Endpoint& endpoint) { listeners_.erase(endpoint); }

const fl_setup_listener* SetupOffload::find_listener(const Endpoint& local) const {
  if (const auto exact = listeners_.find(local); exact != listeners_.end()) return &exact->second;
  const Endpoint any{local.address.is_v4() ? IpAddress::v4(0) : IpAddress(), local.port};
  const auto wildcard = listeners_.find(any);
  if (wildcard == listeners_.end() || !router_.is_local(local.address)) return nullptr;
  return &wildcard->second;
}

// A cookie's time is known to 4 s only, so some of those made at once are taken for older ones.
bool SetupOffload::predates_secrets(uint32_t isn, uint32_t units) const {
  if (!options_.secrets_since) return false;
  const uint32_t age = (units - isn) % FL_COOKIE_EPOCH;
  return units - age <= time_of(*options_.secrets_since).units;
}

// Five bits of time tell nothing of a client that was silent for more than 128 s. Its timestamp
// does: whether it is right, nobody knows, but one that is forged has no claim to be dropped
// silently.
bool SetupOffload::is_old(uint32_t ts_echo, const fl_setup_tuple& tuple, Time now) const {
  constexpr int32_t kLife = FL_COOKIE_UNIT * (FL_COOKIE_WINDOW + 1) / 1'000'000;  // ms
  const uint32_t clock =
      fl_timestamp_sent(time_of(now).milliseconds, fl_timestamp_offset(&secrets_, &tuple));
  return static_cast<int32_t>(clock - ts_echo) > kLife;
}

SetupOutcome SetupOffload::judge(const port::RxPacket& packet, Time now,
                                 port::TxPacket& answer) const {
  if (packet.frame.size() < wire::kEthernetSize) return {};
  ByteSpan ip = packet.frame.subspan(wire::kEthernetSize);
  fl_segment headers;
  if (fl_segment_read(&ip, fl_be16(packet.frame.data() + 12), static_cast<uint32_t>(ip.size()),
                      &headers) != 0) {
    return {};
  }
  const bool is_syn = fl_is_syn(headers.tcp[13]) != 0;
  if (!is_syn && fl_setup_is_ack(&headers) == 0) return {};
  fl_setup_tuple plain;
  fl_setup_read_tuple(&headers, &plain);
  const FourTuple tuple{.local = endpoint_of(plain.destination, plain.destination_port),
                        .remote = endpoint_of(plain.source, plain.source_port)};
  const fl_setup_listener* const listener = find_listener(tuple.local);
  if (listener == nullptr || fl_segment_read_options(&ip, &headers) != 0) return {};
  if (is_syn) {
    const bool unknown = packet.checksum == port::ChecksumState::kUnknown;
    const fl_setup_verdict verdict =
        fl_setup_answer(&headers, &plain, listener, &secrets_, time_of(now),
                        unknown ? FL_CHECKSUM_TO_VERIFY : FL_CHECKSUM_TRUSTED);
    if (verdict == FL_SETUP_ANSWERED) write_answer(headers, packet, answer);
    return {.verdict = verdict};
  }
  fl_setup_confirmation proof;
  const fl_setup_verdict verdict =
      fl_setup_confirm(&headers, &plain, listener, &secrets_, time_of(now), &proof);
  if (verdict == FL_SETUP_FORGED &&
      (predates_secrets(proof.isn, time_of(now).units) || is_old(proof.ts_echo, plain, now))) {
    return {.verdict = FL_SETUP_EXPIRED};
  }
  if (verdict != FL_SETUP_NEW_CONNECTION) return {.verdict = verdict};
  if (fl_setup_may_defer(&headers, listener) != 0) return {.verdict = FL_SETUP_DEFERRED};
  if (replays_.contains(proof.hash)) return {.verdict = FL_SETUP_REPLAYED};
  SetupOutcome outcome{.verdict = verdict, .connection = connection_of(tuple, *listener, proof)};
  outcome.connection.timestamp_offset = fl_timestamp_offset(&secrets_, &plain);
  return outcome;
}

uint32_t SetupOffload::timestamp_offset(const FourTuple& tuple) const {
  const fl_setup_tuple plain{.source = address_of(tuple.remote.address),
                             .destination = address_of(tuple.local.address),
                             .source_port = fl_swap16(tuple.remote.port),
                             .destination_port = fl_swap16(tuple.local.port)};
  return fl_timestamp_offset(&secrets_, &plain);
}

bool SetupOffload::proves(const port::RxPacket& packet, Time now) const {
  port::TxPacket none;
  return judge(packet, now, none).verdict == FL_SETUP_NEW_CONNECTION;
}

SetupOutcome SetupOffload::on_packet(const port::RxPacket& packet, Time now,
                                     port::TxPacket& answer) {
  const SetupOutcome outcome = judge(packet, now, answer);
  ++counts_[outcome.verdict];
  return outcome;
}

void SetupOffload::made_connection(const NewConnection& connection, Time now) {
  if (!replays_.insert(connection.proof, time_of(now).units)) ++replays_forgotten_;
}

}  // namespace fairlead::nic
