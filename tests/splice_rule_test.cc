// The splice rule in user space: every vector, and the naive translator on many more.
#include "nic/splice/splice_rule.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <memory>

#include "base/bytes.h"
#include "nic/splice/rule.h"
#include "nic/splice/splice_filter.h"
#include "tests/splice_naive.h"
#include "tests/splice_one_pair.h"
#include "tests/splice_vectors.h"

namespace fairlead::nic {
namespace {

using test::PacketBytes;
using test::SpliceVector;

constexpr uint32_t kSeed = 1;

SpliceRecord record_of(const SpliceVector& vector) {
  const SpliceRecords records = records_of(vector.pair);
  return vector.from_client ? records.from_client : records.from_server;
}

/// As the packet socket's filter judges.
fl_splice_verdict judge_loaded(const SpliceVector& vector) {
  test::OnePair pair{.record = record_of(vector)};
  ByteSpan packet = vector.packet;
  const uint16_t ether_type = test::ether_type_of(vector.packet);
  fl_packet parsed;
  fl_parse_packet(&packet, ether_type, &parsed);
  return fl_splice_judge_loaded(&pair, &packet, &parsed, ether_type, vector.gso_size);
}

/// A copy with nothing behind it, so that AddressSanitizer sees a byte read past the end.
struct Exact {
  explicit Exact(const PacketBytes& from)
      : size(from.size()), bytes(std::make_unique_for_overwrite<uint8_t[]>(from.size())) {
    std::ranges::copy(from, bytes.get());
  }
  MutableByteSpan span() { return {bytes.get(), size}; }
  PacketBytes packet() const { return {bytes.get(), bytes.get() + size}; }

  size_t size;
  std::unique_ptr<uint8_t[]> bytes;
};

/// As the program and the in-process seat do: find the rule by key, then translate.
void expect_outcome(const SpliceVector& vector) {
  const SpliceRecord record = record_of(vector);
  Exact packet(vector.packet);
  const auto key = key_of(packet.span());
  const bool found = key && std::memcmp(&*key, &record.key, sizeof *key) == 0;
  fl_splice_verdict verdict = FL_SPLICE_NO_RULE;
  if (found) {
    verdict = translate(record.rule, packet.span(),
                        {.size = static_cast<uint32_t>(vector.packet.size()),
                         .gso_size = vector.gso_size,
                         .checksum_partial = vector.checksum_partial})
                  .verdict;
  }
  EXPECT_EQ(packet.packet(), vector.expected) << vector.name;
  EXPECT_EQ(judge_loaded(vector), vector.verdict) << vector.name;
  // Whatever is not plain has no key: only the slow judge tells why.
  if (key) EXPECT_EQ(verdict, vector.verdict) << vector.name;
  if (vector.verdict == FL_SPLICE_TRANSLATED) EXPECT_TRUE(found) << vector.name;
}

TEST(SpliceRule, EveryVectorComesOutAsExpected) {
  for (const SpliceVector& vector : test::splice_vectors()) expect_outcome(vector);
}

TEST(SpliceRule, NaiveTranslatorAgreesOnTheVectors) {
  for (const SpliceVector& vector : test::splice_vectors()) {
    if (vector.verdict == FL_SPLICE_UP_ICMP || vector.name.starts_with("a wrong checksum"))
      continue;
    const test::NaiveOutcome naive =
        test::naive_splice(vector.pair, vector.from_client,
                           {.packet = vector.packet,
                            .gso_size = vector.gso_size,
                            .checksum_partial = vector.checksum_partial});
    EXPECT_EQ(naive.verdict, vector.verdict) << vector.name;
    EXPECT_EQ(naive.packet, vector.expected) << vector.name;
  }
}

TEST(SpliceRule, NaiveTranslatorAgreesOnRandomPackets) {
  size_t verdicts[FL_SPLICE_VERDICTS]{};
  for (const SpliceVector& vector : test::generated_splice_vectors(kSeed, 50'000)) {
    expect_outcome(vector);
    ++verdicts[vector.verdict];
    if (HasFailure()) break;
  }
  // The table has some of everything that a TCP packet can meet.
  EXPECT_GT(verdicts[FL_SPLICE_TRANSLATED], 20'000u);
  for (const fl_splice_verdict verdict :
       {FL_SPLICE_NO_RULE, FL_SPLICE_UP_SYN, FL_SPLICE_UP_OPTIONS, FL_SPLICE_UP_TOO_BIG,
        FL_SPLICE_DROP_TTL, FL_SPLICE_DROP_FRAGMENT, FL_SPLICE_DROP_MALFORMED}) {
    EXPECT_GT(verdicts[verdict], 3u) << "verdict " << verdict;
  }
}

TEST(SpliceRule, AnyPrefixOfAVectorIsJudgedWithoutReadingPastItsEnd) {
  for (const SpliceVector& vector : test::splice_vectors()) {
    for (size_t size = 0; size < vector.packet.size(); ++size) {
      SpliceVector cut = vector;
      cut.packet.resize(size);
      Exact packet(cut.packet);
      const SpliceRecord record = record_of(vector);
      const SpliceOutcome outcome =
          translate(record.rule, packet.span(), {.size = static_cast<uint32_t>(size)});
      if (outcome.verdict != FL_SPLICE_TRANSLATED) EXPECT_EQ(packet.packet(), cut.packet);
      judge_loaded(cut);
    }
  }
}

TEST(SpliceRule, HeadersAloneAreEnough) {
  const SplicePair pair = test::vector_pair();
  test::Segment segment{.from = pair.client.remote, .to = pair.client.local};
  segment.payload = test::some_bytes(101);
  const fl_splice_rule rule = records_of(pair).from_client.rule;
  PacketBytes whole = packet_of(segment);
  PacketBytes headers = whole;
  headers.resize(40);
  translate(rule, whole, {.size = 141});
  Exact exact(headers);
  const SpliceOutcome outcome = translate(rule, exact.span(), {.size = 141});
  EXPECT_EQ(outcome.verdict, FL_SPLICE_TRANSLATED);
  EXPECT_EQ(outcome.segment.payload, 101u);
  whole.resize(40);
  EXPECT_EQ(exact.packet(), whole);
}

TEST(SpliceRule, SuperPacketCountsItsSegments) {
  test::Segment segment{.from = test::vector_pair().client.remote,
                        .to = test::vector_pair().client.local};
  const fl_splice_rule rule = records_of(test::vector_pair()).from_client.rule;
  for (const auto& [payload, packets] :
       std::vector<std::pair<size_t, uint32_t>>{{0, 1}, {1, 1}, {100, 1}, {101, 2}, {1000, 10}}) {
    segment.payload = test::some_bytes(payload);
    PacketBytes packet = packet_of(segment);
    const SpliceOutcome outcome =
        translate(rule, packet, {.size = static_cast<uint32_t>(packet.size()), .gso_size = 100});
    EXPECT_EQ(outcome.segment.packets, packets) << payload;
  }
}

}  // namespace
}  // namespace fairlead::nic
