#include "service/switch/protocol/client_hello.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace fairlead::protocol {
namespace {

using namespace std::string_literals;

std::string number(size_t value, size_t size) {
  std::string out;
  for (size_t i = size; i-- > 0;) out += static_cast<char>(value >> (8 * i));
  return out;
}
/// A vector with its length before it, in `size` bytes.
std::string vec(size_t size, std::string_view data) {
  return number(data.size(), size) + std::string(data);
}
std::string extension(uint16_t type, std::string_view data) {
  return number(type, 2) + vec(2, data);
}
std::string sni(std::string_view name) { return extension(0, vec(2, "\0"s + vec(2, name))); }
std::string alpn(std::string_view list) { return extension(16, vec(2, list)); }

/// The body of a ClientHello up to where the extensions' length stands.
std::string body_start() {
  return "\x03\x03" + std::string(32, 'r') + vec(1, std::string(32, 's')) +
         vec(2, "\x13\x01\x13\x02") + vec(1, "\0"s);
}
std::string message(std::string_view body) { return "\x01" + vec(3, body); }
std::string hello(std::string_view extensions) {
  return message(body_start() + vec(2, extensions));
}
std::string record(std::string_view fragment) { return "\x16\x03\x01" + vec(2, fragment); }
/// As records of `size` bytes.
std::string records(std::string_view text, size_t size) {
  std::string out;
  for (size_t at = 0; at < text.size(); at += size) out += record(text.substr(at, size));
  return out;
}

/// "SNI ALPN,ALPN", "incomplete", or the fault's name. From an exact heap block, for ASan's sake.
std::string outcome(std::string_view text) {
  const auto exact = std::make_unique<uint8_t[]>(text.size());
  std::ranges::copy(text, exact.get());
  const auto result = ClientHello::parse({exact.get(), text.size()});
  if (!result) return std::string(hello_fault_name(result.error()));
  if (!*result) return "incomplete";
  std::string out = (*result)->server_name + " ";
  for (const std::string& name : (*result)->alpn) out += name + ",";
  return out;
}

const std::string kOrdinary = hello(extension(43, "\x02\x03\x04") + sni("www.Example.org") +
                                    alpn(vec(1, "h2") + vec(1, "http/1.1")));

TEST(ClientHello, ServerNameAndProtocolsAreRead) {  // RFC 6066 §3, RFC 7301 §3.1
  EXPECT_EQ(outcome(record(kOrdinary)), "www.example.org h2,http/1.1,");
  EXPECT_EQ(outcome(record(kOrdinary) + "more"), "www.example.org h2,http/1.1,");
  EXPECT_EQ(outcome(record(hello(""))), " ");
  EXPECT_EQ(outcome(record(message(body_start()))), " ");  // RFC 5246 §7.4.1.2
}

TEST(ClientHello, EveryPrefixIsIncomplete) {
  const std::string text = records(kOrdinary, 50);
  for (size_t size = 0; size < text.size(); ++size) {
    ASSERT_EQ(outcome(text.substr(0, size)), "incomplete") << size;
  }
}

TEST(ClientHello, RecordsMayCutItAnywhere) {  // RFC 8446 §5.1
  for (size_t size = 4; size <= kOrdinary.size(); ++size) {
    ASSERT_EQ(outcome(records(kOrdinary, size)), "www.example.org h2,http/1.1,") << size;
  }
  EXPECT_EQ(outcome(record(kOrdinary.substr(0, 1)) + record(kOrdinary.substr(1, 2)) +
                    record(kOrdinary.substr(3))),
            "www.example.org h2,http/1.1,");
}

TEST(ClientHello, WhatIsNotOneIsToldByItsFirstBytes) {  // RFC 8446 §5.1, §4
  EXPECT_EQ(outcome("G"), "not_tls");
  EXPECT_EQ(outcome("\x80\x2e\x01"), "not_tls");  // SSL 2.0
  EXPECT_EQ(outcome("\x15\x03\x01"), "not_tls");  // an alert
  EXPECT_EQ(outcome("\x16\x02"), "not_tls");
  EXPECT_EQ(outcome("\x16\x03\x01"s + number(5, 2) + "\x02"), "not_client_hello");
  EXPECT_EQ(outcome(record("\x01") + "\x17\x03\x03"), "not_tls");
}

TEST(ClientHello, RecordsAndMessagesAreBounded) {
  EXPECT_EQ(outcome("\x16\x03\x01"s + number(0, 2)), "record_size");  // RFC 8446 §5.1
  EXPECT_EQ(outcome("\x16\x03\x01"s + number((1 << 14) + 1, 2)), "record_size");
  EXPECT_EQ(outcome("\x16\x03\x01"s + number(1 << 14, 2)), "incomplete");
  const size_t room = ClientHello::kMaxMessage - body_start().size() - 2 - 4;
  const std::string largest = hello(extension(21, std::string(room, '\0')));  // RFC 7685 padding
  EXPECT_EQ(outcome(records(largest, 1 << 14)), " ");
  EXPECT_EQ(outcome(record("\x01"s + number(ClientHello::kMaxMessage + 1, 3))), "too_long");
  const std::string many = records(std::string("\x01\0\x10", 3) + std::string(100, '\0'), 1);
  EXPECT_EQ(outcome(many.substr(0, 6 * ClientHello::kMaxRecords)), "incomplete");
  EXPECT_EQ(outcome(many), "too_many_records");
}

TEST(ClientHello, EveryLengthThatDoesNotFitIsMalformed) {  // RFC 8446 §4.1.2
  const auto body = [](std::string_view rest) {
    return record(message("\x03\x03" + std::string(32, 'r') + std::string(rest)));
  };
  EXPECT_EQ(outcome(record(message(""))), "malformed");
  EXPECT_EQ(outcome(record(message(std::string(33, 'r')))), "malformed");
  EXPECT_EQ(outcome(body(vec(1, std::string(33, 's')) + vec(2, "\x13\x01") + vec(1, "\0"s))),
            "malformed");
  EXPECT_EQ(outcome(body(vec(1, "") + vec(2, "") + vec(1, "\0"s))), "malformed");
  EXPECT_EQ(outcome(body(vec(1, "") + vec(2, "abc") + vec(1, "\0"s))), "malformed");
  EXPECT_EQ(outcome(body(vec(1, "") + vec(2, "ab") + vec(1, ""))), "malformed");
  EXPECT_EQ(outcome(body(vec(1, "") + number(9, 2))), "malformed");
  EXPECT_EQ(outcome(record(message(body_start() + "\0"s))), "malformed");
  EXPECT_EQ(outcome(record(message(body_start() + vec(2, "") + "x"))), "malformed");
  EXPECT_EQ(outcome(record(hello("\0\0\0"s))), "malformed");
  EXPECT_EQ(outcome(record(hello(number(7, 2) + number(5, 2)))), "malformed");
}

TEST(ClientHello, AnExtensionStandsOnce) {  // RFC 8446 §4.2
  EXPECT_EQ(outcome(record(hello(sni("a") + sni("a")))), "repeated_extension");
  EXPECT_EQ(outcome(record(hello(alpn(vec(1, "a")) + alpn(vec(1, "a"))))), "repeated_extension");
}

TEST(ClientHello, AServerNameIsOneDnsName) {  // RFC 6066 §3
  const auto list = [](std::string_view names) {
    return outcome(record(hello(extension(0, vec(2, names)))));
  };
  const std::string longest(ClientHello::kMaxServerName, 'a');
  EXPECT_EQ(outcome(record(hello(sni(longest)))), longest + " ");
  EXPECT_EQ(outcome(record(hello(sni(longest + "a")))), "server_name");
  EXPECT_EQ(outcome(record(hello(sni("")))), "server_name");
  EXPECT_EQ(outcome(record(hello(sni("a\0b"s)))), "server_name");
  EXPECT_EQ(outcome(record(hello(sni("[::1]")))), "server_name");
  EXPECT_EQ(outcome(record(hello(sni("a b")))), "server_name");
  EXPECT_EQ(outcome(record(hello(extension(0, "")))), "server_name");
  EXPECT_EQ(outcome(record(hello(extension(0, vec(2, "\0"s + vec(2, "a")) + "x")))), "server_name");
  EXPECT_EQ(list(""), "server_name");
  EXPECT_EQ(list("\0"s + vec(2, "a") + "\0"s + vec(2, "b")), "server_name");
  EXPECT_EQ(list("\0"s + number(2, 2) + "a"), "server_name");
  EXPECT_EQ(list("\1" + vec(2, "?") + "\0"s + vec(2, "b")), "b ");  // an unknown type is skipped
}

TEST(ClientHello, TheListOfProtocolsIsCheckedAndBounded) {  // RFC 7301 §3.1
  EXPECT_EQ(outcome(record(hello(alpn("")))), "alpn");
  EXPECT_EQ(outcome(record(hello(alpn(vec(1, ""))))), "alpn");
  EXPECT_EQ(outcome(record(hello(alpn("\x03h2")))), "alpn");
  EXPECT_EQ(outcome(record(hello(extension(16, "")))), "alpn");
  std::string names;
  std::string expected = " ";
  for (size_t i = 0; i < ClientHello::kMaxAlpn; ++i) {
    names += vec(1, "x");
    expected += "x,";
  }
  EXPECT_EQ(outcome(record(hello(alpn(names)))), expected);
  EXPECT_EQ(outcome(record(hello(alpn(names + vec(1, "x"))))), "alpn");
}

TEST(ClientHello, EveryFaultHasANameOfItsOwn) {
  std::vector<std::string_view> names;
  for (size_t i = 0; i < kHelloFaultCount; ++i) {
    names.push_back(hello_fault_name(static_cast<HelloFault>(i)));
  }
  std::ranges::sort(names);
  EXPECT_EQ(std::ranges::adjacent_find(names), names.end());
}

}  // namespace
}  // namespace fairlead::protocol
