// Numbers, sizes and durations as people write them in a configuration: text to value and back.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/time.h"

namespace fairlead::control {

/// "1024": decimal digits only. Nothing when it is not one or exceeds 64 bits.
std::optional<uint64_t> parse_number(std::string_view text);

/// "4096", "64k", "4M", "1G": bytes, in powers of 1024, letter in either case.
std::optional<uint64_t> parse_size(std::string_view text);

/// "500us", "5ms", "10s", "3m", "2h". The unit is required: a bare number would leave the reader
/// guessing. At most about 292 years.
std::optional<Duration> parse_duration(std::string_view text);

/// The shortest text that parse_size() reads back as `bytes`: "64k".
std::string format_size(uint64_t bytes);

/// The shortest text that parse_duration() reads back as `d`, for whole microseconds >= 0: "2h".
std::string format_duration(Duration d);

}  // namespace fairlead::control
