#include "control/config/units.h"

#include <fmt/format.h>

#include <charconv>
#include <ranges>

namespace fairlead::control {
namespace {

struct SizeUnit {
  char letter;
  char upper;
  uint64_t bytes;
};
constexpr SizeUnit kSizeUnits[] = {
    {'k', 'K', uint64_t{1} << 10},
    {'m', 'M', uint64_t{1} << 20},
    {'g', 'G', uint64_t{1} << 30},
};

struct DurationUnit {
  std::string_view name;
  Duration length;
};
constexpr DurationUnit kDurationUnits[] = {
    {"us", microseconds(1)}, {"ms", milliseconds(1)}, {"s", seconds(1)},
    {"m", minutes(1)},       {"h", hours(1)},
};

}  // namespace

std::optional<uint64_t> parse_number(std::string_view text) {
  uint64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc{} || stopped != end) return std::nullopt;
  return value;
}

std::optional<uint64_t> parse_size(std::string_view text) {
  if (text.empty()) return std::nullopt;
  uint64_t unit = 1;
  for (const SizeUnit& candidate : kSizeUnits) {
    if (text.back() == candidate.letter || text.back() == candidate.upper) unit = candidate.bytes;
  }
  if (unit != 1) text.remove_suffix(1);
  const std::optional<uint64_t> count = parse_number(text);
  uint64_t bytes = 0;
  if (!count || __builtin_mul_overflow(*count, unit, &bytes)) return std::nullopt;
  return bytes;
}

std::optional<Duration> parse_duration(std::string_view text) {
  const size_t digits = text.find_first_not_of("0123456789");
  if (digits == std::string_view::npos) return std::nullopt;
  const std::optional<uint64_t> count = parse_number(text.substr(0, digits));
  if (!count) return std::nullopt;
  for (const DurationUnit& unit : kDurationUnits) {
    if (text.substr(digits) != unit.name) continue;
    int64_t nanoseconds_count = 0;
    if (__builtin_mul_overflow(*count, unit.length.count(), &nanoseconds_count)) return {};
    return Duration(nanoseconds_count);
  }
  return std::nullopt;
}

std::string format_size(uint64_t bytes) {
  for (const SizeUnit& unit : std::views::reverse(kSizeUnits)) {
    if (bytes != 0 && bytes % unit.bytes == 0) {
      return fmt::format("{}{}", bytes / unit.bytes, unit.bytes > 1024 ? unit.upper : unit.letter);
    }
  }
  return fmt::format("{}", bytes);
}

std::string format_duration(Duration d) {
  for (const DurationUnit& unit : std::views::reverse(kDurationUnits)) {
    if (d.count() != 0 && d % unit.length == Duration::zero()) {
      return fmt::format("{}{}", d / unit.length, unit.name);
    }
  }
  return fmt::format("{}us", d / microseconds(1));
}

}  // namespace fairlead::control
