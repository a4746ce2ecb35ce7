// Inside `aggregator { … }`. Names are those of `fairlead aggregate`'s options.
#include <fmt/format.h>

#include <algorithm>

#include "control/config/directives.h"

namespace fairlead::control {
namespace {

using nic::AggregateConfig;

void read_from(DirectiveInput& in, AggregatorConfig& out) {
  static constexpr std::string_view kTo[] = {"to"};
  size_t to = 0;
  read_interface_name(in.arguments, "FROM", out.from);
  in.arguments.choice("to", kTo, to);
  read_interface_name(in.arguments, "TO", out.to);
  if (in.arguments.ok() && out.from == out.to) {
    in.arguments.reject(
        fmt::format("found interface {} twice; expected two different ones", in_quotes(out.to)));
  }
}

constexpr Directive<AggregatorConfig> kAggregator[] = {
    {.keyword = "ag_timer",
     .usage = "ag_timer DURATION",
     .read =
         [](DirectiveInput& in, AggregatorConfig& out) {
           in.arguments.duration("DURATION", {.min = microseconds(1), .max = seconds(1)},
                                 out.aggregate.ag_timer);
         }},
    {.keyword = "del_timer",
     .usage = "del_timer DURATION",
     .read =
         [](DirectiveInput& in, AggregatorConfig& out) {
           in.arguments.duration("DURATION", {.min = milliseconds(1), .max = hours(1)},
                                 out.aggregate.del_timer);
         }},
    {.keyword = "from", .usage = "from INTERFACE to INTERFACE", .read = read_from},
    {.keyword = "hold",
     .usage = "hold SEGMENTS",
     .read =
         [](DirectiveInput& in, AggregatorConfig& out) {
           in.arguments.number("SEGMENTS", {.min = 0, .max = AggregateConfig{}.max_held},
                               out.aggregate.max_held);
         }},
    {.keyword = "max_aggregate",
     .usage = "max_aggregate SIZE",
     .read =
         [](DirectiveInput& in, AggregatorConfig& out) {
           in.arguments.size("SIZE", {.min = 1500, .max = AggregateConfig::kMaxAggregate},
                             out.aggregate.max_aggregate);
         }},
    {.keyword = "psh",
     .usage = "psh flush|carry",
     .read =
         [](DirectiveInput& in, AggregatorConfig& out) {
           static constexpr std::string_view kHow[] = {"flush", "carry"};
           auto index = static_cast<size_t>(out.aggregate.carry_push);
           in.arguments.choice("HOW", kHow, index);
           out.aggregate.carry_push = index == 1;
         }},
    {.keyword = "table",
     .usage = "table CONNECTIONS",
     .read =
         [](DirectiveInput& in, AggregatorConfig& out) {
           in.arguments.number("CONNECTIONS", {.min = 1, .max = 10'000'000},
                               out.aggregate.contexts);
         }},
    {.keyword = "threshold",
     .usage = "threshold SIZE",
     .read =
         [](DirectiveInput& in, AggregatorConfig& out) {
           in.arguments.size("SIZE", {.min = 1, .max = AggregateConfig{}.threshold},
                             out.aggregate.threshold);
         }},
};

}  // namespace

std::span<const Directive<AggregatorConfig>> aggregator_directives() { return kAggregator; }

void read_aggregator(DirectiveInput& in, Config& out) {
  AggregatorConfig aggregator;
  aggregator.at = in.arguments.last_at();
  aggregator.aggregate.threshold = 0;  // until it is given
  read_block("aggregator", in.statement.children, aggregator_directives(), in.diagnostics,
             aggregator);
  AggregateConfig& config = aggregator.aggregate;
  const size_t most = config.max_aggregate - config.mtu;
  if (config.threshold == 0) config.threshold = most;
  if (config.threshold > most) {
    in.arguments.reject(
        fmt::format("found threshold {}; expected at most {}, max_aggregate less {}",
                    config.threshold, most, config.mtu));
  } else if (aggregator.from.empty() || aggregator.to.empty()) {
    in.arguments.reject("found no interfaces; expected \"from INTERFACE to INTERFACE\"");
  } else {
    out.aggregators.push_back(std::move(aggregator));
  }
}

}  // namespace fairlead::control
