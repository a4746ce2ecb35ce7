#include "service/switch/protocol/proxy_protocol.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <system_error>

#include "base/check.h"
#include "base/endian.h"
#include "service/switch/protocol/http_text.h"

namespace fairlead::protocol {
namespace {

using Parsed = std::expected<std::optional<ProxyHeader>, ProxyFault>;

constexpr std::string_view kV1Start = "PROXY ";
constexpr std::string_view kV2Signature("\r\n\r\n\0\r\nQUIT\n", 12);
constexpr std::string_view kUnknown = "PROXY UNKNOWN\r\n";

enum Command : uint8_t { kLocal = 0x20, kProxy = 0x21 };  // with the version, 2
enum Family : uint8_t { kUnspecified = 0x00, kTcp4 = 0x11, kTcp6 = 0x21, kUnixStream = 0x31 };

struct V2Header {
  std::array<uint8_t, 12> signature;
  uint8_t command;
  uint8_t family;
  Be16 length;
};
static_assert(sizeof(V2Header) == 16 && alignof(V2Header) == 1);

struct V2Tcp4 {
  Be32 source, destination;
  Be16 source_port, destination_port;
};
struct V2Tcp6 {
  std::array<uint8_t, 16> source, destination;
  Be16 source_port, destination_port;
};
static_assert(sizeof(V2Tcp4) == 12 && sizeof(V2Tcp6) == 36);
constexpr size_t kV2UnixSize = 216;

bool is_prefix_of_either(std::string_view a, std::string_view b) {
  const size_t common = std::min(a.size(), b.size());
  return a.substr(0, common) == b.substr(0, common);
}

/// Decimal without sign or leading zeros, §2.1.
std::optional<uint16_t> parse_port(std::string_view text) {
  uint16_t port = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, port);
  const bool leading_zero = text.size() > 1 && text[0] == '0';
  if (error != std::errc() || rest != end || leading_zero) return std::nullopt;
  return port;
}

/// "TCP4 source destination port port", single spaces.
std::expected<ProxyAddresses, ProxyFault> parse_v1_addresses(std::string_view text) {
  const std::string_view family = take_until(text, ' ');
  if (family != "TCP4" && family != "TCP6") return std::unexpected(ProxyFault::kV1Line);
  // An IPv4-mapped address is written with ':' too, and is IPv4 to us: the text tells the family.
  const auto address = [&](std::string_view word) {
    const bool fits = word.contains(':') == (family == "TCP6");
    return fits ? IpAddress::parse(word) : fail(Errc::kInvalidArgument);
  };
  const auto source = address(take_until(text, ' '));
  const auto destination = address(take_until(text, ' '));
  const auto source_port = parse_port(take_until(text, ' '));
  const auto destination_port = parse_port(text);
  if (!source || !destination || !source_port || !destination_port) {
    return std::unexpected(ProxyFault::kV1Address);
  }
  return ProxyAddresses{.source = {*source, *source_port},
                        .destination = {*destination, *destination_port}};
}

Parsed parse_v1(std::string_view text) {
  const std::string_view bounded = text.substr(0, ProxyHeader::kMaxV1Size);
  const size_t end = bounded.find('\n');
  if (end == std::string_view::npos) {
    if (bounded.size() == ProxyHeader::kMaxV1Size) return std::unexpected(ProxyFault::kV1TooLong);
    return std::nullopt;
  }
  if (bounded[end - 1] != '\r') return std::unexpected(ProxyFault::kV1Line);
  const std::string_view line = bounded.substr(kV1Start.size(), end - 1 - kV1Start.size());
  ProxyHeader header{.addresses = std::nullopt, .size = end + 1};
  // Behind UNKNOWN whatever stands before the CRLF is ignored, §2.1.
  if (line == "UNKNOWN" || line.starts_with("UNKNOWN ")) return header;
  const auto addresses = parse_v1_addresses(line);
  if (!addresses) return std::unexpected(addresses.error());
  header.addresses = *addresses;
  return header;
}

template <typename T>
std::optional<T> load(ByteSpan bytes) {
  if (bytes.size() < sizeof(T)) return std::nullopt;
  T value;
  std::copy_n(bytes.begin(), sizeof(T), reinterpret_cast<uint8_t*>(&value));
  return value;
}

/// Of the PROXY command; none for a family without addresses that TCP can have.
std::expected<std::optional<ProxyAddresses>, ProxyFault> parse_v2_addresses(uint8_t family,
                                                                            ByteSpan bytes) {
  switch (family) {
    case kUnspecified:
      return std::nullopt;
    case kUnixStream:
      if (bytes.size() < kV2UnixSize) return std::unexpected(ProxyFault::kV2Length);
      return std::nullopt;
    case kTcp4: {
      const auto a = load<V2Tcp4>(bytes);
      if (!a) return std::unexpected(ProxyFault::kV2Length);
      return ProxyAddresses{
          .source = {IpAddress::v4(a->source.value()), a->source_port.value()},
          .destination = {IpAddress::v4(a->destination.value()), a->destination_port.value()}};
    }
    case kTcp6: {
      const auto a = load<V2Tcp6>(bytes);
      if (!a) return std::unexpected(ProxyFault::kV2Length);
      return ProxyAddresses{
          .source = {IpAddress::v6(a->source), a->source_port.value()},
          .destination = {IpAddress::v6(a->destination), a->destination_port.value()}};
    }
    default:
      return std::unexpected(ProxyFault::kV2Family);
  }
}

Parsed parse_v2(ByteSpan bytes) {
  const auto header = load<V2Header>(bytes);
  if (!header) return std::nullopt;
  if (header->command != kLocal && header->command != kProxy) {
    return std::unexpected(ProxyFault::kV2Command);
  }
  const size_t length = header->length.value();
  if (length > ProxyHeader::kMaxV2Length) return std::unexpected(ProxyFault::kV2TooLong);
  if (bytes.size() < sizeof(V2Header) + length) return std::nullopt;
  ProxyHeader parsed{.addresses = std::nullopt, .size = sizeof(V2Header) + length};
  if (header->command == kLocal) return parsed;  // the family is ignored, too
  const auto addresses =
      parse_v2_addresses(header->family, bytes.subspan(sizeof(V2Header), length));
  if (!addresses) return std::unexpected(addresses.error());
  parsed.addresses = *addresses;
  return parsed;
}

size_t put(std::string_view text, MutableByteSpan out) {
  std::ranges::copy(text, out.begin());
  return text.size();
}

size_t emit_v1(const ProxyAddresses& addresses, MutableByteSpan out) {
  return put(
      fmt::format("PROXY {} {} {} {} {}\r\n", addresses.source.address.is_v4() ? "TCP4" : "TCP6",
                  addresses.source.address.to_string(), addresses.destination.address.to_string(),
                  addresses.source.port, addresses.destination.port),
      out);
}

template <typename T>
size_t emit_v2(uint8_t command, uint8_t family, const T* addresses, MutableByteSpan out) {
  V2Header header{.signature = {}, .command = command, .family = family, .length = {}};
  std::ranges::copy(kV2Signature, header.signature.begin());
  const size_t length = addresses == nullptr ? 0 : sizeof(T);
  header.length = static_cast<uint16_t>(length);
  size_t size = put({reinterpret_cast<const char*>(&header), sizeof header}, out);
  if (addresses == nullptr) return size;
  return size + put({reinterpret_cast<const char*>(addresses), length}, out.subspan(size));
}

size_t emit_v2(const ProxyAddresses& addresses, MutableByteSpan out) {
  const auto& [source, destination] = addresses;
  if (source.address.is_v4()) {
    const V2Tcp4 v4{.source = Be32(source.address.v4_value()),
                    .destination = Be32(destination.address.v4_value()),
                    .source_port = Be16(source.port),
                    .destination_port = Be16(destination.port)};
    return emit_v2(kProxy, kTcp4, &v4, out);
  }
  const V2Tcp6 v6{.source = source.address.bytes(),
                  .destination = destination.address.bytes(),
                  .source_port = Be16(source.port),
                  .destination_port = Be16(destination.port)};
  return emit_v2(kProxy, kTcp6, &v6, out);
}

}  // namespace

std::expected<std::optional<ProxyHeader>, ProxyFault> ProxyHeader::parse(ByteSpan bytes) {
  const std::string_view text = as_text(bytes);
  if (is_prefix_of_either(text, kV1Start)) return parse_v1(text);
  if (is_prefix_of_either(text, kV2Signature)) return parse_v2(bytes);
  return std::unexpected(ProxyFault::kNotProxy);
}

size_t ProxyHeader::emit(ProxyVersion version, const std::optional<ProxyAddresses>& addresses,
                         MutableByteSpan out) {
  CHECK(out.size() >= kMaxEmitted);
  const bool one_family =
      addresses && addresses->source.address.is_v4() == addresses->destination.address.is_v4();
  if (version == ProxyVersion::kV1) {
    return one_family ? emit_v1(*addresses, out) : put(kUnknown, out);
  }
  return one_family ? emit_v2(*addresses, out)
                    : emit_v2<V2Tcp4>(kLocal, kUnspecified, nullptr, out);
}

}  // namespace fairlead::protocol
