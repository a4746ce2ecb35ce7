// The splice rule: any packet under any rule. Nothing is read or written beyond the packet; one
// that is not for translating stays as it is; verdict and bytes are the naive translator's; and the
// start of what was made of it, quoted, is turned back.
//
// The input, 26 bytes and a packet:
//
//     choices   offsets (4 × 4)   scales (4)   MTU (2)   gso_size (2)   padding   IP packet ...
#include <algorithm>
#include <array>
#include <cstring>
#include <memory>

#include "fuzz/input.h"
#include "nic/splice/rule.h"
#include "nic/splice/splice_filter.h"
#include "tests/splice_naive.h"
#include "tests/splice_one_pair.h"
#include "tests/splice_vectors.h"

namespace fairlead::nic {
namespace {

constexpr size_t kPrefix = 26;
// Choices.
constexpr uint8_t kV6 = 0x01;
constexpr uint8_t kFromServer = 0x02;
constexpr uint8_t kPartial = 0x04;
constexpr uint8_t kOfThePair = 0x08;   // the packet's addresses and ports become the pair's
constexpr uint8_t kRightSums = 0x10;   // its checksums are computed
constexpr uint8_t kTimestamps = 0x20;  // both ends use them

/// A packet with nothing behind it, so that AddressSanitizer sees a byte too far.
struct Exact {
  explicit Exact(ByteSpan from)
      : size(from.size()), bytes(std::make_unique_for_overwrite<uint8_t[]>(from.size())) {
    std::ranges::copy(from, bytes.get());
  }
  MutableByteSpan span() { return {bytes.get(), size}; }
  ByteSpan view() const { return {bytes.get(), size}; }

  size_t size;
  std::unique_ptr<uint8_t[]> bytes;
};

SplicePair pair_of_input(ByteSpan input) {
  const uint8_t choices = input[0];
  SplicePair pair = test::vector_pair((choices & kV6) != 0);
  pair.timestamps = (choices & kTimestamps) != 0;
  pair.seq_offset = test::read32(input, 1);
  pair.ack_offset = test::read32(input, 5);
  pair.ts_value_offset = pair.timestamps ? test::read32(input, 9) : 0;
  pair.ts_echo_offset = pair.timestamps ? test::read32(input, 13) : 0;
  const auto scale = [&](size_t at) { return static_cast<uint8_t>(input[at] % 15); };
  pair.scales = {scale(17), scale(18), scale(19), scale(20)};
  pair.to_server.mtu = pair.to_client.mtu = test::read16(input, 21);
  return pair;
}

void give_tuple(MutableByteSpan packet, const FourTuple& tuple) {
  const bool v6 = tuple.local.address.is_v6();
  const size_t tcp = v6 ? 40 : 20;
  if (packet.size() < tcp + 4) return;
  std::ranges::copy(tuple.remote.address.header_bytes(), packet.begin() + (v6 ? 8 : 12));
  std::ranges::copy(tuple.local.address.header_bytes(), packet.begin() + (v6 ? 24 : 16));
  test::write16(packet, tcp, tuple.remote.port);
  test::write16(packet, tcp + 2, tuple.local.port);
}

/// What the sender sent, read back from any part of what was made of it, and from any bytes.
void on_quotes(const SplicePair& pair, bool from_client, ByteSpan sent, ByteSpan made) {
  const SpliceRecords records = records_of(pair);
  const fl_splice_rule& rule = from_client ? records.from_client.rule : records.from_server.rule;
  const FourTuple& tuple = from_client ? pair.client : pair.server;
  const size_t ip_size = sent[0] >> 4 == 6 ? 40 : 20;
  const size_t header_size = ip_size + static_cast<size_t>(sent[ip_size + 12] >> 4) * 4;
  for (size_t size = 0; size <= std::min<size_t>(made.size(), 110); ++size) {
    const Exact quote(made.first(size));
    Exact headers(quote.view().first(std::min(size, ip_size + 60)));
    const size_t written = untranslate(tuple, rule, quote.view(), headers.span());
    CHECK(written == (size < ip_size + 8 ? 0 : headers.size));
    if (written == 0) continue;
    const auto same = [&](size_t from, size_t to) {
      return std::ranges::equal(headers.span().subspan(from, to - from),
                                sent.subspan(from, to - from));
    };
    CHECK(same(ip_size == 20 ? 12 : 8, ip_size + 8));                    // addresses, ports, SEQ
    if (written >= header_size) CHECK(same(ip_size + 8, ip_size + 14));  // ACK, flags
    if (written >= header_size) CHECK(same(ip_size + 18, header_size));  // options
  }
}

fl_splice_verdict judge_loaded(const SpliceRecord& record, ByteSpan packet, uint32_t gso_size) {
  test::OnePair pair{.record = record};
  const uint16_t ether_type = !packet.empty() && packet[0] >> 4 == 6 ? FL_ETH_P_IPV6 : FL_ETH_P_IP;
  fl_packet parsed;
  fl_parse_packet(&packet, ether_type, &parsed);
  return fl_splice_judge_loaded(&pair, &packet, &parsed, ether_type, gso_size);
}

/// A rule from the input's own bytes, which no pair has made.
void on_any_rule(ByteSpan input) {
  fl_splice_rule rule;
  if (input.size() < sizeof rule) return;
  std::memcpy(&rule, input.data(), sizeof rule);
  Exact packet(input.subspan(kPrefix));
  translate(rule, packet.span(), {.size = static_cast<uint32_t>(packet.size)});
  std::array<uint8_t, 100> headers;
  untranslate(tuple_of(fl_splice_key{}), rule, packet.view(), headers);
}

void on_pair(ByteSpan input) {
  const uint8_t choices = input[0];
  const SplicePair pair = pair_of_input(input);
  const bool from_client = (choices & kFromServer) == 0;
  const bool partial = (choices & kPartial) != 0;
  const uint32_t gso_size = test::read16(input, 23);
  Exact packet(input.subspan(kPrefix));
  if ((choices & kOfThePair) != 0) {
    give_tuple(packet.span(), from_client ? pair.client : pair.server);
  }
  const test::NaiveInput naive_input{
      .packet = packet.span(), .gso_size = gso_size, .checksum_partial = partial};
  if ((choices & kRightSums) != 0 &&
      naive_splice(pair, from_client, naive_input).verdict == FL_SPLICE_TRANSLATED) {
    test::complete_checksums(packet.span(), partial);
  }
  const test::NaiveOutcome naive = naive_splice(pair, from_client, naive_input);
  const SpliceRecords records = records_of(pair);
  const SpliceRecord& record = from_client ? records.from_client : records.from_server;
  const Exact before(packet.span());
  const fl_splice_verdict loaded = judge_loaded(record, packet.span(), gso_size);
  // ICMP errors, which the naive translator does not know.
  CHECK(loaded == naive.verdict || loaded == FL_SPLICE_UP_ICMP);

  const auto key = key_of(packet.span());
  if (!key || std::memcmp(&*key, &record.key, sizeof *key) != 0) {
    CHECK(naive.verdict != FL_SPLICE_TRANSLATED);
    return;
  }
  const bool right =
      naive.verdict == FL_SPLICE_TRANSLATED && test::has_right_checksums(packet.span(), partial);
  const SpliceOutcome outcome = translate(record.rule, packet.span(),
                                          {.size = static_cast<uint32_t>(packet.size),
                                           .gso_size = gso_size,
                                           .checksum_partial = partial});
  CHECK(outcome.verdict == naive.verdict);
  if (outcome.verdict != FL_SPLICE_TRANSLATED) {
    CHECK(std::ranges::equal(packet.span(), ByteSpan(before.bytes.get(), before.size)));
  }
  if (right) CHECK(std::ranges::equal(packet.span(), naive.packet));
  if (outcome.verdict == FL_SPLICE_TRANSLATED) {
    on_quotes(pair, from_client, before.view(), packet.view());
  }
}

}  // namespace
}  // namespace fairlead::nic

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < fairlead::nic::kPrefix) return 0;
  fairlead::nic::on_any_rule({data, size});
  fairlead::nic::on_pair({data, size});
  return 0;
}
