// `match CONDITION … pool NAME`: one line, whose conditions all have to hold.
//
//   match host *.example.org path_prefix /api pool api
#include <fmt/format.h>

#include <utility>

#include "control/config/directives.h"
#include "control/config/http_names.h"

namespace fairlead::control {
namespace {

using Condition = MatchConfig::Condition;
using Kind = Condition::Kind;

constexpr size_t kPoolWord = 6;  // the index of "pool"

// What `value` should have been; empty when it is right.
std::string_view expected_instead(Kind kind, std::string_view value) {
  switch (kind) {
    case Kind::kHost:
    case Kind::kSni:
      return is_host_pattern(value) ? ""
                                    : "a name without a port, such as example.org or *.example.org";
    case Kind::kPath:
    case Kind::kPathPrefix:
      return is_path(value) ? "" : "a path without a query, such as /api";
    case Kind::kAlpn:
      return value.size() <= 255 ? "" : "a protocol's name, such as h2";  // RFC 7301 §3.1
    case Kind::kHeader:
      return "";
  }
  return "";
}

void read_condition(Arguments& in, Kind kind, MatchConfig& out) {
  Condition condition{.kind = kind, .value = {}, .header = {}, .at = in.last_at()};
  if (kind == Kind::kHeader) {
    in.text("NAME", condition.header);
    if (in.ok() && !is_token(condition.header)) {
      in.reject(fmt::format("found {}; expected the name of a header, such as X-Beta",
                            in_quotes(condition.header)));
    }
  }
  in.text(kind == Kind::kHeader ? "VALUE" : kConditionNames[static_cast<size_t>(kind)],
          condition.value);
  if (!in.ok()) return;
  if (const auto expected = expected_instead(kind, condition.value); !expected.empty()) {
    in.reject(fmt::format("found {}; expected {}", in_quotes(condition.value), expected));
    return;
  }
  out.conditions.push_back(std::move(condition));
}

}  // namespace

void read_match(DirectiveInput& in, VirtualServerConfig& out) {
  MatchConfig match;
  size_t word = 0;
  while (true) {
    in.arguments.choice("CONDITION", kConditionNames, word);
    if (!in.arguments.ok() || word == kPoolWord) break;
    read_condition(in.arguments, static_cast<Kind>(word), match);
  }
  if (in.arguments.ok() && match.conditions.empty()) {
    in.arguments.reject(R"(found "pool" first; expected a condition, such as host example.org)");
  }
  in.arguments.text("NAME", match.pool);
  match.at = in.arguments.last_at();
  if (in.arguments.ok() && out.matches.size() == VirtualServerConfig::kMaxMatches) {
    in.arguments.reject(
        fmt::format("found more than {} match lines", VirtualServerConfig::kMaxMatches));
  }
  // A wrong one is kept, so that a server that has only this is not said to have none.
  out.matches.push_back(std::move(match));
}

}  // namespace fairlead::control
