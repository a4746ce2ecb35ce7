#include "control/log/access_log.h"

#include <fmt/format.h>

#include <iterator>
#include <string_view>

namespace fairlead::control {
namespace {

uint64_t in_microseconds(Duration duration) {
  return duration.count() < 0 ? 0 : static_cast<uint64_t>(duration / microseconds(1));
}

}  // namespace

void FileAccessLog::write(const l7::AccessRecord& record) {
  queue_.push(file_, format_ == Format::kJson ? json_line(record) : common_line(record));
}

std::string FileAccessLog::json_line(const l7::AccessRecord& record) {
  std::string out = "{\"time\":\"";
  clock_.append_iso(out);
  out += '"';
  append_member(out, "client", record.client.to_string());
  append_member(out, "virtual_server", record.virtual_server.to_string());
  append_member(out, "server", record.server);
  append_member(out, "method", record.method);
  append_member(out, "target", record.target);
  append_member(out, "version", record.version);
  append_member(out, "host", record.host);
  append_member(out, "referer", record.referer);
  append_member(out, "user_agent", record.user_agent);
  append_member(out, "server_name", record.server_name);
  if (record.status != 0) append_member(out, "status", record.status);
  append_member(out, "bytes_from_client", record.bytes_from_client);
  append_member(out, "bytes_to_client", record.bytes_to_client);
  append_member(out, "wait_us", in_microseconds(record.wait));
  append_member(out, "total_us", in_microseconds(record.total));
  append_member(out, "end", record.end);
  out += "}\n";
  return out;
}

// What is not known is "-", as everywhere in this format.
std::string FileAccessLog::common_line(const l7::AccessRecord& record) {
  std::string out = record.client.address.to_string() + " - - [";
  clock_.append_common(out);
  out += "] \"";
  if (record.method.empty()) {
    out += '-';
  } else {
    append_common(out, record.method);
    out += ' ';
    append_common(out, record.target);
    out += ' ';
    append_common(out, record.version);
  }
  fmt::format_to(std::back_inserter(out), "\" {} {}\n",
                 record.status == 0 ? "-" : fmt::format("{}", record.status),
                 record.bytes_to_client);
  return out;
}

}  // namespace fairlead::control
