// LogWriter: the thread that writes access and event logs, so that no shard ever waits for a disk.
//
//   shard 0 ── LineQueue ──┐
//   shard 1 ── LineQueue ──┼──▶ writer thread ──▶ LogFile, LogFile, …
//   control ── LineQueue ──┘
//
// The thread looks into the queues every kInterval rather than being woken: a wake-up per line
// would be a system call on the data path. It exists from the first open() on.
//
// Files are never closed while the writer lives, because lines of connections that began under an
// older configuration may still be on their way to them; kMaxFiles bounds how many there can be.
#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "control/log/line_queue.h"
#include "control/log/log_file.h"

namespace fairlead::control {

class LogWriter {
 public:
  static constexpr size_t kMaxFiles = 256;
  static constexpr Duration kInterval = milliseconds(20);
  /// What is queued when the writer is destroyed is written, to slow readers for at most this long.
  static constexpr Duration kFarewell = seconds(2);

  struct Counters {
    uint64_t lines_written = 0;
    uint64_t lines_dropped = 0;  // a queue was full
    uint64_t lines_failed = 0;   // a file did not take them
  };

  /// `report` is told, on the writer's thread, when a file stops taking lines, and when it can't be
  /// opened anew; once until it works again.
  LogWriter(size_t queues, std::function<void(const std::string&)> report);
  ~LogWriter();
  LogWriter(const LogWriter&) = delete;
  LogWriter& operator=(const LogWriter&) = delete;

  /// The file at `path`, opened by now; the same one for the same path. Lives as long as the
  /// writer. An error names the path. ENOBUFS: kMaxFiles are open.
  Result<LogFile*> open(const std::string& path);
  /// Each has one producer at a time.
  LineQueue& queue(size_t index) { return *queues_[index]; }

  /// Opens all files anew, soon. Any thread.
  void reopen();
  Counters counters() const;

 private:
  struct Entry {
    std::unique_ptr<LogFile> file;
    bool failing = false;  // the writer's
  };

  void run(const std::stop_token& stop);
  /// Empties the queues once, and writes what is taken now. True when there was something.
  bool write_round();
  /// Gives slow readers a last chance.
  void take_leave();
  void reopen_all();
  void note(Entry& entry, const LogFile::Outcome& outcome);
  void note(Entry& entry, const Result<void>& outcome);
  std::vector<Entry*> entries();

  const std::function<void(const std::string&)> report_;
  std::vector<std::unique_ptr<LineQueue>> queues_;
  std::array<LogLine, 256> burst_;
  std::atomic<uint64_t> written_ = 0;
  std::atomic<uint64_t> failed_ = 0;

  std::mutex mutex_;  // guards what follows
  std::condition_variable_any wake_;
  std::vector<std::unique_ptr<Entry>> entries_;
  bool reopen_ = false;
  std::jthread thread_;  // last: ends before what it uses
};

}  // namespace fairlead::control
