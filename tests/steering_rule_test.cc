// The steering rule and the flow hash, in user space.
#include "nic/steering/steering_rule.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <set>
#include <vector>

#include "base/bytes.h"
#include "base/endian.h"
#include "nic/steering/load_from_span.h"
#include "nic/steering/steering.h"
#include "tests/steering_vectors.h"
#include "wire/ethernet.h"

// The plain-C headers leave these to whoever includes them.

namespace {

struct Tables {
  std::set<std::vector<uint8_t>> listeners;
  std::set<std::vector<uint8_t>> addresses;
  fl_port_range local_ports;
};

template <typename T>
std::vector<uint8_t> bytes_of(const T& value) {
  const auto* begin = reinterpret_cast<const uint8_t*>(&value);
  return {begin, begin + sizeof value};
}

}  // namespace

static inline int fl_has_listener(void* tables, const fl_listener* key) {
  return static_cast<Tables*>(tables)->listeners.contains(bytes_of(*key)) ? 1 : 0;
}
static inline int fl_has_address(void* tables, const fl_address* address) {
  return static_cast<Tables*>(tables)->addresses.contains(bytes_of(*address)) ? 1 : 0;
}
static inline fl_port_range fl_local_ports(void* tables) {
  return static_cast<Tables*>(tables)->local_ports;
}

namespace fairlead::nic {
namespace {

fl_address address_of(const IpAddress& address) {
  fl_address out;
  std::memcpy(&out, address.bytes().data(), sizeof out);
  return out;
}

Tables vector_tables() {
  Tables tables{.listeners = {},
                .addresses = {},
                .local_ports = {.first = test::kLocalPortFirst, .last = test::kLocalPortLast}};
  for (const Endpoint& endpoint : test::vector_listeners()) {
    const fl_listener key{
        .address = address_of(endpoint.address), .port = endpoint.port, .reserved = {}};
    tables.listeners.insert(bytes_of(key));
  }
  for (const IpAddress& address : test::vector_addresses()) {
    tables.addresses.insert(bytes_of(address_of(address)));
  }
  return tables;
}

fl_verdict verdict_of(ByteSpan frame) {
  Tables tables = vector_tables();
  ByteSpan packet = frame.subspan(wire::kEthernetSize);
  fl_packet parsed;
  fl_parse_packet(&packet, fl_be16(&frame[12]), &parsed);
  return fl_steer(&tables, &parsed);
}

TEST(SteeringRule, EveryVectorGetsItsVerdict) {
  for (const test::SteeringVector& vector : test::steering_vectors()) {
    EXPECT_EQ(verdict_of(vector.frame), vector.verdict) << vector.name;
  }
}

TEST(SteeringRule, AnyPrefixOfAnyVectorIsJudgedWithoutReadingPastItsEnd) {
  for (const test::SteeringVector& vector : test::steering_vectors()) {
    for (size_t size = 14; size < vector.frame.size(); ++size) {
      const std::vector<uint8_t> cut(vector.frame.begin(),
                                     vector.frame.begin() + static_cast<ptrdiff_t>(size));
      const fl_verdict verdict = verdict_of(cut);
      EXPECT_TRUE(verdict == vector.verdict || verdict == FL_PASS_NOT_TCP) << vector.name;
    }
  }
}

TEST(SteeringRule, RandomBytesGetSomeVerdict) {
  constexpr unsigned kSeed = 1;
  std::mt19937 random(kSeed);
  for (int i = 0; i < 100'000; ++i) {
    std::vector<uint8_t> frame(14 + random() % 100);
    for (uint8_t& byte : frame) byte = static_cast<uint8_t>(random());
    frame[12] = i % 2 == 0 ? 0x08 : 0x86;
    frame[13] = i % 2 == 0 ? 0x00 : 0xdd;
    if (frame.size() > 14) frame[14] = i % 2 == 0 ? 0x45 : 0x60;
    EXPECT_LT(verdict_of(frame), FL_VERDICTS) << "seed " << kSeed << " packet " << i;
  }
}

TEST(FlowHash, BothDirectionsOfAConnectionFallOnOneShard) {
  const SteeringOptions options{.shards = 5, .hash_seed = 0x1234};
  for (uint16_t port = 1000; port < 2000; ++port) {
    const Endpoint a{IpAddress::v4(0x0a000001), 80};
    const Endpoint b{IpAddress::v4(0x0a000002 + port % 7u), port};
    EXPECT_EQ(shard_of({a, b}, options), shard_of({b, a}, options));
  }
}

TEST(FlowHash, ConnectionsSpreadEvenlyOverShards) {
  constexpr unsigned kShards = 4;
  const SteeringOptions options{.shards = kShards, .hash_seed = 99};
  std::vector<int> connections(kShards);
  for (uint16_t port = 10000; port < 50000; ++port) {
    ++connections.at(
        shard_of({{IpAddress::v4(0x0a000001), 80}, {IpAddress::v4(0x0a000002), port}}, options));
  }
  // 40,000 connections, 10,000 expected on each; five standard deviations are 433.
  for (const int count : connections) EXPECT_NEAR(count, 10'000, 433);
}

TEST(FlowHash, AnotherSeedGivesAnotherDistribution) {
  const SteeringOptions one{.shards = 1000, .hash_seed = 1};
  const SteeringOptions two{.shards = 1000, .hash_seed = 2};
  int same = 0;
  for (uint16_t port = 1; port <= 1000; ++port) {
    const FourTuple tuple{{IpAddress::v4(1), 80}, {IpAddress::v4(2), port}};
    same += shard_of(tuple, one) == shard_of(tuple, two) ? 1 : 0;
  }
  EXPECT_LT(same, 20);
}

}  // namespace
}  // namespace fairlead::nic
