#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <memory>
#include <vector>

#include "base/random.h"
#include "wire/arp.h"
#include "wire/checksum.h"
#include "wire/ethernet.h"
#include "wire/icmp.h"
#include "wire/ipv4.h"
#include "wire/ipv6.h"
#include "wire/tcp.h"

namespace fairlead::wire {
namespace {

using Bytes = std::vector<uint8_t>;

Bytes ipv4_packet(size_t total, size_t buffer) {
  Bytes p(buffer);
  auto& h = *new (p.data()) Ipv4Header;
  h.total_length = static_cast<uint16_t>(total);
  h.source = 0xc6120001u;
  h.destination = 0xc6120002u;
  h.checksum = checksum_finish(checksum_add(0, ByteSpan(p).first(20)));
  return p;
}

TEST(Ethernet, SeesBehindUpToTwoTags) {
  Bytes frame(14);
  frame[12] = 0x08;
  EXPECT_EQ(EthernetView::checked(frame)->type(), ether_type::kIpv4);
  EXPECT_EQ(EthernetView::checked(frame)->vlan(), std::nullopt);
  Bytes tagged = {0, 0,    0,    0,    0, 0,    0, 0, 0, 0,    0,
                  0, 0x88, 0xa8, 0x20, 5, 0x81, 0, 0, 9, 0x86, 0xdd};
  auto view = EthernetView::checked(tagged);
  ASSERT_TRUE(view);
  EXPECT_EQ(view->type(), ether_type::kIpv6);
  EXPECT_EQ(view->vlan(), 5);
  EXPECT_EQ(view->header_size(), 22u);
  tagged.insert(tagged.end() - 2, {0x81, 0, 0, 1});
  EXPECT_FALSE(EthernetView::checked(tagged));
}

TEST(Ethernet, IsRefusedWhenShorterThanItsHeader) {
  Bytes tagged = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x81, 0, 0x20, 5, 8, 0};
  for (size_t n = 0; n < tagged.size(); ++n) {
    EXPECT_FALSE(EthernetView::checked(ByteSpan(tagged).first(n))) << n;
  }
  EXPECT_TRUE(EthernetView::checked(tagged));
}

TEST(Ipv4, CutsEthernetPaddingOff) {
  Bytes p = ipv4_packet(24, 46);
  auto view = Ipv4View::checked(p);
  ASSERT_TRUE(view);
  EXPECT_EQ(view->payload().size(), 4u);
  EXPECT_TRUE(view->checksum_ok());
  EXPECT_EQ(view->source().to_string(), "198.18.0.1");
  p[8] ^= 1;
  EXPECT_FALSE(Ipv4View::checked(p)->checksum_ok());
}

TEST(Ipv4, RefusesLengthsThatLie) {
  EXPECT_FALSE(Ipv4View::checked(ipv4_packet(47, 46)));
  EXPECT_FALSE(Ipv4View::checked(ipv4_packet(19, 46)));
  Bytes p = ipv4_packet(46, 46);
  p[0] = 0x44;
  EXPECT_FALSE(Ipv4View::checked(p));
  p[0] = 0x4f;
  EXPECT_FALSE(Ipv4View::checked(p));
  p[0] = 0x65;
  EXPECT_FALSE(Ipv4View::checked(p));
}

TEST(Ipv4, KnowsEveryKindOfFragment) {
  Bytes p = ipv4_packet(46, 46);
  for (auto [field, fragment] : {std::pair{0x4000, false}, {0x2000, true}, {0x0001, true}}) {
    p[6] = static_cast<uint8_t>(field >> 8), p[7] = static_cast<uint8_t>(field);
    EXPECT_EQ(Ipv4View::checked(p)->is_fragment(), fragment) << field;
  }
}

Bytes ipv6_packet(uint8_t next, Bytes payload) {
  Bytes p(40);
  auto& h = *new (p.data()) Ipv6Header;
  h.next_header = next;
  h.payload_length = static_cast<uint16_t>(payload.size());
  p.insert(p.end(), payload.begin(), payload.end());
  return p;
}

TEST(Ipv6, WalksExtensionHeaders) {
  auto view = Ipv6View::checked(ipv6_packet(
      0, {43, 0, 0, 0, 0, 0, 0, 0, 60, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0, 1, 2}));
  ASSERT_TRUE(view);
  EXPECT_EQ(view->protocol(), ip_protocol::kTcp);
}

TEST(Ipv6, RefusesAnIpv4MappedAddressOnTheWire) {
  const std::array<uint8_t, 16> mapped = IpAddress::v4(0xc000'0201).bytes();
  const Bytes good = ipv6_packet(6, Bytes(20));
  ASSERT_TRUE(Ipv6View::checked(good));
  for (size_t field : {offsetof(Ipv6Header, source), offsetof(Ipv6Header, destination)}) {
    Bytes p = good;
    std::ranges::copy(mapped, p.begin() + static_cast<ptrdiff_t>(field));
    EXPECT_FALSE(Ipv6View::checked(p)) << field;
    EXPECT_FALSE(Ipv6View::checked_quote(p)) << field;
  }
}

TEST(Ipv6, RefusesHopByHopOptionsAnywhereButFirst) {  // RFC 8200 §4.1
  EXPECT_TRUE(Ipv6View::checked(ipv6_packet(0, {6, 0, 0, 0, 0, 0, 0, 0})));
  EXPECT_FALSE(
      Ipv6View::checked(ipv6_packet(60, {0, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0})));
}

TEST(Ipv6, RefusesARoutingHeaderWithSegmentsLeft) {  // RFC 8200 §4.4
  EXPECT_TRUE(Ipv6View::checked(ipv6_packet(43, {6, 0, 0, 0, 0, 0, 0, 0})));
  EXPECT_FALSE(Ipv6View::checked(ipv6_packet(43, {6, 0, 0, 1, 0, 0, 0, 0})));
}

TEST(Ipv6, AnAtomicFragmentIsNoFragment) {  // RFC 6946
  Bytes p = ipv6_packet(44, {6, 0, 0, 0, 0, 0, 0, 1, 9, 9});
  EXPECT_FALSE(Ipv6View::checked(p)->is_fragment());
  p[43] = 1;
  EXPECT_TRUE(Ipv6View::checked(p)->is_fragment());
  EXPECT_EQ(Ipv6View::checked(p)->protocol(), ip_protocol::kTcp);
  p[43] = 8;
  EXPECT_EQ(Ipv6View::checked(p)->protocol(), 59);
}

TEST(Ipv6, RefusesTooManyOrOverlongExtensionHeaders) {
  Bytes chain;
  for (int i = 0; i < Ipv6View::kMaxExtensionHeaders + 1; ++i) {
    chain.insert(chain.end(), {60, 0, 0, 0, 0, 0, 0, 0});
  }
  EXPECT_FALSE(Ipv6View::checked(ipv6_packet(60, chain)));
  EXPECT_FALSE(Ipv6View::checked(ipv6_packet(60, {6, 1, 0, 0, 0, 0, 0, 0})));
  EXPECT_FALSE(Ipv6View::checked(ipv6_packet(60, {6, 0, 0})));
  Bytes p = ipv6_packet(6, {1, 2, 3});
  p.pop_back();
  EXPECT_FALSE(Ipv6View::checked(p));
}

TEST(Tcp, RefusesAHeaderLengthOutOfRange) {
  Bytes s(24);
  for (unsigned words = 0; words < 16; ++words) {
    s[12] = static_cast<uint8_t>(words << 4);
    EXPECT_EQ(TcpView::checked(s).has_value(), words == 5 || words == 6) << words;
  }
  EXPECT_FALSE(TcpView::checked(ByteSpan(s).first(19)));
}

TEST(Headers, NoViewReadsPastRandomBytes) {
  Rng rng(3);
  for (int round = 0; round < 50'000; ++round) {
    size_t size = rng.below(120);
    auto exact = std::make_unique<uint8_t[]>(size);
    for (size_t i = 0; i < size; ++i) exact[i] = static_cast<uint8_t>(rng.next());
    if (size > 0 && rng.chance(0.8)) exact[0] = rng.chance(0.5) ? 0x45 : 0x60;
    if (size > 6 && rng.chance(0.5)) exact[6] = rng.chance(0.5) ? 44 : 60;
    ByteSpan bytes(exact.get(), size);
    uint64_t sink = 0;
    if (auto v = EthernetView::checked(bytes)) sink += v->payload().size() + v->vlan().value_or(0);
    if (auto v = Ipv4View::checked(bytes)) sink += checksum_add(v->checksum_ok(), v->payload());
    if (auto v = Ipv4View::checked_quote(bytes)) sink += checksum_add(0, v->payload());
    if (auto v = Ipv6View::checked(bytes)) sink += checksum_add(v->protocol(), v->payload());
    if (auto v = Ipv6View::checked_quote(bytes)) sink += checksum_add(0, v->payload());
    if (auto v = TcpView::checked(bytes))
      sink += checksum_add(0, v->payload()) + v->options().size();
    if (auto v = IcmpView::checked(bytes)) sink += checksum_add(0, v->quote());
    if (const ArpPacket* arp = ArpPacket::checked(bytes)) sink += arp->operation.value();
    ASSERT_LT(sink, UINT64_MAX);
  }
}

}  // namespace
}  // namespace fairlead::wire
