// The command line of `fairlead`: argv to what is to be done.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <variant>

#include "app/shutdown.h"
#include "control/config/config.h"
#include "nic/aggregate/aggregate_config.h"

namespace fairlead::app {

/// `fairlead run`
struct RunCommand {
  std::string config_file;
  std::optional<control::LogLevel> log_level;  // overrides the file's
};

/// `fairlead check`
struct CheckCommand {
  std::string config_file;
};

/// What is asked of a running daemon: `fairlead show …`, `drain`, `reload`, `version --running`
struct AskCommand {
  std::string what;  // as the control protocol names it: "show stats", "version"
  std::string socket;
  uint32_t limit = 1000;  // connections, for those that list them
  std::string server;     // for drain, enable, disable
  bool json = false;
  StopRequest stop{};
};

/// `fairlead aggregate`
struct AggregateCommand {
  std::string input;  // captures
  std::string output;
  nic::AggregateConfig config;      // without threshold and secret
  std::optional<size_t> threshold;  // bytes; otherwise max_aggregate - mtu
  bool json = false;
};

/// `fairlead version`
struct VersionCommand {};

using Command =
    std::variant<RunCommand, CheckCommand, AskCommand, AggregateCommand, VersionCommand>;

/// Nothing to run: text to print, and the status to exit with.
struct EarlyExit {
  int status = 0;  // 0: help was asked for, text goes to stdout; 2: usage error, to stderr
  std::string text;
};

std::expected<Command, EarlyExit> parse_command_line(int argc, const char* const* argv);

}  // namespace fairlead::app
