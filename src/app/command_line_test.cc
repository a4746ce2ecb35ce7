#include "app/command_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <regex>
#include <set>
#include <string>
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

TEST(CommandLine, AggregateTakesTwoCapturesAndHowToAggregate) {
  const auto plain = command<AggregateCommand>({"aggregate", "in.pcap", "out.pcap"});
  EXPECT_EQ(plain.input, "in.pcap");
  EXPECT_EQ(plain.output, "out.pcap");
  EXPECT_EQ(plain.config.max_aggregate, 65535u);
  EXPECT_EQ(plain.config.ag_timer, microseconds(500));
  EXPECT_EQ(plain.threshold, std::nullopt);
  EXPECT_FALSE(plain.config.carry_push);
  EXPECT_FALSE(plain.json);
  const auto full = command<AggregateCommand>(
      {"aggregate", "a", "b", "--max-aggregate", "9000", "--threshold", "7000", "--ag-timer", "20",
       "--del-timer", "3", "--table", "7", "--hold", "0", "--psh", "carry", "--json"});
  EXPECT_EQ(full.config.max_aggregate, 9000u);
  EXPECT_EQ(full.threshold, 7000u);
  EXPECT_EQ(full.config.ag_timer, microseconds(20));
  EXPECT_EQ(full.config.del_timer, milliseconds(3));
  EXPECT_EQ(full.config.contexts, 7u);
  EXPECT_EQ(full.config.max_held, 0u);
  EXPECT_TRUE(full.config.carry_push);
  EXPECT_TRUE(full.json);
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

/// What the group of `pattern` matches in `text`.
std::set<std::string> all_of(const std::string& pattern, const std::string& text) {
  const std::regex regex(pattern);
  std::set<std::string> out;
  for (std::sregex_iterator at(text.begin(), text.end(), regex), end; at != end; ++at) {
    out.insert((*at)[1]);
  }
  return out;
}

TEST(CommandLine, TheManPageHasEveryCommandAndOptionAndNoOther) {
  std::ifstream file(FAIRLEAD_DOC "/fairlead.8");
  const std::string page(std::istreambuf_iterator<char>(file), {});
  std::set<std::string> commands;
  std::set<std::string> options;
  for (std::vector<const char*> level : {std::vector<const char*>{}, {"show"}}) {
    level.push_back("qqqqqqqq");  // resembles nothing
    for (const std::string& name : all_of("([a-z]+)[,\n]", parse(level).error().text)) {
      level.back() = name.c_str();
      commands.insert(name);
      std::vector<const char*> help = level;
      help.push_back("--help");
      options.merge(all_of("--([a-z-]+)", parse(help).error().text));
    }
  }
  std::string shown;
  const std::string synopsis = page.substr(0, page.find(".Sh DESCRIPTION"));
  for (const std::string& line : all_of(R"(\.Cm ([a-z |]+))", synopsis)) shown += line + " ";
  EXPECT_EQ(all_of("([a-z]+)", shown), commands);
  EXPECT_EQ(all_of(R"(\\-([a-z-]+))", page), options);
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
            "disable, reload, stop, aggregate, version\n");
  EXPECT_EQ(text({"show", "stat"}), "unknown command \"stat\"; did you mean \"stats\"?\n");
  EXPECT_THAT(text({"run"}), HasSubstr("--config is required"));
  EXPECT_THAT(text({"run", "-c", "x", "--log-level", "loud"}), HasSubstr("loud"));
  EXPECT_THAT(text({"drain"}), HasSubstr("server is required"));
  EXPECT_THAT(text({"show"}), HasSubstr("subcommand is required"));
  EXPECT_THAT(text({"show", "connections", "--limit", "0"}), HasSubstr("--limit"));
  EXPECT_THAT(text({"check", "-c", "x", "extra"}), HasSubstr("extra"));
  EXPECT_THAT(text({"aggregate", "x"}), HasSubstr("out is required"));
  EXPECT_THAT(text({"aggregate", "x", "y", "--max-aggregate", "65536"}), HasSubstr("65536"));
  EXPECT_THAT(text({"aggregate", "x", "y", "--ag-timer", "0"}), HasSubstr("--ag-timer"));
  EXPECT_THAT(text({"aggregate", "x", "y", "--psh", "drop"}), HasSubstr("drop"));
}

}  // namespace
}  // namespace fairlead::app
