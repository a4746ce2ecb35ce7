// Pairs and their records. What rules do to packets is tested by tests/splice_*.
#include "nic/splice/rule.h"

#include <gtest/gtest.h>

#include <cstring>

#include "nic/splice/splice_rule.h"

namespace fairlead::nic {
namespace {

IpAddress address(std::string_view text) { return *IpAddress::parse(text); }

SplicePair pair_v4() {
  return {.client = {{address("192.0.2.1"), 80}, {address("198.51.100.7"), 40000}},
          .server = {{address("10.0.0.1"), 61000}, {address("10.0.0.2"), 8080}},
          .seq_offset = 0xfffffff0,
          .ack_offset = 17,
          .ts_value_offset = 5,
          .ts_echo_offset = 0x80000000,
          .scales = {.announced_by_client = 7,
                     .announced_to_client = 10,
                     .announced_by_server = 0,
                     .announced_to_server = 14},
          .timestamps = true,
          .sack = true,
          .to_server = {.interface = 3, .next_hop = address("10.0.0.254"), .mtu = 9000},
          .to_client = {.interface = 2, .next_hop = address("fe80::1"), .mtu = 1400},
          .shard = 5,
          .generation = 99,
          .spliced_at = 1234567};
}

SplicePair pair_v6() {
  SplicePair pair = pair_v4();
  pair.client = {{address("2001:db8::1"), 80}, {address("2001:db8:1::7"), 40000}};
  pair.server = {{address("fd00::1"), 61000}, {address("fd00::2"), 8080}};
  pair.timestamps = pair.sack = false;
  pair.ts_value_offset = pair.ts_echo_offset = 0;
  return pair;
}

TEST(SplicePair, ComesBackFromItsRecordsInEitherOrder) {
  for (const SplicePair& pair : {pair_v4(), pair_v6()}) {
    const SpliceRecords records = records_of(pair);
    EXPECT_EQ(pair_of(records.from_client, records.from_server), pair);
    EXPECT_EQ(pair_of(records.from_server, records.from_client), pair);
  }
}

TEST(SplicePair, RecordsOfTwoPairsAreNone) {
  const SpliceRecords records = records_of(pair_v4());
  EXPECT_FALSE(pair_of(records.from_client, records.from_client));
  const auto differs = [&](auto change) {
    SplicePair other = pair_v4();
    change(other);
    return !pair_of(records.from_client, records_of(other).from_server);
  };
  EXPECT_FALSE(differs([](SplicePair&) {}));
  EXPECT_TRUE(differs([](SplicePair& other) { ++other.generation; }));
  EXPECT_TRUE(differs([](SplicePair& other) { ++other.server.local.port; }));
  EXPECT_TRUE(differs([](SplicePair& other) { ++other.client.remote.port; }));
  EXPECT_TRUE(differs([](SplicePair& other) { other.sack = false; }));
}

TEST(SplicePair, RecordWithAnImpossibleScaleIsNone) {
  SpliceRecords records = records_of(pair_v4());
  records.from_server.rule.window_scale = 15;
  EXPECT_FALSE(pair_of(records.from_client, records.from_server));
}

TEST(SplicePair, EachRuleKnowsTheOthersKey) {
  const SpliceRecords records = records_of(pair_v6());
  fl_splice_key key;
  fl_splice_reverse_key(&key, &records.from_client.rule);
  EXPECT_EQ(std::memcmp(&key, &records.from_server.key, sizeof key), 0);
  fl_splice_reverse_key(&key, &records.from_server.rule);
  EXPECT_EQ(std::memcmp(&key, &records.from_client.key, sizeof key), 0);
}

TEST(SplicePair, OffsetsOfOneDirectionUndoTheOthers) {
  const SpliceRecords records = records_of(pair_v4());
  const fl_splice_rule& client = records.from_client.rule;
  const fl_splice_rule& server = records.from_server.rule;
  EXPECT_EQ(client.seq_offset + server.ack_offset, 0u);
  EXPECT_EQ(client.ack_offset + server.seq_offset, 0u);
  EXPECT_EQ(client.ts_value_offset + server.ts_echo_offset, 0u);
  EXPECT_EQ(client.ts_echo_offset + server.ts_value_offset, 0u);
  EXPECT_EQ(client.window_shift, 7 - 14);
  EXPECT_EQ(server.window_shift, 0 - 10);
}

TEST(SpliceKey, IsTheFourTupleOfArrivingPackets) {
  const FourTuple tuple = pair_v4().client;
  EXPECT_EQ(tuple_of(key_of(tuple)), tuple);
  const fl_splice_key key = key_of(tuple);
  EXPECT_EQ(fl_swap16(key.source_port), 40000);
  EXPECT_EQ(fl_swap16(key.destination_port), 80);
  EXPECT_EQ(key.reserved, 0u);
}

}  // namespace
}  // namespace fairlead::nic
