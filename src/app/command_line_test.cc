#include "app/command_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace fairlead::app {
namespace {

using testing::HasSubstr;

std::expected<Command, EarlyExit> parse(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "fairlead");
  return parse_command_line(static_cast<int>(arguments.size()), arguments.data());
}

template <typename T>
T command(const std::vector<const char*>& arguments) {
  const auto parsed = parse(arguments);
  EXPECT_TRUE(parsed.has_value()) << parsed.error().text;
  EXPECT_TRUE(std::holds_alternative<T>(parsed.value()));
  return std::get<T>(parsed.value());
}

TEST(CommandLine, RunTakesAConfigurationAndALogLevel) {
  EXPECT_EQ(command<RunCommand>({"run", "-c", "x.conf"}).config_file, "x.conf");
  EXPECT_EQ(command<RunCommand>({"run", "-c", "x.conf"}).log_level, std::nullopt);
  EXPECT_EQ(command<RunCommand>({"run", "--config", "x", "--log-level", "debug"}).log_level,
            control::LogLevel::kDebug);
}

TEST(CommandLine, CheckTakesAConfiguration) {
  EXPECT_EQ(command<CheckCommand>({"check", "-c", "x.conf"}).config_file, "x.conf");
}

TEST(CommandLine, ShowNamesTheCommandOfTheControlProtocol) {
  const auto plain = command<AskCommand>({"show", "stats"});
  EXPECT_EQ(plain.what, "show stats");
  EXPECT_EQ(plain.socket, "/run/fairlead/control.sock");
  EXPECT_FALSE(plain.json);
  const auto full =
      command<AskCommand>({"show", "connections", "--json", "--socket", "/x", "--limit", "7"});
  EXPECT_EQ(full.what, "show connections");
  EXPECT_EQ(full.socket, "/x");
  EXPECT_EQ(full.limit, 7u);
  EXPECT_TRUE(full.json);
  EXPECT_EQ(command<AskCommand>({"show", "listeners"}).what, "show listeners");
}

TEST(CommandLine, ServersAreDrainedEnabledAndDisabledByName) {
  for (const char* verb : {"drain", "enable", "disable"}) {
    const auto ask = command<AskCommand>({verb, "192.0.2.11:80", "--json", "-s", "/x"});
    EXPECT_EQ(ask.what, verb);
    EXPECT_EQ(ask.server, "192.0.2.11:80");
    EXPECT_EQ(ask.socket, "/x");
    EXPECT_TRUE(ask.json);
  }
}

TEST(CommandLine, ReloadIsAskedOfTheDaemon) {
  EXPECT_EQ(command<AskCommand>({"reload", "-s", "/x"}).what, "reload");
  EXPECT_EQ(command<AskCommand>({"show", "servers"}).what, "show servers");
  EXPECT_EQ(command<AskCommand>({"show", "tcp", "--limit", "3"}).limit, 3u);
}

TEST(CommandLine, StopSaysHow) {
  EXPECT_EQ(command<AskCommand>({"stop"}).what, "stop");
  EXPECT_EQ(command<AskCommand>({"stop"}).stop.mode, StopMode::kNow);
  EXPECT_EQ(command<AskCommand>({"stop", "--now"}).stop.mode, StopMode::kNow);
  EXPECT_EQ(command<AskCommand>({"stop", "--keep"}).stop.mode, StopMode::kKeep);
  const auto drain = command<AskCommand>({"stop", "--drain", "-s", "/x"});
  EXPECT_EQ(drain.stop.mode, StopMode::kDrain);
  EXPECT_EQ(drain.stop.drain, seconds(30));
  EXPECT_EQ(drain.socket, "/x");
  EXPECT_EQ(command<AskCommand>({"stop", "--drain", "5m"}).stop.drain, minutes(5));
  for (const auto& wrong : std::vector<std::vector<const char*>>{
           {"stop", "--drain", "soon"}, {"stop", "--drain", "25h"}, {"stop", "--now", "--keep"}}) {
    const auto parsed = parse(wrong);
    ASSERT_FALSE(parsed.has_value());
    EXPECT_EQ(parsed.error().status, 2);
  }
}

TEST(CommandLine, VersionIsThatOfTheProgramOrOfTheDaemon) {
  command<VersionCommand>({"version"});
  EXPECT_EQ(command<AskCommand>({"version", "--running", "-s", "/x"}).what, "version");
}

TEST(CommandLine, HelpIsNoError) {
  for (const auto& arguments : std::vector<std::vector<const char*>>{
           {"--help"}, {"run", "--help"}, {"show", "--help"}, {"show", "connections", "-h"}}) {
    const auto parsed = parse(arguments);
    ASSERT_FALSE(parsed.has_value());
    EXPECT_EQ(parsed.error().status, 0);
  }
  EXPECT_THAT(parse({"--help"}).error().text, HasSubstr("Exit status:"));
}

TEST(CommandLine, UsageErrorsExitWithTwoAndSayWhat) {
  const auto text = [](const std::vector<const char*>& arguments) {
    const auto parsed = parse(arguments);
    EXPECT_FALSE(parsed.has_value());
    EXPECT_EQ(parsed.error().status, 2);
    return parsed.error().text;
  };
  EXPECT_THAT(text({}), HasSubstr("subcommand is required"));
  EXPECT_EQ(text({"frobnicate"}),
            "unknown command \"frobnicate\"; expected one of: run, check, show, drain, enable, "
            "disable, reload, stop, version\n");
  EXPECT_EQ(text({"show", "stat"}), "unknown command \"stat\"; did you mean \"stats\"?\n");
  EXPECT_THAT(text({"run"}), HasSubstr("--config is required"));
  EXPECT_THAT(text({"run", "-c", "x", "--log-level", "loud"}), HasSubstr("loud"));
  EXPECT_THAT(text({"drain"}), HasSubstr("server is required"));
  EXPECT_THAT(text({"show"}), HasSubstr("subcommand is required"));
  EXPECT_THAT(text({"show", "connections", "--limit", "0"}), HasSubstr("--limit"));
  EXPECT_THAT(text({"check", "-c", "x", "extra"}), HasSubstr("extra"));
}

}  // namespace
}  // namespace fairlead::app
