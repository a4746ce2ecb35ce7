#include "app/log.h"

#include <spdlog/async_logger.h>
#include <spdlog/sinks/stdout_sinks.h>

namespace fairlead::app {
namespace {

spdlog::level::level_enum spdlog_level(control::LogLevel level) {
  switch (level) {
    case control::LogLevel::kDebug:
      return spdlog::level::debug;
    case control::LogLevel::kInfo:
      return spdlog::level::info;
    case control::LogLevel::kWarning:
      return spdlog::level::warn;
    case control::LogLevel::kError:
      return spdlog::level::err;
  }
  return spdlog::level::info;
}

}  // namespace

Log::Log(control::LogLevel level)
    : writer_(std::make_shared<spdlog::details::thread_pool>(kMaxQueued, 1)),
      logger_(std::make_shared<spdlog::async_logger>(
          "fairlead", std::make_shared<spdlog::sinks::stderr_sink_mt>(), writer_,
          spdlog::async_overflow_policy::overrun_oldest)) {
  logger_->set_level(spdlog_level(level));
  logger_->set_pattern("%Y-%m-%d %H:%M:%S.%e %l: %v");
  logger_->flush_on(spdlog::level::debug);
}

}  // namespace fairlead::app
