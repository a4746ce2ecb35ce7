#include <algorithm>
#include <random>
#include <utility>

#include "tests/splice_naive.h"
#include "tests/splice_vectors.h"

namespace fairlead::test {
namespace {

/// Random choices, the same for a seed on every machine: mt19937's output is specified, the
/// distributions of <random> are not.
class Dice {
 public:
  explicit Dice(uint32_t seed) : engine_(seed) {}

  uint32_t word() { return static_cast<uint32_t>(engine_()); }
  /// 0 .. bound - 1
  uint32_t below(uint32_t bound) { return word() % bound; }
  bool one_in(uint32_t times) { return below(times) == 0; }
  uint8_t byte() { return static_cast<uint8_t>(word()); }
  /// Close to where a 32-bit number wraps, three times in four.
  uint32_t number() {
    if (one_in(4)) return word();
    return (one_in(2) ? 0x80000000u : 0u) + below(64) - 32;
  }
  PacketBytes bytes(size_t count) {
    PacketBytes out(count);
    std::ranges::generate(out, [&] { return byte(); });
    return out;
  }

 private:
  std::mt19937 engine_;
};

PacketBytes random_sack(Dice& dice) {
  std::vector<uint32_t> edges(2 * (1 + dice.below(4)));
  std::ranges::generate(edges, [&] { return dice.number(); });
  return sack(edges);
}

PacketBytes random_option(Dice& dice) {
  switch (dice.below(12)) {
    case 0:
    case 1:
    case 2:
      return timestamps(dice.number(), dice.number());
    case 3:
    case 4:
    case 5:
      return random_sack(dice);
    case 6: {  // not one of ours, any length
      PacketBytes out = dice.bytes(2 + dice.below(12));
      out[0] = static_cast<uint8_t>(100 + out[0] % 100);
      out[1] = static_cast<uint8_t>(out.size());
      return out;
    }
    case 7: {  // one of ours, of a wrong length
      PacketBytes out = dice.bytes(2 + dice.below(12));
      out[0] = dice.one_in(2) ? 8 : 5;
      out[1] = static_cast<uint8_t>(out.size());
      return out;
    }
    case 8:
      return dice.one_in(4) ? dice.bytes(1 + dice.below(8)) : nops(1);
    default:
      return nops(1 + dice.below(3));
  }
}

PacketBytes random_options(Dice& dice) {
  const auto common = [&] { return nops(2) + timestamps(dice.number(), dice.number()); };
  PacketBytes out;
  switch (dice.below(6)) {
    case 0:
      return {};
    case 1:
      return common();
    case 2:
      out = common() + nops(2) + random_sack(dice);
      break;
    case 3:
      out = dice.bytes(40);
      break;
    default:
      while (out.size() < 4 + dice.below(36)) out = out + random_option(dice);
  }
  out.resize(std::min<size_t>(40, (out.size() + 3) / 4 * 4), 0);
  return out;
}

Endpoint random_endpoint(Dice& dice, bool v6) {
  const auto port = static_cast<uint16_t>(1 + dice.below(0xffff));
  if (!v6) {  // unicast
    const uint32_t host = dice.one_in(8) ? 0xffffff : dice.word() & 0xffffff;
    return {IpAddress::v4((11 + dice.below(100)) << 24 | host), port};
  }
  std::array<uint8_t, 16> bytes;
  std::ranges::generate(bytes, [&] { return dice.one_in(3) ? uint8_t{0} : dice.byte(); });
  bytes[0] = 0x20;  // not IPv4-mapped
  return {IpAddress::v6(bytes), port};
}

nic::SplicePair random_pair(Dice& dice) {
  const bool v6 = dice.one_in(2);
  nic::SplicePair pair = vector_pair(v6);
  pair.client = {random_endpoint(dice, v6), random_endpoint(dice, v6)};
  pair.server = {random_endpoint(dice, v6), random_endpoint(dice, v6)};
  pair.seq_offset = dice.number();
  pair.ack_offset = dice.number();
  pair.timestamps = !dice.one_in(4);
  pair.ts_value_offset = pair.timestamps ? dice.number() : 0;
  pair.ts_echo_offset = pair.timestamps ? dice.number() : 0;
  const auto scale = [&] { return static_cast<uint8_t>(dice.below(15)); };
  pair.scales = {scale(), scale(), scale(), scale()};
  pair.to_server.mtu = pair.to_client.mtu = static_cast<uint16_t>(90 + dice.below(200));
  return pair;
}

Segment random_segment(Dice& dice, const FourTuple& tuple) {
  Segment out{.from = tuple.remote, .to = tuple.local, .seq = dice.number(), .ack = dice.number()};
  out.flags = dice.byte();
  if (!dice.one_in(16)) out.flags &= 0xfd;  // seldom SYN
  if (!dice.one_in(8)) out.flags |= 0x10;   // mostly ACK
  out.window = dice.one_in(3) ? static_cast<uint16_t>(0 - dice.below(3))
                              : static_cast<uint16_t>(dice.word());
  out.urgent = static_cast<uint16_t>(dice.word());
  out.options = random_options(dice);
  out.payload = dice.bytes(dice.below(dice.one_in(2) ? 4 : 120));
  out.ttl = dice.one_in(20) ? static_cast<uint8_t>(dice.below(3)) : dice.byte();
  out.traffic_class = dice.byte();
  out.flow_label = out.from.address.is_v6() ? dice.below(1 << 20) : 0;
  out.partial_checksum = dice.one_in(4);
  return out;
}

/// Gives a packet IPv4 options or an extension header, and maybe makes it a first fragment.
void extend(Dice& dice, PacketBytes& packet) {
  const bool v4 = packet[0] >> 4 == 4;
  const bool fragment = dice.one_in(2);
  const PacketBytes extension = v4 ? nops(4) : PacketBytes{6, 0, 0, 1, 0, 0, 0, 0};
  packet.insert(packet.begin() + (v4 ? 20 : 40), extension.begin(), extension.end());
  if (v4) packet[0] = 0x46;
  if (v4 && fragment) packet[6] = 0x20;
  if (!v4) packet[6] = fragment ? 44 : 60;
  const size_t length_at = v4 ? 2 : 4;
  write16(packet, length_at, static_cast<uint16_t>(read16(packet, length_at) + extension.size()));
}

/// Breaks a packet in some way, pads or extends it.
void disturb(Dice& dice, PacketBytes& packet) {
  switch (dice.below(5)) {
    case 0:
      packet.resize(packet.size() + 1 + dice.below(6));
      break;
    case 1:
      packet.resize(1 + dice.below(static_cast<uint32_t>(packet.size())));
      break;
    case 2:
      extend(dice, packet);
      break;
    default: {  // any bit of the headers
      const size_t headers = std::min<size_t>(packet.size(), packet[0] >> 4 == 6 ? 54 : 34);
      packet[dice.below(static_cast<uint32_t>(headers))] ^=
          static_cast<uint8_t>(1u << dice.below(8));
    }
  }
}

}  // namespace

SpliceVector generated_splice_vector(uint32_t seed) {
  Dice dice(seed);
  SpliceVector out{.name = "generated from seed " + std::to_string(seed),
                   .pair = random_pair(dice)};
  out.from_client = dice.one_in(2);
  const Segment segment = random_segment(dice, out.from_client ? out.pair.client : out.pair.server);
  out.packet = packet_of(segment);
  out.checksum_partial = segment.partial_checksum;
  if (dice.one_in(10)) out.gso_size = 1 + dice.below(60);
  if (dice.one_in(16)) disturb(dice, out.packet);
  NaiveOutcome naive = naive_splice(
      out.pair, out.from_client,
      {.packet = out.packet, .gso_size = out.gso_size, .checksum_partial = out.checksum_partial});
  out.verdict = naive.verdict;
  out.expected = std::move(naive.packet);
  return out;
}

std::vector<SpliceVector> generated_splice_vectors(uint32_t seed, size_t count) {
  std::vector<SpliceVector> out;
  while (out.size() < count) {
    SpliceVector vector = generated_splice_vector(seed++);
    // A flipped bit that nothing else objects to leaves the checksum wrong, which the naive
    // translator mends and the rule must not.
    if (vector.verdict == FL_SPLICE_TRANSLATED &&
        !has_right_checksums(vector.packet, vector.checksum_partial)) {
      continue;
    }
    out.push_back(std::move(vector));
  }
  return out;
}

}  // namespace fairlead::test
