// SwitchLogs: the access and event logs of all shards, and what the daemon itself has to tell.
//
// Every file has one writer (control/log/log_writer.h); every shard has a queue of its own to it,
// and the control thread has one more. Logs live until the daemon ends, because connections that
// began under an older configuration still write to the one they began with.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>

#include "app/log.h"
#include "app/switch_options.h"
#include "base/result.h"
#include "control/config/config.h"
#include "control/log/access_log.h"
#include "control/log/event_log.h"
#include "control/log/log_writer.h"

namespace fairlead::app {

class SwitchLogs {
 public:
  /// `log` outlives the object, which outlives the shards.
  SwitchLogs(size_t shards, Log& log);

  /// Opens what `config` names and is not open. An error names the path; what was opened stays so.
  Result<void> open(const control::Config& config);
  /// The logs of `config`, which are open, for the switch of one shard. `config` may go.
  SwitchLogTargets targets(const control::Config& config, size_t shard);

  /// Opens all files anew, for logrotate.
  void reopen() { writer_.reopen(); }
  // What the daemon itself has to tell in the event log of `config`; once, not once for each shard.
  /// "reloaded" or "reload_refused".
  void configuration_event(const control::Config& config, std::string_view event,
                           std::string_view file, std::string_view reason);
  /// "server_enabled", "server_draining" or "server_disabled", by command, in all pools.
  void admin_event(const control::Config& config, std::string_view event, std::string_view server);

  /// Any thread.
  control::LogWriter::Counters counters() const { return writer_.counters(); }

 private:
  /// To the event log, if there is one, and to the daemon's own.
  class Events final : public l7::EventLog {
   public:
    Events(Log& log, std::unique_ptr<control::FileEventLog> file)
        : log_(log), file_(std::move(file)) {}
    void server_changed(std::string_view pool, std::string_view server, std::string_view event,
                        std::string_view reason) override;

   private:
    Log& log_;
    const std::unique_ptr<control::FileEventLog> file_;  // may be none
  };
  using Format = control::FileAccessLog::Format;

  l7::AccessLog* access_log(const control::VirtualServerConfig& server, size_t shard);
  l7::EventLog* events(const std::string& path, size_t shard);
  control::LogFile& opened(const std::string& path);
  /// nullptr when `config` has no event log.
  control::FileEventLog* own_events(const control::Config& config);

  const size_t shards_;
  Log& log_;
  control::LogWriter writer_;
  std::map<std::tuple<std::string, Format, size_t>, std::unique_ptr<control::FileAccessLog>>
      access_;
  std::map<std::pair<std::string, size_t>, std::unique_ptr<Events>> events_;
  std::map<std::string, std::unique_ptr<control::FileEventLog>> own_events_;
};

}  // namespace fairlead::app
