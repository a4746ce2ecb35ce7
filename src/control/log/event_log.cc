#include "control/log/event_log.h"

#include <fmt/format.h>

#include <utility>

namespace fairlead::control {
void FileEventLog::server_changed(std::string_view pool, std::string_view server,
                                  std::string_view event, std::string_view reason) {
  std::string line = begin(event);
  append_member(line, "pool", pool);
  append_member(line, "server", server);
  append_member(line, "reason", reason);
  finish(std::move(line));
}

void FileEventLog::configuration(std::string_view event, std::string_view file,
                                 std::string_view reason) {
  std::string line = begin(event);
  append_member(line, "file", file);
  append_member(line, "reason", reason);
  finish(std::move(line));
}

std::string FileEventLog::begin(std::string_view event) {
  std::string line = "{\"time\":\"";
  clock_.append_iso(line);
  line += '"';
  append_member(line, "event", event);
  if (shard_) line += fmt::format(",\"shard\":{}", *shard_);
  return line;
}

void FileEventLog::finish(std::string line) { queue_.push(file_, std::move(line) + "}\n"); }

}  // namespace fairlead::control
