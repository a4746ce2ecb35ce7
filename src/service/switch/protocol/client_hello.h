// ClientHello: what a TLS client says before anything is encrypted (RFC 8446 §4.1.2): the name of
// the server it wants (SNI, RFC 6066 §3) and the protocols it speaks (ALPN, RFC 7301). Enough to
// choose a backend without decrypting.
//
// The handshake message may be cut into several records anywhere (RFC 8446 §5.1), the records into
// several segments. Nothing is kept between calls: each looks at record headers until the message
// is whole, of which there are few, and reads the message once.
//
//   record   22 3 x length | fragment … 22 3 x length | fragment …
//   message  1 length24 | version random session cipher_suites compression extensions
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"

namespace fairlead::protocol {

// X(enumerator, counter name). One counter each.
#define FAIRLEAD_HELLO_FAULTS(X)                                                       \
  X(kNotTls, "not_tls")                       /* no handshake record, RFC 8446 §5.1 */ \
  X(kRecordSize, "record_size")               /* empty or above 2^14, RFC 8446 §5.1 */ \
  X(kTooManyRecords, "too_many_records")      /* our bound */                          \
  X(kNotClientHello, "not_client_hello")      /* another handshake message */          \
  X(kTooLong, "too_long")                     /* our bound */                          \
  X(kMalformed, "malformed")                  /* a length against RFC 8446 §4.1.2 */   \
  X(kRepeatedExtension, "repeated_extension") /* RFC 8446 §4.2 */                      \
  X(kServerName, "server_name")               /* RFC 6066 §3 */                        \
  X(kAlpn, "alpn")                            /* RFC 7301 §3.1 */

enum class HelloFault : uint8_t {
#define FAIRLEAD_X(id, name) id,
  FAIRLEAD_HELLO_FAULTS(FAIRLEAD_X)
#undef FAIRLEAD_X
};

inline constexpr auto kHelloFaultNames = std::to_array<std::string_view>({
#define FAIRLEAD_X(id, name) name,
    FAIRLEAD_HELLO_FAULTS(FAIRLEAD_X)
#undef FAIRLEAD_X
});
inline constexpr size_t kHelloFaultCount = kHelloFaultNames.size();

/// "not_tls"
constexpr std::string_view hello_fault_name(HelloFault fault) {
  return kHelloFaultNames[static_cast<size_t>(fault)];
}

struct ClientHello {
  /// Bytes of the handshake message behind its header. Today's, with post-quantum keys, have 2,000.
  static constexpr size_t kMaxMessage = 16 << 10;
  /// Records one message may be cut into. Clients use one, or a few to hide the name.
  static constexpr size_t kMaxRecords = 64;
  /// A DNS name is no longer (RFC 1035 §2.3.4).
  static constexpr size_t kMaxServerName = 255;
  /// Protocols in the list. Clients offer two or three.
  static constexpr size_t kMaxAlpn = 64;

  std::string server_name;        // in lower case; empty when there is none
  std::vector<std::string> alpn;  // in the client's order of preference; empty when there is none

  /// `bytes` begins where the connection does. None: more are needed.
  static std::expected<std::optional<ClientHello>, HelloFault> parse(ByteSpan bytes);

  friend bool operator==(const ClientHello&, const ClientHello&) = default;
};

}  // namespace fairlead::protocol
