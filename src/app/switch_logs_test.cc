#include "app/switch_logs.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "control/config/config_test_helpers.h"

namespace fairlead::app {
namespace {

class SwitchLogsTest : public testing::Test {
 protected:
  void SetUp() override { std::filesystem::create_directory(directory_); }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  control::Config config(const std::string& extra = "") const {
    return control::good("event_log " + directory_ + "/events\n" +
                         control::server_with("access_log " + directory_ + "/access" + extra));
  }
  std::string content(const std::string& name) const {
    std::ifstream in(directory_ + "/" + name);
    std::stringstream out;
    out << in.rdbuf();
    return out.str();
  }

  const std::string directory_ =
      testing::TempDir() + "fairlead-switch-logs-" + std::to_string(::getpid());
  Log log_{control::LogLevel::kError};
};

TEST_F(SwitchLogsTest, EveryShardWritesToTheFilesOfTheConfiguration) {
  {
    SwitchLogs logs(2, log_);
    const control::Config from = config(" common");
    ASSERT_TRUE(logs.open(from));
    for (size_t shard = 0; shard < 2; ++shard) {
      const SwitchLogTargets targets = logs.targets(from, shard);
      targets.access_log(from.virtual_servers[0])->write({});
      targets.events->server_changed("api", "a:1", "server_up", "");
    }
    logs.configuration_event(from, "reloaded", "x.conf", "");
    logs.admin_event(from, "server_draining", "a:1");
  }
  EXPECT_EQ(std::ranges::count(content("access"), '\n'), 2);
  const std::string events = content("events");
  EXPECT_NE(events.find(R"("event":"server_up","shard":0)"), std::string::npos) << events;
  EXPECT_NE(events.find(R"("event":"server_up","shard":1)"), std::string::npos) << events;
  EXPECT_NE(events.find(R"("event":"server_draining","server":"a:1"})"), std::string::npos);
  EXPECT_NE(events.find(R"("event":"reloaded","file":"x.conf"})"), std::string::npos) << events;
}

TEST_F(SwitchLogsTest, AReloadKeepsTheLogsThatStay) {
  SwitchLogs logs(1, log_);
  const control::Config first = config();
  const control::Config second = config();
  ASSERT_TRUE(logs.open(first));
  l7::AccessLog* log = logs.targets(first, 0).access_log(first.virtual_servers[0]);
  ASSERT_TRUE(logs.open(second));
  EXPECT_EQ(logs.targets(second, 0).access_log(second.virtual_servers[0]), log);
  EXPECT_EQ(logs.targets(first, 0).events, logs.targets(second, 0).events);
}

TEST_F(SwitchLogsTest, AFileThatCantBeOpenedIsNamedWithItsDirective) {
  SwitchLogs logs(1, log_);
  const auto opened =
      logs.open(control::good(control::server_with("access_log /no/such/directory/x")));
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().message,
            "access_log: can't write /no/such/directory/x: No such file or directory");
}

TEST_F(SwitchLogsTest, WithoutLogsThereIsNothingToWriteTo) {
  SwitchLogs logs(1, log_);
  const control::Config plain = control::good(control::server_with(""));
  ASSERT_TRUE(logs.open(plain));
  logs.targets(plain, 0).events->server_changed("api", "a:1", "server_up", "");
  logs.configuration_event(plain, "reloaded", "x.conf", "");
  EXPECT_EQ(logs.counters().lines_dropped, 0u);
}

}  // namespace
}  // namespace fairlead::app
