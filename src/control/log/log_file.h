// LogFile: a file that lines are appended to, and that can be opened anew under its name after
// somebody (logrotate) has moved it away.
//
// Also a FIFO or a device, written without waiting: what its reader does not take now is tried
// again with the next flush(), so that a pipe nobody reads holds up no other file.
//
// Bound: kMaxWaiting bytes wait; a line more is thrown away and counted.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/unique_fd.h"

namespace fairlead::control {

class LogFile {
 public:
  static constexpr size_t kMaxWaiting = size_t{1} << 20;

  /// What became of lines.
  struct Outcome {
    size_t written = 0;
    size_t failed = 0;
    Result<void> problem;  // why some failed; names the path
  };

  /// Opens for appending, or creates with mode 0640. An error names the path.
  static Result<std::unique_ptr<LogFile>> open(const std::string& path);

  const std::string& path() const { return path_; }

  /// Opens the path again. After an error it goes on with the file it has.
  Result<void> reopen();

  /// `line` ends in a newline.
  void append(std::string_view line);
  /// Something is left that was not taken yet.
  bool waiting() const { return !buffer_.empty(); }
  /// Writes as much as is taken now, and says what became of lines since it was called last. After
  /// an error, but that no more is taken, what waits is thrown away.
  Outcome flush();
  /// Throws away what waits.
  Outcome give_up();

 private:
  LogFile(std::string path, UniqueFd fd) : path_(std::move(path)), fd_(std::move(fd)) {}

  void write();
  void refuse(size_t lines);

  const std::string path_;
  UniqueFd fd_;
  std::string buffer_;
  bool stalled_ = false;  // since the last flush() it has taken all that it takes now
  Outcome outcome_;       // likewise
};

}  // namespace fairlead::control
