// Bytes from the network as text in a log line: whatever a client sends, a line stays one line, and
// a program that reads it sees where each value ends.
#pragma once

#include <cstddef>
#include <ctime>
#include <string>
#include <string_view>

namespace fairlead::control {

/// Of one value, before escaping; a longer one is cut. A client may send heads of many KiB, and
/// every byte of it may take six in the log.
inline constexpr size_t kMaxLoggedValue = 1024;

/// Appends `value` as a JSON string with its quotes (RFC 8259). Valid UTF-8 stays as it is; control
/// characters, and bytes that are not part of valid UTF-8, become \u00HH.
void append_json(std::string& out, std::string_view value);
/// Appends `,"name":"value"`: a member of a JSON object that has one already. Empty text is left
/// out.
void append_member(std::string& out, std::string_view name, std::string_view value);
void append_member(std::string& out, std::string_view name, uint64_t value);

/// Appends `value` for the common log format, without quotes, as Apache does: `"` and `\` with a
/// backslash, what is not printable ASCII as \xHH.
void append_common(std::string& out, std::string_view value);

/// The time of day in log lines. Formats the second once.
class LogClock {
 public:
  /// "2026-11-21T12:34:56.789Z" (RFC 3339)
  void append_iso(std::string& out);
  /// "21/Nov/2026:12:34:56 +0000"
  void append_common(std::string& out);

 private:
  /// Returns the milliseconds of the second.
  unsigned refresh();

  std::time_t second_ = -1;
  std::string iso_;
  std::string common_;
};

}  // namespace fairlead::control
