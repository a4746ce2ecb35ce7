// PROXY protocol, versions 1 and 2 (haproxy.org, doc/proxy-protocol.txt): what a proxy says in
// front of a connection's first byte about the connection it speaks for.
//
//   v1   "PROXY TCP4 192.0.2.1 198.51.100.2 61000 80\r\n"      or TCP6, or "PROXY UNKNOWN …\r\n"
//   v2   12-byte signature | 0x2 command | family transport | length16 | addresses | TLVs
//
// A header without addresses (UNKNOWN, LOCAL, AF_UNSPEC, AF_UNIX) stands for the connection it
// comes on, as a proxy's own health checks do. TLVs are skipped: nothing here needs one.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string_view>

#include "base/bytes.h"
#include "wire/address.h"

namespace fairlead::protocol {

// X(enumerator, counter name). One counter each. The sections are of proxy-protocol.txt.
#define FAIRLEAD_PROXY_FAULTS(X)                                       \
  X(kNotProxy, "not_proxy")    /* neither version's signature, §2 */   \
  X(kV1Line, "v1_line")        /* §2.1 */                              \
  X(kV1TooLong, "v1_too_long") /* no CRLF within 107 bytes, §2.1 */    \
  X(kV1Address, "v1_address")  /* address or port, §2.1 */             \
  X(kV2Command, "v2_command")  /* version or command, §2.2 */          \
  X(kV2Family, "v2_family")    /* none that TCP can have, §2.2 */      \
  X(kV2Length, "v2_length")    /* too short for its addresses, §2.2 */ \
  X(kV2TooLong, "v2_too_long") /* our bound */

enum class ProxyFault : uint8_t {
#define FAIRLEAD_X(id, name) id,
  FAIRLEAD_PROXY_FAULTS(FAIRLEAD_X)
#undef FAIRLEAD_X
};

inline constexpr auto kProxyFaultNames = std::to_array<std::string_view>({
#define FAIRLEAD_X(id, name) name,
    FAIRLEAD_PROXY_FAULTS(FAIRLEAD_X)
#undef FAIRLEAD_X
});
inline constexpr size_t kProxyFaultCount = kProxyFaultNames.size();

/// "v1_line"
constexpr std::string_view proxy_fault_name(ProxyFault fault) {
  return kProxyFaultNames[static_cast<size_t>(fault)];
}

enum class ProxyVersion : uint8_t { kV1, kV2 };

struct ProxyAddresses {
  Endpoint source;
  Endpoint destination;

  friend bool operator==(const ProxyAddresses&, const ProxyAddresses&) = default;
};

struct ProxyHeader {
  /// With its CRLF (§2.1).
  static constexpr size_t kMaxV1Size = 107;
  /// What follows the first 16 bytes, TLVs included; the format allows 64 KiB. TLVs in use (a TLS
  /// client's certificate name, a cloud's endpoint id) have some hundred bytes.
  static constexpr size_t kMaxV2Length = 4 << 10;
  /// What emit() writes at most.
  static constexpr size_t kMaxEmitted = kMaxV1Size;

  std::optional<ProxyAddresses> addresses;  // none: those of the connection itself
  size_t size = 0;                          // bytes of the header; what follows is the stream

  /// `bytes` begins where the connection does. Either version. None: more are needed.
  static std::expected<std::optional<ProxyHeader>, ProxyFault> parse(ByteSpan bytes);

  /// Writes a header for `addresses` (UNKNOWN or LOCAL when there are none, or when they are not of
  /// one family) and returns its size. `out` must hold kMaxEmitted bytes.
  static size_t emit(ProxyVersion version, const std::optional<ProxyAddresses>& addresses,
                     MutableByteSpan out);

  friend bool operator==(const ProxyHeader&, const ProxyHeader&) = default;
};

}  // namespace fairlead::protocol
