// FileEventLog: what happens to servers, and to the configuration, as JSON lines.
//
//   {"time":"…","event":"server_down","shard":0,"pool":"api","server":"192.0.2.11:80","reason":"…"}
//   {"time":"…","event":"reloaded","file":"/etc/fairlead.conf"}
//
// Never blocks and never fails, as FileAccessLog.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "control/log/line_queue.h"
#include "control/log/log_text.h"
#include "service/switch/core/records.h"

namespace fairlead::control {

class FileEventLog final : public l7::EventLog {
 public:
  /// Both outlive the log. `shard`: whose servers' events these are; none for the daemon's own.
  FileEventLog(LineQueue& queue, LogFile& file, std::optional<size_t> shard)
      : queue_(queue), file_(file), shard_(shard) {}

  void server_changed(std::string_view pool, std::string_view server, std::string_view event,
                      std::string_view reason) override;
  /// "reloaded", or "reload_refused" with the reason.
  void configuration(std::string_view event, std::string_view file, std::string_view reason);

 private:
  std::string begin(std::string_view event);
  void finish(std::string line);

  LineQueue& queue_;
  LogFile& file_;
  const std::optional<size_t> shard_;
  LogClock clock_;
};

}  // namespace fairlead::control
