// `health_check http PATH { … }` and `health_check tcp { … }`.
#include <fmt/format.h>

#include <charconv>
#include <string>

#include "control/config/directives.h"
#include "control/config/http_names.h"
#include "control/config/units.h"

namespace fairlead::control {
namespace {

constexpr Range<Duration> kCheckTime{.min = milliseconds(10), .max = hours(1)};
constexpr Range<uint64_t> kTimesInARow{.min = 1, .max = 1000};

// "200-399", or one status.
void read_expect(DirectiveInput& in, HealthCheckConfig& out) {
  if (out.kind != HealthCheckConfig::Kind::kHttp) {
    in.diagnostics.error(in.statement.keyword.at,
                         R"(found "expect" for health_check tcp; it needs health_check http)");
  }
  std::string text;
  in.arguments.text("FIRST[-LAST]", text);
  if (!in.arguments.ok()) return;
  const std::string_view view = text;
  const size_t dash = view.find('-');
  const auto first = parse_number(view.substr(0, dash));
  const auto last = dash == std::string_view::npos ? first : parse_number(view.substr(dash + 1));
  if (!first || !last || *first < 100 || *last > 599 || *first > *last) {
    in.arguments.reject(fmt::format(
        "found {}; expected statuses from 100 to 599, such as 200 or 200-399", in_quotes(text)));
    return;
  }
  out.expect_first = static_cast<uint16_t>(*first);
  out.expect_last = static_cast<uint16_t>(*last);
}

constexpr Directive<HealthCheckConfig> kHealthCheck[] = {
    {.keyword = "expect", .usage = "expect FIRST[-LAST]", .read = read_expect},
    {.keyword = "fall",
     .usage = "fall TIMES",
     .read = [](DirectiveInput& in,
                HealthCheckConfig& out) { in.arguments.number("TIMES", kTimesInARow, out.fall); }},
    {.keyword = "interval",
     .usage = "interval DURATION",
     .read =
         [](DirectiveInput& in, HealthCheckConfig& out) {
           in.arguments.duration("DURATION", kCheckTime, out.interval);
         }},
    {.keyword = "rise",
     .usage = "rise TIMES",
     .read = [](DirectiveInput& in,
                HealthCheckConfig& out) { in.arguments.number("TIMES", kTimesInARow, out.rise); }},
    {.keyword = "timeout",
     .usage = "timeout DURATION",
     .read =
         [](DirectiveInput& in, HealthCheckConfig& out) {
           in.arguments.duration("DURATION", kCheckTime, out.timeout);
         }},
};

}  // namespace

void read_health_check(DirectiveInput& in, HealthCheckConfig& out) {
  static constexpr std::string_view kKinds[] = {"http", "tcp"};
  size_t index = 0;
  in.arguments.choice("KIND", kKinds, index);
  out.kind = index == 0 ? HealthCheckConfig::Kind::kHttp : HealthCheckConfig::Kind::kTcp;
  if (index == 0) {
    in.arguments.text("PATH", out.path);
    if (in.arguments.ok() && !is_path(out.path)) {
      in.arguments.reject(
          fmt::format("found {}; expected a path, such as /health", in_quotes(out.path)));
    }
  }
  read_block<HealthCheckConfig>("health_check", in.statement.children, kHealthCheck, in.diagnostics,
                                out);
  if (out.timeout > out.interval) {
    in.diagnostics.error(
        in.statement.keyword.at,
        fmt::format("found timeout {} above interval {}; expected it to be at most the interval",
                    format_duration(out.timeout), format_duration(out.interval)));
  }
}

}  // namespace fairlead::control
