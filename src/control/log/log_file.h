// LogFile: a file that lines are appended to, and that can be opened anew under its name after
// somebody (logrotate) has moved it away.
//
// Also a FIFO or a device. Written without waiting where the kernel lets us, so that a pipe nobody
// reads can be given up when the daemon ends.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/unique_fd.h"

namespace fairlead::control {

class LogFile {
 public:
  /// Opens for appending, or creates with mode 0640. An error names the path.
  static Result<std::unique_ptr<LogFile>> open(const std::string& path);

  const std::string& path() const { return path_; }

  /// Opens the path again. After an error it goes on with the file it has.
  Result<void> reopen();

  void append(std::string_view line);
  size_t waiting() const { return lines_; }
  /// Writes what was appended, and waits for a slow reader for as long as `keep_waiting` says. An
  /// error names the path; then what is left is thrown away. Afterwards waiting() is 0.
  Result<void> flush(const std::function<bool()>& keep_waiting);

 private:
  LogFile(std::string path, UniqueFd fd) : path_(std::move(path)), fd_(std::move(fd)) {}

  Result<void> write_all(std::string_view rest, const std::function<bool()>& keep_waiting);

  const std::string path_;
  UniqueFd fd_;
  std::string buffer_;
  size_t lines_ = 0;  // in buffer_
};

}  // namespace fairlead::control
