#include "base/result.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <set>
#include <string_view>

namespace fairlead {
namespace {

TEST(Errc, EveryCodeHasAnErrnoNameOfItsOwn) {
  std::set<std::string_view> names;
  for (int code = 0; code <= static_cast<int>(Errc::kIo); ++code) {
    names.insert(errc_name(static_cast<Errc>(code)));
  }
  EXPECT_EQ(names.size(), static_cast<size_t>(Errc::kIo) + 1);
  EXPECT_EQ(errc_name(Errc::kOk), "OK");
  EXPECT_EQ(errc_name(Errc::kConnectionReset), "ECONNRESET");
}

TEST(Errc, ComesFromErrno) {
  EXPECT_EQ(errc_from_errno(0), Errc::kOk);
  EXPECT_EQ(errc_from_errno(ETIMEDOUT), Errc::kTimedOut);
  EXPECT_EQ(errc_from_errno(EWOULDBLOCK), Errc::kWouldBlock);
  EXPECT_EQ(errc_from_errno(EACCES), Errc::kPermission);
  EXPECT_EQ(errc_from_errno(ENOTTY), Errc::kIo);
}

TEST(Error, PrintsItsMessageOrElseItsName) {
  EXPECT_EQ(Error(Errc::kTimedOut).to_string(), "ETIMEDOUT");
  EXPECT_EQ(Error(Errc::kNoDevice, "interface \"eth9\" does not exist").to_string(),
            "interface \"eth9\" does not exist");
}

Result<int> half(int n) {
  if (n % 2 != 0) return fail(Errc::kInvalidArgument, "odd");
  return n / 2;
}

TEST(Result, IsAValueOrAnError) {
  EXPECT_EQ(half(4).value(), 2);
  ASSERT_FALSE(half(3).has_value());
  EXPECT_EQ(half(3).error().code, Errc::kInvalidArgument);
  EXPECT_EQ(half(3).error().message, "odd");
}

}  // namespace
}  // namespace fairlead
