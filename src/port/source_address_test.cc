#include "port/source_address.h"

#include <gtest/gtest.h>

#include <vector>

namespace fairlead::port {
namespace {

IpAddress ip(std::string_view text) { return *IpAddress::parse(text); }

AddressMessage address(std::string_view text, uint8_t length) {
  return {.interface_index = 2, .address = ip(text), .prefix_length = length};
}

std::optional<IpAddress> choose(const std::vector<AddressMessage>& addresses,
                                std::string_view remote, std::string_view next_hop) {
  return choose_source(addresses,
                       {.interface_index = 2, .remote = ip(remote), .next_hop = ip(next_hop)});
}

TEST(ChooseSource, AddressOnTheNextHopsSubnetWins) {
  const std::vector addresses{address("192.0.2.7", 24), address("10.0.0.7", 24)};
  EXPECT_EQ(choose(addresses, "198.51.100.1", "10.0.0.1"), ip("10.0.0.7"));
  EXPECT_EQ(choose(addresses, "198.51.100.1", "192.0.2.1"), ip("192.0.2.7"));
}

TEST(ChooseSource, PrimaryAddressWinsOverSecondary) {
  std::vector addresses{address("10.0.0.8", 24), address("10.0.0.7", 24)};
  addresses[0].secondary = true;
  EXPECT_EQ(choose(addresses, "10.0.0.1", "10.0.0.1"), ip("10.0.0.7"));
}

TEST(ChooseSource, ScopeOfTheDestinationDecidesForIpv6) {  // RFC 6724 §5, rule 2
  const std::vector addresses{address("fe80::7", 64), address("2001:db8::7", 64)};
  EXPECT_EQ(choose(addresses, "2001:db8:9::1", "fe80::1"), ip("2001:db8::7"));
  EXPECT_EQ(choose(addresses, "fe80::1", "fe80::1"), ip("fe80::7"));
}

TEST(ChooseSource, DeprecatedAddressIsTheLastChoice) {  // RFC 6724 §5, rule 3
  std::vector addresses{address("2001:db8::7", 64), address("2001:db8:1::7", 64)};
  addresses[0].deprecated = true;
  EXPECT_EQ(choose(addresses, "2001:db8::1", "2001:db8::1"), ip("2001:db8:1::7"));
}

TEST(ChooseSource, TentativeForeignAndOtherFamilyAddressesAreNotUsed) {
  std::vector addresses{address("10.0.0.7", 24), address("10.0.0.8", 24), address("fd00::7", 64)};
  addresses[0].usable = false;
  addresses[1].interface_index = 3;
  EXPECT_EQ(choose(addresses, "10.0.0.1", "10.0.0.1"), std::nullopt);
}

}  // namespace
}  // namespace fairlead::port
