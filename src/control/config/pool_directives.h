// The directives of `pool NAME { … }`, which a virtual server has, too, for its own pool.
#pragma once

#include <array>

#include "control/config/schema.h"
#include "control/config/switch_config.h"

namespace fairlead::control {

void read_real_server(DirectiveInput& in, PoolConfig& out);
void read_schedule(DirectiveInput& in, ScheduleConfig::Algorithm algorithm, ScheduleConfig& out);

/// The rows for a block that is read into a T, of which pool_of(T&) is the pool.
template <typename T, PoolConfig& (*pool_of)(T&)>
constexpr auto pool_rows() {
  using Algorithm = ScheduleConfig::Algorithm;
  const auto schedule = []<Algorithm algorithm>(std::string_view keyword, std::string_view usage) {
    return Directive<T>{.keyword = keyword, .usage = usage, .read = [](DirectiveInput& in, T& out) {
                          read_schedule(in, algorithm, pool_of(out).schedule);
                        }};
  };
  return std::array {
    Directive<T>{.keyword = "real_server",
                 .usage = "real_server ADDRESS PORT { ... }",
                 .occurs = Occurs::kRepeatedly,
                 .block = HasBlock::kMayHave,
                 .read = [](DirectiveInput& in, T& out) { read_real_server(in, pool_of(out)); }},
    schedule.template operator()<Algorithm::kHash>(
        "schedule_hash", "schedule_hash source|uri|header NAME|cookie NAME"),
    schedule.template operator()<Algorithm::kLc>("schedule_lc", "schedule_lc"),
    schedule.template operator()<Algorithm::kP2c>("schedule_p2c", "schedule_p2c"),
    schedule.template operator()<Algorithm::kRr>("schedule_rr", "schedule_rr"),
    schedule.template operator()<Algorithm::kWlc>("schedule_wlc", "schedule_wlc"),
    schedule.template operator()<Algorithm::kWrr>("schedule_wrr", "schedule_wrr"),
  };
}

}  // namespace fairlead::control
