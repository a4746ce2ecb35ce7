// Router: which pool a request goes to.
//
//   match host example.org path_prefix /api pool api     Rule{{Host, PathPrefix}, api}
//   match host *.example.org pool static                 Rule{{Host}, static}
//   real_server …                                        the default
//
// The first rule whose conditions all hold wins; the default takes what none does. A condition on
// something the request does not have does not hold.
//
// Comparison is that of the thing compared: host and SNI without case, host also without its port;
// paths byte by byte without the query, neither decoded nor normalised; ALPN byte by byte.
// A path prefix ends at a segment's end: /api takes /api and /api/x, not /apis; /api/ takes /api/x
// only. "*.example.org" is any name below example.org, of any depth, and not example.org itself.
//
// Evaluation is linear in the number of conditions, which the configuration bounds.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "service/switch/balance/pool.h"
#include "service/switch/balance/request_facts.h"

namespace fairlead::balance {

struct Condition {
  enum class Kind : uint8_t { kHost, kPath, kPathPrefix, kHeader, kSni, kAlpn };

  Kind kind = Kind::kHost;
  std::string value;     // for kHost and kSni a name or "*.suffix"
  std::string header{};  // kHeader: the field's name

  bool holds(const RequestFacts& facts) const;
};

struct Rule {
  std::vector<Condition> conditions;
  Pool* pool = nullptr;

  bool holds(const RequestFacts& facts) const;
};

class Router {
 public:
  /// `fallback` may be null: then what no rule takes has no pool. Pools outlive the router.
  Router(std::vector<Rule> rules, Pool* fallback) : rules_(std::move(rules)), fallback_(fallback) {}

  Pool* route(const RequestFacts& facts) const;

 private:
  std::vector<Rule> rules_;
  Pool* fallback_;
};

}  // namespace fairlead::balance
