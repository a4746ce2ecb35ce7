// FileAccessLog: a shard's access log, as JSON lines or in the common log format of NCSA httpd.
//
//   {"time":"2026-11-21T12:34:56.789Z","client":"192.0.2.7:40000",…,"status":200,…,"end":"done"}
//   192.0.2.7 - - [21/Nov/2026:12:34:56 +0000] "GET /a HTTP/1.1" 200 5120
//
// doc/configuration.md lists the members. Formats on the shard (under a microsecond) and hands the
// line to the LogWriter: never blocks, never fails; what can't be queued is counted as dropped.
#pragma once

#include <cstdint>
#include <string>

#include "control/log/line_queue.h"
#include "control/log/log_text.h"
#include "service/switch/core/records.h"

namespace fairlead::control {

class FileAccessLog final : public l7::AccessLog {
 public:
  enum class Format : uint8_t { kJson, kCommon };

  /// Both outlive the log. `queue` is that of the thread which writes here.
  FileAccessLog(LineQueue& queue, LogFile& file, Format format)
      : queue_(queue), file_(file), format_(format) {}

  void write(const l7::AccessRecord& record) override;

 private:
  std::string json_line(const l7::AccessRecord& record);
  std::string common_line(const l7::AccessRecord& record);

  LineQueue& queue_;
  LogFile& file_;
  const Format format_;
  LogClock clock_;
};

}  // namespace fairlead::control
