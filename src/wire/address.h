// Addresses: MacAddress, IpAddress (either family in 16 bytes), Endpoint (address and port),
// FourTuple (one TCP connection, seen from our side).
//
// An IPv4 address is held in its IPv4-mapped form ::ffff:a.b.c.d (RFC 4291 §2.5.5.2), so that one
// type, one comparison and one hash serve both families. A mapped address never appears in an IPv6
// header of ours.
#pragma once

#include <array>
#include <bit>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/endian.h"
#include "base/result.h"

namespace fairlead {

struct MacAddress {
  std::array<uint8_t, 6> bytes{};

  friend bool operator==(const MacAddress&, const MacAddress&) = default;
  /// "02:00:00:00:00:01"
  std::string to_string() const;
};

class IpAddress {
 public:
  /// The unspecified IPv6 address "::".
  constexpr IpAddress() = default;

  /// From a host-order value: v4(0xC0A80001) is 192.168.0.1.
  static constexpr IpAddress v4(uint32_t host_order) {
    IpAddress a;
    a.bytes_ = std::bit_cast<std::array<uint8_t, 16>>(Mapped{.v4 = Be32(host_order)});
    return a;
  }
  static constexpr IpAddress v6(const std::array<uint8_t, 16>& network_order) {
    IpAddress a;
    a.bytes_ = network_order;
    return a;
  }
  /// "192.0.2.1" or "2001:db8::1". EINVAL with a message otherwise.
  static Result<IpAddress> parse(std::string_view text);

  constexpr bool is_v4() const {
    const auto [zeros, mark, value] = std::bit_cast<Mapped>(bytes_);
    return zeros == 0 && mark == Mapped{}.mark;
  }
  constexpr bool is_v6() const { return !is_v4(); }
  /// 0.0.0.0 or ::
  constexpr bool is_unspecified() const {
    const auto [zeros, mark, value] = std::bit_cast<Mapped>(bytes_);
    return zeros == 0 && value == Be32() && (mark == Be32() || mark == Mapped{}.mark);
  }
  /// 224.0.0.0/4, 255.255.255.255 or ff00::/8
  constexpr bool is_multicast_or_broadcast() const {
    if (is_v6()) return bytes_[0] == 0xff;                            // RFC 4291 §2.7
    return (bytes_[12] & 0xf0) == 0xe0 || v4_value() == 0xffff'ffff;  // RFC 1112 §4, RFC 919 §7
  }

  /// The IPv4 value in host order; meaningful only when is_v4().
  constexpr uint32_t v4_value() const { return std::bit_cast<Mapped>(bytes_).v4.value(); }
  /// 16 bytes, network order, IPv4 in mapped form.
  constexpr const std::array<uint8_t, 16>& bytes() const { return bytes_; }
  /// The bytes as they stand in an IP header: 4 for IPv4, 16 for IPv6.
  ByteSpan header_bytes() const {
    return is_v4() ? ByteSpan(bytes_).subspan(12) : ByteSpan(bytes_);
  }

  friend bool operator==(const IpAddress&, const IpAddress&) = default;
  friend auto operator<=>(const IpAddress&, const IpAddress&) = default;
  std::string to_string() const;

 private:
  /// An IPv4 address's bytes.
  struct Mapped {
    uint64_t zeros = 0;
    Be32 mark{0xffff};
    Be32 v4;
  };

  std::array<uint8_t, 16> bytes_{};
};

struct Endpoint {
  IpAddress address;
  uint16_t port = 0;  // host order

  friend bool operator==(const Endpoint&, const Endpoint&) = default;
  friend auto operator<=>(const Endpoint&, const Endpoint&) = default;
  /// "192.0.2.1:80" or "[2001:db8::1]:80"
  std::string to_string() const;
};

struct FourTuple {
  Endpoint local;
  Endpoint remote;

  friend bool operator==(const FourTuple&, const FourTuple&) = default;
  friend auto operator<=>(const FourTuple&, const FourTuple&) = default;
};

}  // namespace fairlead
