#include "app/shutdown.h"

#include <fmt/format.h>

#include <string>

namespace fairlead::app {

std::string_view stop_mode_name(StopMode mode) {
  switch (mode) {
    case StopMode::kNow:
      return "now";
    case StopMode::kDrain:
      return "drain";
    case StopMode::kKeep:
      return "keep";
  }
  return "unknown";
}

Result<StopRequest> stop_request(const control::Json& arguments) {
  const auto mode = arguments.find("mode");
  const std::string name =
      mode != arguments.end() && mode->is_string() ? mode->get<std::string>() : "";
  StopRequest request;
  for (const StopMode known : {StopMode::kNow, StopMode::kDrain, StopMode::kKeep}) {
    if (name != stop_mode_name(known)) continue;
    request.mode = known;
    const auto time = arguments.find("milliseconds");
    if (time == arguments.end()) return request;
    if (time->is_number_unsigned() &&
        time->get<uint64_t>() <= StopRequest::kMaxDrain / milliseconds(1)) {
      request.drain = milliseconds(time->get<int64_t>());
      return request;
    }
    return fail(Errc::kInvalidArgument,
                fmt::format("expected \"milliseconds\" to be a whole number from 0 to {}",
                            StopRequest::kMaxDrain / milliseconds(1)));
  }
  return fail(Errc::kInvalidArgument, R"(expected "mode" to be one of: now, drain, keep)");
}

}  // namespace fairlead::app
