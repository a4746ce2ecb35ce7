#include "base/result.h"

#include <cerrno>

#include "base/check.h"

namespace fairlead {
namespace {

struct Row {
  Errc code;
  int error_number;
  std::string_view name;
};

constexpr Row kRows[] = {
    {Errc::kOk, 0, "OK"},
    {Errc::kAddressInUse, EADDRINUSE, "EADDRINUSE"},
    {Errc::kAddressNotAvailable, EADDRNOTAVAIL, "EADDRNOTAVAIL"},
    {Errc::kAlreadyConnected, EISCONN, "EISCONN"},
    {Errc::kBadMessage, EBADMSG, "EBADMSG"},
    {Errc::kBrokenPipe, EPIPE, "EPIPE"},
    {Errc::kCancelled, ECANCELED, "ECANCELED"},
    {Errc::kConnectionAborted, ECONNABORTED, "ECONNABORTED"},
    {Errc::kConnectionRefused, ECONNREFUSED, "ECONNREFUSED"},
    {Errc::kConnectionReset, ECONNRESET, "ECONNRESET"},
    {Errc::kHostUnreachable, EHOSTUNREACH, "EHOSTUNREACH"},
    {Errc::kInvalidArgument, EINVAL, "EINVAL"},
    {Errc::kMessageTooLong, EMSGSIZE, "EMSGSIZE"},
    {Errc::kNetworkUnreachable, ENETUNREACH, "ENETUNREACH"},
    {Errc::kNoBufferSpace, ENOBUFS, "ENOBUFS"},
    {Errc::kNoDevice, ENODEV, "ENODEV"},
    {Errc::kNoEntry, ENOENT, "ENOENT"},
    {Errc::kNotConnected, ENOTCONN, "ENOTCONN"},
    {Errc::kNotSupported, EOPNOTSUPP, "EOPNOTSUPP"},
    {Errc::kPermission, EPERM, "EPERM"},
    {Errc::kProtocol, EPROTO, "EPROTO"},
    {Errc::kTimedOut, ETIMEDOUT, "ETIMEDOUT"},
    {Errc::kWouldBlock, EAGAIN, "EAGAIN"},
    {Errc::kIo, EIO, "EIO"},
};

const Row& row_of(Errc code) {
  for (const Row& row : kRows) {
    if (row.code == code) return row;
  }
  check_failed("Errc has a row in kRows", __FILE__, __LINE__);
}

}  // namespace

std::string_view errc_name(Errc code) { return row_of(code).name; }

int errno_of(Errc code) { return row_of(code).error_number; }

Errc errc_from_errno(int error_number) {
  for (const Row& row : kRows) {
    if (row.error_number == error_number) return row.code;
  }
  return error_number == EACCES ? Errc::kPermission : Errc::kIo;
}

std::string Error::to_string() const {
  return message.empty() ? std::string(errc_name(code)) : message;
}

}  // namespace fairlead
