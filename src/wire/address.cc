#include "wire/address.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>

#include <algorithm>

namespace fairlead {
namespace {

/// Longest text inet_pton takes, with its terminator: INET6_ADDRSTRLEN counts the latter.
constexpr size_t kMaxText = INET6_ADDRSTRLEN;

}  // namespace

std::string MacAddress::to_string() const {
  return fmt::format("{:02x}:{:02x}:{:02x}:{:02x}:{:02x}:{:02x}", bytes[0], bytes[1], bytes[2],
                     bytes[3], bytes[4], bytes[5]);
}

Result<IpAddress> IpAddress::parse(std::string_view text) {
  // A NUL inside the text would end inet_pton's reading early and make "192.0.2.1\0x" valid.
  const bool fits = text.size() < kMaxText && text.find('\0') == std::string_view::npos;
  if (fits) {
    std::array<char, kMaxText> terminated{};
    std::ranges::copy(text, terminated.begin());
    in_addr v4_address{};
    if (inet_pton(AF_INET, terminated.data(), &v4_address) == 1) {
      return v4(ntohl(v4_address.s_addr));
    }
    std::array<uint8_t, 16> v6_address{};
    if (inet_pton(AF_INET6, terminated.data(), v6_address.data()) == 1) return v6(v6_address);
  }
  return fail(Errc::kInvalidArgument,
              fmt::format("\"{}\" is not an IP address: expected one like 192.0.2.1 or 2001:db8::1",
                          text.substr(0, kMaxText)));
}

std::string IpAddress::to_string() const {
  std::array<char, kMaxText> text{};
  inet_ntop(is_v4() ? AF_INET : AF_INET6, header_bytes().data(), text.data(), text.size());
  return text.data();
}

std::string Endpoint::to_string() const {
  return address.is_v4() ? fmt::format("{}:{}", address.to_string(), port)
                         : fmt::format("[{}]:{}", address.to_string(), port);
}

}  // namespace fairlead
