#include "service/switch/protocol/proxy_protocol.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "service/switch/protocol/http_text.h"

namespace fairlead::protocol {
namespace {

using namespace std::string_literals;

Endpoint endpoint(std::string_view address, uint16_t port) {
  return {*IpAddress::parse(address), port};
}

const ProxyAddresses kV4{endpoint("192.0.2.1", 61000), endpoint("198.51.100.2", 80)};
const ProxyAddresses kV6{endpoint("2001:db8::1", 1), endpoint("2001:db8::2", 65535)};

std::string emitted(ProxyVersion version, const std::optional<ProxyAddresses>& addresses) {
  std::vector<uint8_t> out(ProxyHeader::kMaxEmitted);
  const size_t size = ProxyHeader::emit(version, addresses, out);
  return std::string(as_text(ByteSpan(out).first(size)));
}

/// "SOURCE > DESTINATION, size", "none, size", "incomplete", or the fault's name.
std::string outcome(std::string_view text) {
  const auto exact = std::make_unique<uint8_t[]>(text.size());  // a read past the end is seen
  std::ranges::copy(text, exact.get());
  const auto result = ProxyHeader::parse({exact.get(), text.size()});
  if (!result) return std::string(proxy_fault_name(result.error()));
  if (!*result) return "incomplete";
  const std::optional<ProxyAddresses>& addresses = (*result)->addresses;
  return (addresses ? addresses->source.to_string() + " > " + addresses->destination.to_string()
                    : "none") +
         ", " + std::to_string((*result)->size);
}

std::string v2(std::string_view command_and_family, std::string_view rest) {
  return "\r\n\r\n\0\r\nQUIT\n"s + std::string(command_and_family) +
         static_cast<char>(rest.size() >> 8) + static_cast<char>(rest.size()) + std::string(rest);
}

TEST(ProxyProtocol, WhatIsEmittedIsParsedTheSame) {
  for (ProxyVersion version : {ProxyVersion::kV1, ProxyVersion::kV2}) {
    for (const std::optional<ProxyAddresses>& addresses :
         {std::optional(kV4), std::optional(kV6), std::optional<ProxyAddresses>()}) {
      const std::string text = emitted(version, addresses);
      const std::string stream = text + "GET";
      const auto parsed =
          ProxyHeader::parse({reinterpret_cast<const uint8_t*>(stream.data()), stream.size()});
      ASSERT_TRUE(parsed && *parsed);
      EXPECT_EQ(**parsed, (ProxyHeader{.addresses = addresses, .size = text.size()}));
      for (size_t size = 0; size < text.size(); ++size) {
        ASSERT_EQ(outcome(text.substr(0, size)), "incomplete") << size;
      }
    }
  }
}

TEST(ProxyProtocol, VersionOneIsTheTextOfTheSpecification) {  // §2.1
  EXPECT_EQ(emitted(ProxyVersion::kV1, kV4), "PROXY TCP4 192.0.2.1 198.51.100.2 61000 80\r\n");
  EXPECT_EQ(emitted(ProxyVersion::kV1, kV6), "PROXY TCP6 2001:db8::1 2001:db8::2 1 65535\r\n");
  EXPECT_EQ(emitted(ProxyVersion::kV1, std::nullopt), "PROXY UNKNOWN\r\n");
}

TEST(ProxyProtocol, VersionTwoIsTheBytesOfTheSpecification) {  // §2.2
  const std::string v4 = "\xc0\0\2\1\xc6\x33\x64\2\xee\x48\0\x50"s;
  EXPECT_EQ(emitted(ProxyVersion::kV2, kV4), v2("\x21\x11", v4));
  EXPECT_EQ(emitted(ProxyVersion::kV2, kV6).size(), 16u + 36u);
  EXPECT_EQ(emitted(ProxyVersion::kV2, std::nullopt), v2("\x20\0"s, ""));
}

TEST(ProxyProtocol, AddressesOfTwoFamiliesAreNotTold) {
  const ProxyAddresses mixed{kV4.source, kV6.destination};
  EXPECT_EQ(emitted(ProxyVersion::kV1, mixed), "PROXY UNKNOWN\r\n");
  EXPECT_EQ(outcome(emitted(ProxyVersion::kV2, mixed)), "none, 16");
}

TEST(ProxyProtocol, EveryVersionOneLineIsTakenOrRefusedForItsReason) {  // §2.1
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"PROXY TCP4 1.2.3.4 5.6.7.8 9 10\r\nGET", "1.2.3.4:9 > 5.6.7.8:10, 33"},
      {"PROXY TCP4 1.2.3.4 5.6.7.8 0 65535\r\n", "1.2.3.4:0 > 5.6.7.8:65535, 36"},
      {"PROXY TCP6 ::ffff:1.2.3.4 ::1 9 10\r\n", "1.2.3.4:9 > [::1]:10, 36"},
      {"PROXY UNKNOWN\r\n", "none, 15"},
      {"PROXY UNKNOWN \x01 anything \r\n", "none, 27"},
      {"PROXY UNKNOWNS\r\n", "v1_line"},
      {"PROXY TCP5 1.2.3.4 5.6.7.8 9 10\r\n", "v1_line"},
      {"PROXY TCP4 1.2.3.4 5.6.7.8 9 10\n", "v1_line"},
      {"PROXY \n", "v1_line"},
      {"PROXY \r\n", "v1_line"},
      {"PROXY TCP4\r\n", "v1_address"},
      {"PROXY TCP4  1.2.3.4 5.6.7.8 9 10\r\n", "v1_address"},
      {"PROXY TCP4 1.2.3.4 5.6.7.8 9 10 \r\n", "v1_address"},
      {"PROXY TCP4 1.2.3.4 5.6.7.8 9\r\n", "v1_address"},
      {"PROXY TCP4 1.2.3.4 5.6.7.8 9 65536\r\n", "v1_address"},
      {"PROXY TCP4 1.2.3.4 5.6.7.8 09 10\r\n", "v1_address"},
      {"PROXY TCP4 1.2.3.4 5.6.7.8 +9 10\r\n", "v1_address"},
      {"PROXY TCP4 1.2.3.4 5.6.7.8 -9 10\r\n", "v1_address"},
      {"PROXY TCP4 1.2.3.04 5.6.7.8 9 10\r\n", "v1_address"},
      {"PROXY TCP4 1.2.3.256 5.6.7.8 9 10\r\n", "v1_address"},
      {"PROXY TCP4 1.2.3.4\0 5.6.7.8 9 10\r\n"s, "v1_address"},
      {"PROXY TCP4 ::1 ::2 9 10\r\n", "v1_address"},
      {"PROXY TCP6 1.2.3.4 5.6.7.8 9 10\r\n", "v1_address"},
      {"PROXY UNKNOWN " + std::string(91, 'x') + "\r\n", "none, 107"},
      {"PROXY UNKNOWN " + std::string(92, 'x') + "\r\n", "v1_too_long"},
      {"PROXY UNKNOWN " + std::string(92, 'x'), "incomplete"},
      {"proxy TCP4", "not_proxy"},
      {"G", "not_proxy"},
      {"PROXY\t", "not_proxy"},
      {"", "incomplete"},
  };
  for (const auto& [text, expected] : cases) EXPECT_EQ(outcome(text), expected) << text;
}

TEST(ProxyProtocol, EveryVersionTwoHeaderIsTakenOrRefusedForItsReason) {  // §2.2
  const std::string v4 = "\1\2\3\4\5\6\7\10\0\11\0\12"s;
  const std::string v6 = std::string(32, '\1') + "\0\11\0\12"s;
  const std::string told4 = "1.2.3.4:9 > 5.6.7.8:10, ";
  EXPECT_EQ(outcome(v2("\x21\x11", v4) + "GET"), told4 + "28");
  EXPECT_EQ(outcome(v2("\x21\x11", v4 + "\x04\0\1x"s)), told4 + "32");  // a TLV
  EXPECT_EQ(outcome(v2("\x21\x11", v4.substr(1))), "v2_length");
  EXPECT_TRUE(outcome(v2("\x21\x21", v6)).ends_with(", 52"));
  EXPECT_EQ(outcome(v2("\x21\x21", v6.substr(1))), "v2_length");
  EXPECT_EQ(outcome(v2("\x21\x31", std::string(216, 'u'))), "none, 232");
  EXPECT_EQ(outcome(v2("\x21\x31", std::string(215, 'u'))), "v2_length");
  EXPECT_EQ(outcome(v2("\x21\0"s, "xyz")), "none, 19");
  EXPECT_EQ(outcome(v2("\x20\x11", "")), "none, 16");  // LOCAL: the family is ignored
  EXPECT_EQ(outcome(v2("\x20\xff", "xyz")), "none, 19");
  EXPECT_EQ(outcome(v2("\x21\x12", v4)), "v2_family");  // UDP does not come on TCP
  EXPECT_EQ(outcome(v2("\x21\x41", v4)), "v2_family");
  EXPECT_EQ(outcome(v2("\x22\x11", v4)), "v2_command");
  EXPECT_EQ(outcome(v2("\x11\x11", v4)), "v2_command");
  EXPECT_EQ(outcome(v2("\x21\x11", v4 + std::string(ProxyHeader::kMaxV2Length - 12, 't'))),
            told4 + "4112");
  EXPECT_EQ(outcome(v2("\x21\x11", v4 + std::string(ProxyHeader::kMaxV2Length - 11, 't'))),
            "v2_too_long");
  EXPECT_EQ(outcome("\r\n\r\nG"), "not_proxy");
}

TEST(ProxyProtocol, EveryFaultHasANameOfItsOwn) {
  std::vector<std::string_view> names;
  for (size_t i = 0; i < kProxyFaultCount; ++i) {
    names.push_back(proxy_fault_name(static_cast<ProxyFault>(i)));
  }
  std::ranges::sort(names);
  EXPECT_EQ(std::ranges::adjacent_find(names), names.end());
}

}  // namespace
}  // namespace fairlead::protocol
