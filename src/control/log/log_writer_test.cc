#include "control/log/log_writer.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "base/unique_fd.h"
#include "control/log/access_log.h"
#include "control/log/event_log.h"

namespace fairlead::control {
namespace {

class LogWriterTest : public testing::Test {
 protected:
  void SetUp() override { std::filesystem::create_directory(directory_); }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  std::string path(const std::string& name) const { return directory_ + "/" + name; }
  static std::string content(const std::string& file) {
    std::ifstream in(file);
    std::stringstream out;
    out << in.rdbuf();
    return out.str();
  }
  static bool soon(const std::function<bool()>& holds) {
    for (int i = 0; i < 1000; ++i) {
      if (holds()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return false;
  }
  std::function<void(const std::string&)> into_reports() {
    return [this](const std::string& text) {
      const std::lock_guard lock(mutex_);
      reports_ += text + "\n";
    };
  }
  std::string reports() {
    const std::lock_guard lock(mutex_);
    return reports_;
  }

  const std::string directory_ = testing::TempDir() + "fairlead-log-" + std::to_string(::getpid());

 private:
  std::mutex mutex_;
  std::string reports_;
};

const l7::AccessRecord kRecord{
    .client = {IpAddress::v4(0xC0000207), 40000},
    .virtual_server = {IpAddress::v4(0xC0000201), 80},
    .server = "198.51.100.1:80",
    .method = "GET",
    .target = "/a\"\xff",
    .version = "HTTP/1.1",
    .host = "a.example",
    .referer = "",
    .user_agent = "curl",
    .server_name = "",
    .status = 200,
    .bytes_from_client = 10,
    .bytes_to_client = 5120,
    .wait = microseconds(700),
    .total = milliseconds(2),
    .end = "done",
};

TEST_F(LogWriterTest, LinesOfAllProducersAreWrittenBeforeItEnds) {
  {
    LogWriter writer(2, into_reports());
    LogFile* file = *writer.open(path("a"));
    EXPECT_EQ(*writer.open(path("a")), file) << "one file for one path";
    writer.queue(0).push(*file, "one\n");
    writer.queue(1).push(*file, "two\n");
  }
  EXPECT_EQ(content(path("a")), "one\ntwo\n");
  EXPECT_EQ(reports(), "");
}

TEST_F(LogWriterTest, AnAccessLogInJsonHasWhatIsKnown) {
  {
    LogWriter writer(1, into_reports());
    FileAccessLog log(writer.queue(0), **writer.open(path("a")), FileAccessLog::Format::kJson);
    log.write(kRecord);
  }
  const auto line = nlohmann::json::parse(content(path("a")));
  EXPECT_EQ(line["client"], "192.0.2.7:40000");
  EXPECT_EQ(line["virtual_server"], "192.0.2.1:80");
  EXPECT_EQ(line["server"], "198.51.100.1:80");
  EXPECT_EQ(line["target"], "/a\"\u00ff");
  EXPECT_EQ(line["status"], 200);
  EXPECT_EQ(line["bytes_to_client"], 5120);
  EXPECT_EQ(line["wait_us"], 700);
  EXPECT_EQ(line["total_us"], 2000);
  EXPECT_EQ(line["end"], "done");
  EXPECT_FALSE(line.contains("referer"));
}

TEST_F(LogWriterTest, AnAccessLogInTheCommonFormatIsOneOfApache) {
  {
    LogWriter writer(1, into_reports());
    FileAccessLog log(writer.queue(0), **writer.open(path("a")), FileAccessLog::Format::kCommon);
    log.write(kRecord);
    l7::AccessRecord silent{};
    silent.client = kRecord.client;
    silent.end = "head_timeout";
    log.write(silent);
  }
  const std::string text = content(path("a"));
  EXPECT_TRUE(text.starts_with("192.0.2.7 - - [")) << text;
  EXPECT_NE(text.find("] \"GET /a\\\"\\xff HTTP/1.1\" 200 5120\n"), std::string::npos) << text;
  EXPECT_TRUE(text.ends_with("] \"-\" - 0\n")) << text;
}

TEST_F(LogWriterTest, EventsAreJsonLines) {
  {
    LogWriter writer(1, into_reports());
    FileEventLog log(writer.queue(0), **writer.open(path("e")), 3);
    log.server_changed("api", "192.0.2.1:80", "server_down", "connect: ECONNREFUSED");
    log.configuration("reload_refused", "x.conf", "x.conf:1:1: no");
  }
  std::ifstream in(path("e"));
  std::string line;
  std::getline(in, line);
  auto event = nlohmann::json::parse(line);
  EXPECT_EQ(event["event"], "server_down");
  EXPECT_EQ(event["shard"], 3);
  EXPECT_EQ(event["pool"], "api");
  EXPECT_EQ(event["reason"], "connect: ECONNREFUSED");
  std::getline(in, line);
  event = nlohmann::json::parse(line);
  EXPECT_EQ(event["event"], "reload_refused");
  EXPECT_EQ(event["file"], "x.conf");
}

TEST_F(LogWriterTest, AfterRotationLinesGoToANewFile) {
  LogWriter writer(1, into_reports());
  LogFile* file = *writer.open(path("a"));
  writer.queue(0).push(*file, "old\n");
  ASSERT_TRUE(soon([&] { return writer.counters().lines_written == 1; }));
  std::filesystem::rename(path("a"), path("a.1"));
  writer.reopen();
  ASSERT_TRUE(soon([&] { return std::filesystem::exists(path("a")); }));
  writer.queue(0).push(*file, "new\n");
  EXPECT_TRUE(soon([&] { return content(path("a")) == "new\n"; }));
  EXPECT_EQ(content(path("a.1")), "old\n");
}

TEST_F(LogWriterTest, AStalledFileCostsLinesButNeverTime) {
  ASSERT_EQ(::mkfifo(path("pipe").c_str(), 0600), 0);
  const UniqueFd reader(::open(path("pipe").c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  constexpr uint64_t kLines = 3 * LineQueue::kMaxLines;  // 2.5 MB
  const std::string line = std::string(100, 'x') + '\n';
  const Time begin = monotonic_now();
  {
    LogWriter writer(1, into_reports());
    LogFile* file = *writer.open(path("pipe"));
    for (uint64_t i = 0; i < kLines; ++i) writer.queue(0).push(*file, line);
    const auto lost = [&] {
      return writer.counters().lines_dropped + writer.counters().lines_failed;
    };
    EXPECT_TRUE(soon([&] { return lost() > 0; }));
    EXPECT_LT(lost(), kLines);
  }
  EXPECT_LT(monotonic_now() - begin, LogWriter::kFarewell + seconds(5)) << "it gives up at the end";
  EXPECT_EQ(reports(), path("pipe") + ": its reader takes nothing\n");
}

TEST_F(LogWriterTest, AStalledFileHoldsUpNoOtherAndGoesOnWithWholeLines) {
  ASSERT_EQ(::mkfifo(path("pipe").c_str(), 0600), 0);
  const UniqueFd reader(::open(path("pipe").c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  const std::string line = std::string(999, 'x') + '\n';
  constexpr size_t kLines = 1500;  // more than fit the pipe and LogFile::kMaxWaiting
  LogWriter writer(2, into_reports());
  LogFile* stalled = *writer.open(path("pipe"));
  LogFile* other = *writer.open(path("a"));
  for (size_t i = 0; i < kLines; ++i) writer.queue(0).push(*stalled, line);
  ASSERT_TRUE(soon([&] { return writer.counters().lines_failed > 0; }));
  writer.queue(0).push(*other, "one\n");
  writer.queue(1).push(*other, "two\n");
  ASSERT_TRUE(soon([&] { return content(path("a")).size() == 8; })) << content(path("a"));

  std::string seen;
  std::array<char, 65536> buffer;
  const auto all_seen = [&] {
    const ssize_t n = ::read(reader.get(), buffer.data(), buffer.size());
    if (n > 0) seen.append(buffer.data(), static_cast<size_t>(n));
    return seen.size() / line.size() + writer.counters().lines_failed == kLines;
  };
  EXPECT_TRUE(soon(all_seen));
  EXPECT_GT(seen.size(), LogFile::kMaxWaiting / 2);
  for (size_t at = 0; at < seen.size(); at += line.size()) {
    ASSERT_EQ(seen.compare(at, line.size(), line), 0) << at;
  }
  EXPECT_EQ(writer.counters().lines_written, 2 + seen.size() / line.size());
}

TEST_F(LogWriterTest, AFileThatTakesThemLosesNoLinesHoweverManyComeAtOnce) {
  LogWriter writer(8, into_reports());
  LogFile* file = *writer.open(path("a"));
  const std::string line = std::string(4000, 'x') + '\n';
  for (size_t queue = 0; queue < 8; ++queue) {
    for (int i = 0; i < 1000; ++i) writer.queue(queue).push(*file, line);
  }
  EXPECT_TRUE(soon([&] { return writer.counters().lines_written == 8000; }));
  EXPECT_EQ(writer.counters().lines_failed, 0u);
}

TEST_F(LogWriterTest, AReaderThatGoesAwayCostsLinesAndMayComeBack) {
  ASSERT_EQ(::mkfifo(path("pipe").c_str(), 0600), 0);
  UniqueFd reader(::open(path("pipe").c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  LogWriter writer(1, into_reports());
  LogFile* file = *writer.open(path("pipe"));
  reader.reset();
  writer.queue(0).push(*file, "lost\n");
  ASSERT_TRUE(soon([&] { return writer.counters().lines_failed == 1; }));
  EXPECT_EQ(reports(), path("pipe") + ": Broken pipe\n");
  reader = UniqueFd(::open(path("pipe").c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  writer.queue(0).push(*file, "seen\n");
  ASSERT_TRUE(soon([&] { return writer.counters().lines_written == 1; }));
  std::array<char, 16> buffer;
  EXPECT_EQ(::read(reader.get(), buffer.data(), buffer.size()), 5);
}

TEST_F(LogWriterTest, LongLinesAreBoundedByTheirBytes) {
  ASSERT_EQ(::mkfifo(path("pipe").c_str(), 0600), 0);
  const UniqueFd reader(::open(path("pipe").c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  LineQueue queue;
  const auto file = LogFile::open(path("pipe"));
  ASSERT_TRUE(file);
  const std::string line(size_t{1} << 20, 'x');
  for (int i = 0; i < 20; ++i) queue.push(**file, line);
  EXPECT_EQ(queue.dropped(), 12u);
  std::array<LogLine, 4> out;
  EXPECT_EQ(queue.pop(out), 4u);
  for (int i = 0; i < 5; ++i) queue.push(**file, line);
  EXPECT_EQ(queue.dropped(), 13u) << "room for four again";
}

TEST_F(LogWriterTest, AFileThatCantBeOpenedIsNamed) {
  LogWriter writer(1, into_reports());
  const auto file = writer.open(path("no/such/directory"));
  ASSERT_FALSE(file);
  EXPECT_EQ(file.error().message,
            "can't write " + path("no/such/directory") + ": No such file or directory");
}

TEST_F(LogWriterTest, ThereIsABoundOnFiles) {
  LogWriter writer(1, into_reports());
  for (size_t i = 0; i < LogWriter::kMaxFiles; ++i) {
    ASSERT_TRUE(writer.open(path(std::to_string(i))));
  }
  EXPECT_EQ(writer.open(path("more")).error().code, Errc::kNoBufferSpace);
  EXPECT_TRUE(writer.open(path("0"))) << "one that is open";
}

TEST_F(LogWriterTest, WhenAFileTakesNothingThatIsToldOnce) {
  LogWriter writer(1, into_reports());
  LogFile* file = *writer.open("/dev/full");
  for (uint64_t i = 1; i <= 3; ++i) {
    writer.queue(0).push(*file, "x\n");
    ASSERT_TRUE(soon([&] { return writer.counters().lines_failed == i; }));
  }
  EXPECT_EQ(reports(), "/dev/full: No space left on device\n");
}

}  // namespace
}  // namespace fairlead::control
