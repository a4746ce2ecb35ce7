#include "nic/splice/rule.h"

#include <cstring>

#include "base/check.h"
#include "nic/splice/splice_rule.h"

namespace fairlead::nic {
namespace {

fl_address plain(const IpAddress& address) {
  fl_address out;
  static_assert(sizeof out == sizeof address.bytes());
  std::memcpy(&out, address.bytes().data(), sizeof out);
  return out;
}

IpAddress address_of(const fl_address& address) {
  std::array<uint8_t, 16> bytes;
  std::memcpy(bytes.data(), &address, sizeof bytes);
  return IpAddress::v6(bytes);
}

bool equal(const fl_splice_key& a, const fl_splice_key& b) {
  return std::memcmp(&a, &b, sizeof a) == 0;
}

/// RFC 7323 §2.3.
constexpr int kMaxScale = 14;

/// RFC 1624's ~m + m' over 16-bit words in memory order, not folded.
uint32_t difference(const void* from, const void* to, size_t size) {
  uint32_t sum = 0;
  for (size_t at = 0; at < size; at += 2) {
    sum += 0xffffu ^ fl_get16(static_cast<const uint8_t*>(from) + at);
    sum += fl_get16(static_cast<const uint8_t*>(to) + at);
  }
  return sum;
}

/// What differs between a pair's two directions.
struct Direction {
  FourTuple in;   // remote → local
  FourTuple out;  // local → remote
  const SpliceWay& way;
  uint32_t seq_offset;
  uint32_t ack_offset;
  uint32_t ts_value_offset;
  uint32_t ts_echo_offset;
  uint8_t scale_in;
  uint8_t scale_out;
  uint8_t flag;
};

SpliceRecord record_of(const SplicePair& pair, const Direction& direction) {
  CHECK(direction.scale_in <= kMaxScale && direction.scale_out <= kMaxScale);
  CHECK(direction.in.local.address.is_v4() == direction.out.local.address.is_v4());
  SpliceRecord record{.key = key_of(direction.in), .rule = {}};
  fl_splice_rule& rule = record.rule;
  rule.source = plain(direction.out.local.address);
  rule.destination = plain(direction.out.remote.address);
  rule.source_port = fl_swap16(direction.out.local.port);
  rule.destination_port = fl_swap16(direction.out.remote.port);
  rule.seq_offset = direction.seq_offset;
  rule.ack_offset = direction.ack_offset;
  rule.ts_value_offset = direction.ts_value_offset;
  rule.ts_echo_offset = direction.ts_echo_offset;
  rule.address_sum = difference(&record.key.source, &rule.source, 2 * sizeof(fl_address));
  rule.port_sum = difference(&record.key.source_port, &rule.source_port, 2 * sizeof(uint16_t));
  rule.window_shift = static_cast<int8_t>(direction.scale_in - direction.scale_out);
  rule.flags = static_cast<uint8_t>(
      direction.flag | (direction.in.local.address.is_v6() ? FL_SPLICE_V6 : 0) |
      (pair.timestamps ? FL_SPLICE_TIMESTAMPS : 0) | (pair.sack ? FL_SPLICE_SACK : 0));
  set_way(rule, direction.way);
  rule.generation = pair.generation;
  rule.spliced_at = pair.spliced_at;
  rule.shard = pair.shard;
  rule.window_scale = direction.scale_in;
  rule.window = FL_SPLICE_ANY_WINDOW;
  return record;
}

uint8_t scale_out(const fl_splice_rule& rule) {
  return static_cast<uint8_t>(rule.window_scale - rule.window_shift);
}

bool scales_are_valid(const fl_splice_rule& rule) {
  return rule.window_scale <= kMaxScale && scale_out(rule) <= kMaxScale;
}

}  // namespace

SpliceWay way_of(const fl_splice_rule& rule) {
  return {.interface = rule.interface, .next_hop = address_of(rule.next_hop), .mtu = rule.mtu};
}

void set_way(fl_splice_rule& rule, const SpliceWay& way) {
  rule.interface = way.interface;
  rule.next_hop = plain(way.next_hop);
  rule.mtu = way.mtu;
}

SpliceRecords records_of(const SplicePair& pair) {
  CHECK(pair.timestamps || (pair.ts_value_offset == 0 && pair.ts_echo_offset == 0));
  return {.from_client = record_of(pair, {.in = pair.client,
                                          .out = pair.server,
                                          .way = pair.to_server,
                                          .seq_offset = pair.seq_offset,
                                          .ack_offset = pair.ack_offset,
                                          .ts_value_offset = pair.ts_value_offset,
                                          .ts_echo_offset = pair.ts_echo_offset,
                                          .scale_in = pair.scales.announced_by_client,
                                          .scale_out = pair.scales.announced_to_server,
                                          .flag = FL_SPLICE_FROM_CLIENT}),
          .from_server = record_of(pair, {.in = pair.server,
                                          .out = pair.client,
                                          .way = pair.to_client,
                                          .seq_offset = -pair.ack_offset,
                                          .ack_offset = -pair.seq_offset,
                                          .ts_value_offset = -pair.ts_echo_offset,
                                          .ts_echo_offset = -pair.ts_value_offset,
                                          .scale_in = pair.scales.announced_by_server,
                                          .scale_out = pair.scales.announced_to_client,
                                          .flag = 0})};
}

std::optional<SplicePair> pair_of(const SpliceRecord& one, const SpliceRecord& other) {
  const bool one_is_client = (one.rule.flags & FL_SPLICE_FROM_CLIENT) != 0;
  const SpliceRecord& client = one_is_client ? one : other;
  const SpliceRecord& server = one_is_client ? other : one;
  fl_splice_key reverse;
  fl_splice_reverse_key(&reverse, &client.rule);
  if (!equal(reverse, server.key)) return std::nullopt;
  fl_splice_reverse_key(&reverse, &server.rule);
  if (!equal(reverse, client.key)) return std::nullopt;
  if ((client.rule.flags ^ server.rule.flags) != FL_SPLICE_FROM_CLIENT ||
      client.rule.generation != server.rule.generation) {
    return std::nullopt;
  }
  if (!scales_are_valid(client.rule) || !scales_are_valid(server.rule)) return std::nullopt;
  return SplicePair{.client = tuple_of(client.key),
                    .server = tuple_of(server.key),
                    .seq_offset = client.rule.seq_offset,
                    .ack_offset = client.rule.ack_offset,
                    .ts_value_offset = client.rule.ts_value_offset,
                    .ts_echo_offset = client.rule.ts_echo_offset,
                    .scales = {.announced_by_client = client.rule.window_scale,
                               .announced_to_client = scale_out(server.rule),
                               .announced_by_server = server.rule.window_scale,
                               .announced_to_server = scale_out(client.rule)},
                    .timestamps = (client.rule.flags & FL_SPLICE_TIMESTAMPS) != 0,
                    .sack = (client.rule.flags & FL_SPLICE_SACK) != 0,
                    .to_server = way_of(client.rule),
                    .to_client = way_of(server.rule),
                    .shard = client.rule.shard,
                    .generation = client.rule.generation,
                    .spliced_at = client.rule.spliced_at};
}

fl_splice_key key_of(const FourTuple& tuple) {
  return {.source = plain(tuple.remote.address),
          .destination = plain(tuple.local.address),
          .source_port = fl_swap16(tuple.remote.port),
          .destination_port = fl_swap16(tuple.local.port),
          .reserved = 0};
}

FourTuple tuple_of(const fl_splice_key& key) {
  return {.local = {address_of(key.destination), fl_swap16(key.destination_port)},
          .remote = {address_of(key.source), fl_swap16(key.source_port)}};
}

std::optional<fl_splice_key> key_of(ByteSpan packet) {
  if (packet.empty()) return std::nullopt;
  const bool v6 = packet[0] >> 4 == 6;
  const size_t header = v6 ? FL_IPV6_HEADER : FL_IPV4_HEADER;
  if (packet.size() < header + FL_TCP_HEADER) return std::nullopt;
  if (!fl_is_plain(packet.data(), v6 ? FL_ETH_P_IPV6 : FL_ETH_P_IP)) return std::nullopt;
  fl_splice_key key;
  fl_splice_read_key(&key, packet.data(), packet.data() + header);
  return key;
}

SpliceOutcome translate(const fl_splice_rule& rule, MutableByteSpan headers,
                        const SplicePacket& packet) {
  SpliceOutcome outcome{.verdict = FL_SPLICE_NO_RULE, .segment = {}};
  const bool v6 = (rule.flags & FL_SPLICE_V6) != 0;
  const size_t header = v6 ? FL_IPV6_HEADER : FL_IPV4_HEADER;
  uint8_t* const ip = headers.data();
  if (headers.size() < header + FL_TCP_HEADER) {
    outcome.verdict = FL_SPLICE_DROP_MALFORMED;
    return outcome;
  }
  if (!fl_is_plain(ip, v6 ? FL_ETH_P_IPV6 : FL_ETH_P_IP)) return outcome;
  outcome.verdict = fl_splice_judge(
      &rule, ip, ip + header, {.size = packet.size, .gso_size = packet.gso_size}, &outcome.segment);
  if (outcome.verdict != FL_SPLICE_TRANSLATED) return outcome;
  fl_splice_sums sums;
  if (fl_splice_translate(&rule, ip, ip + header, ip + headers.size(), &sums) != 0) {
    outcome.verdict = FL_SPLICE_DROP_MALFORMED;
    return outcome;
  }
  fl_splice_complete_checksum(ip + header, sums, packet.checksum_partial ? 1 : 0);
  return outcome;
}

}  // namespace fairlead::nic
