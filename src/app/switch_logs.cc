#include "app/switch_logs.h"

#include <fmt/format.h>

#include "base/check.h"

namespace fairlead::app {

SwitchLogs::SwitchLogs(size_t shards, Log& log)
    : shards_(shards),
      log_(log),
      writer_(shards + 1, [&log](const std::string& text) { log.warning("log file: {}", text); }) {}

Result<void> SwitchLogs::open(const control::Config& config) {
  if (!config.event_log.empty()) {
    if (auto opened = writer_.open(config.event_log); !opened) {
      return fail(opened.error().code, "event_log: " + opened.error().to_string());
    }
  }
  for (const control::VirtualServerConfig& server : config.virtual_servers) {
    if (server.access_log.empty()) continue;
    if (auto opened = writer_.open(server.access_log); !opened) {
      return fail(opened.error().code, "access_log: " + opened.error().to_string());
    }
  }
  return {};
}

SwitchLogTargets SwitchLogs::targets(const control::Config& config, size_t shard) {
  CHECK(shard < shards_);
  return {
      .access_log = [this, shard](const control::VirtualServerConfig& server) -> l7::AccessLog* {
        return access_log(server, shard);
      },
      .events = events(config.event_log, shard)};
}

void SwitchLogs::configuration_event(const control::Config& config, std::string_view event,
                                     std::string_view file, std::string_view reason) {
  if (auto* events = own_events(config)) events->configuration(event, file, reason);
}

void SwitchLogs::admin_event(const control::Config& config, std::string_view event,
                             std::string_view server) {
  log_.info("{}: {}, by command", event, server);
  if (auto* events = own_events(config)) events->server_changed("", server, event, "");
}

control::FileEventLog* SwitchLogs::own_events(const control::Config& config) {
  if (config.event_log.empty()) return nullptr;
  auto& log = own_events_[config.event_log];
  if (log == nullptr) {
    log = std::make_unique<control::FileEventLog>(writer_.queue(shards_), opened(config.event_log),
                                                  std::nullopt);
  }
  return log.get();
}

l7::AccessLog* SwitchLogs::access_log(const control::VirtualServerConfig& server, size_t shard) {
  const Format format = server.access_log_format == control::VirtualServerConfig::LogFormat::kCommon
                            ? Format::kCommon
                            : Format::kJson;
  auto& log = access_[{server.access_log, format, shard}];
  if (log == nullptr) {
    log = std::make_unique<control::FileAccessLog>(writer_.queue(shard), opened(server.access_log),
                                                   format);
  }
  return log.get();
}

l7::EventLog* SwitchLogs::events(const std::string& path, size_t shard) {
  auto& events = events_[{path, shard}];
  if (events == nullptr) {
    std::unique_ptr<control::FileEventLog> file;
    if (!path.empty()) {
      file = std::make_unique<control::FileEventLog>(writer_.queue(shard), opened(path), shard);
    }
    events = std::make_unique<Events>(log_, std::move(file));
  }
  return events.get();
}

control::LogFile& SwitchLogs::opened(const std::string& path) {
  auto file = writer_.open(path);
  CHECK(file.has_value());  // it is open, and this only looks it up
  return **file;
}

void SwitchLogs::Events::server_changed(std::string_view pool, std::string_view server,
                                        std::string_view event, std::string_view reason) {
  const std::string text =
      fmt::format("{}: {} of pool {}{}{}", event, server, pool, reason.empty() ? "" : ": ", reason);
  if (event == "server_down") {
    log_.warning("{}", text);
  } else {
    log_.info("{}", text);
  }
  if (file_ != nullptr) file_->server_changed(pool, server, event, reason);
}

}  // namespace fairlead::app
