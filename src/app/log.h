// Log: lines to stderr, written by a thread of their own.
//
// Nobody who logs may wait for a terminal or a full pipe: lines go through a bounded queue, and
// when it is full the oldest is given up.
#pragma once

#include <spdlog/async.h>
#include <spdlog/logger.h>

#include <memory>
#include <string_view>

#include "control/config/config.h"

namespace fairlead::app {

class Log {
 public:
  static constexpr size_t kMaxQueued = 8192;  // lines

  explicit Log(control::LogLevel level);
  /// Writes what is queued.
  ~Log() = default;

  template <typename... T>
  void debug(fmt::format_string<T...> format, T&&... values) {
    logger_->debug(format, std::forward<T>(values)...);
  }
  template <typename... T>
  void info(fmt::format_string<T...> format, T&&... values) {
    logger_->info(format, std::forward<T>(values)...);
  }
  template <typename... T>
  void warning(fmt::format_string<T...> format, T&&... values) {
    logger_->warn(format, std::forward<T>(values)...);
  }
  template <typename... T>
  void error(fmt::format_string<T...> format, T&&... values) {
    logger_->error(format, std::forward<T>(values)...);
  }

 private:
  std::shared_ptr<spdlog::details::thread_pool> writer_;
  std::shared_ptr<spdlog::logger> logger_;
};

}  // namespace fairlead::app
