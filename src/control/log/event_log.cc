#include "control/log/event_log.h"

#include <fmt/format.h>

#include <utility>

namespace fairlead::control {
namespace {

void append_member(std::string& out, std::string_view name, std::string_view value) {
  out += fmt::format(",\"{}\":", name);
  append_json(out, value);
}

}  // namespace

void FileEventLog::server_changed(std::string_view pool, std::string_view server,
                                  std::string_view event, std::string_view reason) {
  std::string line = begin(event);
  if (!pool.empty()) append_member(line, "pool", pool);
  append_member(line, "server", server);
  if (!reason.empty()) append_member(line, "reason", reason);
  finish(std::move(line));
}

void FileEventLog::configuration(std::string_view event, std::string_view file,
                                 std::string_view reason) {
  std::string line = begin(event);
  append_member(line, "file", file);
  if (!reason.empty()) append_member(line, "reason", reason);
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
