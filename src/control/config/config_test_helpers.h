// For tests of directives: a configuration text to its Config or to its error lines.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "control/config/config.h"

namespace fairlead::control {

/// The Config of `text`, to which an interface is added; fails the test on any error.
inline Config good(const std::string& text) {
  auto config = parse_config("interface test0\n" + text, "f");
  EXPECT_TRUE(config.has_value()) << text << "\n" << config.error().to_string();
  return config ? *config : Config{};
}

/// The error lines of `text`; an interface is added below it, so that positions are those of
/// `text`.
inline std::string bad(const std::string& text) {
  const auto config = parse_config(text + "\ninterface test0\n", "f");
  EXPECT_FALSE(config.has_value()) << text;
  return config ? "" : config.error().to_string();
}

/// A virtual server with `inside` from the second line on, and one real server.
inline std::string server_with(const std::string& inside) {
  return "virtual_server 192.0.2.1 80 {\n" + inside + "\nreal_server 198.51.100.1 80\n}\n";
}

/// A text and its one error, without the file's name.
struct Wrong {
  std::string text;
  std::string error;
};

/// Its test is in config_test.cc; every file instantiates it with its own cases.
class ConfigRejects : public testing::TestWithParam<Wrong> {};

}  // namespace fairlead::control
