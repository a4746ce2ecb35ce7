// Result<T>: a value, or an Error that says what went wrong in words a user can act on.
//
// Codes are named after errno, because that is the vocabulary every network programmer knows:
// Errc::kConnectionReset prints as "ECONNRESET". The message is for people and may be empty; on the
// data path it always is, so that an error there costs no allocation.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace fairlead {

enum class Errc : uint8_t {
  kOk,
  kAddressInUse,         // EADDRINUSE
  kAddressNotAvailable,  // EADDRNOTAVAIL
  kAlreadyConnected,     // EISCONN
  kBadMessage,           // EBADMSG: malformed input
  kBrokenPipe,           // EPIPE: write after shutdown
  kCancelled,            // ECANCELED
  kConnectionAborted,    // ECONNABORTED: ended from this side
  kConnectionRefused,    // ECONNREFUSED
  kConnectionReset,      // ECONNRESET
  kHostUnreachable,      // EHOSTUNREACH
  kInvalidArgument,      // EINVAL
  kMessageTooLong,       // EMSGSIZE
  kNetworkUnreachable,   // ENETUNREACH
  kNoBufferSpace,        // ENOBUFS: a table or queue is at its bound
  kNoDevice,             // ENODEV
  kNoEntry,              // ENOENT
  kNotConnected,         // ENOTCONN
  kNotSupported,         // EOPNOTSUPP
  kPermission,           // EPERM
  kProtocol,             // EPROTO
  kTimedOut,             // ETIMEDOUT
  kWouldBlock,           // EAGAIN
  kIo,                   // EIO
};

/// The errno name: "ECONNRESET" for kConnectionReset, "OK" for kOk.
std::string_view errc_name(Errc code);

/// The errno value: ECONNRESET for kConnectionReset, 0 for kOk.
int errno_of(Errc code);

/// The code for a kernel errno value; kIo for one that has no counterpart here.
Errc errc_from_errno(int error_number);

struct [[nodiscard]] Error {
  Errc code = Errc::kIo;
  std::string message;  // what, where, why, and what would be right; may be empty

  Error() = default;
  Error(Errc c) : code(c) {}  // NOLINT(google-explicit-constructor): `return Errc::kTimedOut;`
  Error(Errc c, std::string m) : code(c), message(std::move(m)) {}

  /// The message, or the errno name when there is none.
  std::string to_string() const;
};

template <typename T>
using Result = std::expected<T, Error>;

inline std::unexpected<Error> fail(Errc code) { return std::unexpected(Error(code)); }
inline std::unexpected<Error> fail(Errc code, std::string message) {
  return std::unexpected(Error(code, std::move(message)));
}

}  // namespace fairlead
