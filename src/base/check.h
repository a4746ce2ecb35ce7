// CHECK states what only a bug of ours can break. It is on in every build. No packet, file or
// request from outside may be able to trip one: what comes from outside is validated and answered
// with a Result or a counted drop.
#pragma once

namespace fairlead {

/// Prints "file:line: CHECK failed: condition" to stderr and aborts.
[[noreturn]] void check_failed(const char* condition, const char* file, int line);

}  // namespace fairlead

#define CHECK(condition)                                     \
  (__builtin_expect(!!(condition), 1) ? static_cast<void>(0) \
                                      : ::fairlead::check_failed(#condition, __FILE__, __LINE__))
