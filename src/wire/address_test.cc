#include "wire/address.h"

#include <gtest/gtest.h>

#include <string>

namespace fairlead {
namespace {

IpAddress ip(std::string_view text) {
  Result<IpAddress> address = IpAddress::parse(text);
  EXPECT_TRUE(address.has_value()) << text;
  return address.value_or(IpAddress());
}

TEST(MacAddress, PrintsSixHexPairs) {
  EXPECT_EQ((MacAddress{{0x02, 0, 0, 0xab, 0xcd, 0x0f}}.to_string()), "02:00:00:ab:cd:0f");
}

TEST(IpAddress, DefaultsToUnspecifiedV6) {
  EXPECT_TRUE(IpAddress().is_v6());
  EXPECT_TRUE(IpAddress().is_unspecified());
  EXPECT_EQ(IpAddress().to_string(), "::");
}

TEST(IpAddress, ParsesWhatItPrints) {
  for (std::string_view text : {"0.0.0.0", "192.0.2.1", "255.255.255.255", "::", "::1", "fe80::1",
                                "2001:db8::1", "2001:db8:1:2:3:4:5:6"}) {
    EXPECT_EQ(ip(text).to_string(), text);
  }
}

TEST(IpAddress, HoldsV4AsAHostOrderValue) {
  EXPECT_EQ(ip("192.168.0.1"), IpAddress::v4(0xC0A8'0001));
  EXPECT_EQ(ip("192.168.0.1").v4_value(), 0xC0A8'0001u);
  EXPECT_TRUE(ip("192.168.0.1").is_v4());
  EXPECT_TRUE(ip("2001:db8::1").is_v6());
}

TEST(IpAddress, TheMappedFormIsTheV4Address) {  // RFC 4291 §2.5.5.2
  EXPECT_EQ(ip("::ffff:192.0.2.1"), ip("192.0.2.1"));
  EXPECT_EQ(ip("::ffff:192.0.2.1").to_string(), "192.0.2.1");
}

TEST(IpAddress, RefusesWhatIsNoAddressAndSaysWhatWouldBe) {
  const std::string_view longest = "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255";
  EXPECT_TRUE(IpAddress::parse(longest).has_value());
  for (std::string_view text :
       {std::string_view(""), std::string_view("192.0.2"), std::string_view("192.0.2.256"),
        std::string_view(" 192.0.2.1"), std::string_view("2001:db8::1%eth0"),
        std::string_view("[::1]"), std::string_view("fairlead"), std::string_view("1::2::3"),
        std::string_view("192.0.2.1\0x", 11), std::string_view("192.0.2.1\0", 10)}) {
    Result<IpAddress> address = IpAddress::parse(text);
    ASSERT_FALSE(address.has_value()) << text;
    EXPECT_EQ(address.error().code, Errc::kInvalidArgument);
    EXPECT_NE(address.error().message.find("expected one like"), std::string::npos);
  }
  EXPECT_FALSE(IpAddress::parse(std::string(longest) + "0").has_value());
  EXPECT_FALSE(IpAddress::parse(std::string(100'000, '1')).has_value());
}

TEST(IpAddress, HeaderBytesAreFourOrSixteen) {
  const IpAddress v4 = ip("192.0.2.1");
  ASSERT_EQ(v4.header_bytes().size(), 4u);
  EXPECT_EQ(v4.header_bytes()[0], 192);
  EXPECT_EQ(v4.header_bytes()[3], 1);
  const IpAddress v6 = ip("2001:db8::1");
  ASSERT_EQ(v6.header_bytes().size(), 16u);
  EXPECT_EQ(v6.header_bytes()[0], 0x20);
}

TEST(IpAddress, KnowsUnspecifiedAndGroupAddresses) {
  EXPECT_TRUE(ip("0.0.0.0").is_unspecified());
  EXPECT_FALSE(ip("0.0.0.1").is_unspecified());
  EXPECT_FALSE(ip("::1").is_unspecified());
  for (std::string_view group : {"224.0.0.1", "239.255.255.255", "255.255.255.255", "ff02::1"}) {
    EXPECT_TRUE(ip(group).is_multicast_or_broadcast()) << group;
  }
  for (std::string_view host : {"223.255.255.255", "240.0.0.1", "0.0.0.0", "fe80::1", "::"}) {
    EXPECT_FALSE(ip(host).is_multicast_or_broadcast()) << host;
  }
}

TEST(Endpoint, PrintsV6InBrackets) {
  EXPECT_EQ((Endpoint{ip("192.0.2.1"), 80}.to_string()), "192.0.2.1:80");
  EXPECT_EQ((Endpoint{ip("2001:db8::1"), 443}.to_string()), "[2001:db8::1]:443");
}

TEST(Endpoint, OrdersByAddressThenPort) {
  EXPECT_LT((Endpoint{ip("192.0.2.1"), 80}), (Endpoint{ip("192.0.2.1"), 81}));
  EXPECT_LT((Endpoint{ip("192.0.2.1"), 81}), (Endpoint{ip("192.0.2.2"), 80}));
}

}  // namespace
}  // namespace fairlead
