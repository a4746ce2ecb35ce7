#include "service/switch/balance/routing.h"

#include <algorithm>
#include <string_view>

namespace fairlead::balance {
namespace {

// Of ASCII letters only: host names and SNI are ASCII (RFC 9110 §4.2.3, RFC 6066 §3).
char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool equal_without_case(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, {}, lower, lower);
}

bool name_matches(std::string_view name, std::string_view pattern) {
  if (!pattern.starts_with("*.")) return !name.empty() && equal_without_case(name, pattern);
  const std::string_view suffix = pattern.substr(1);
  return name.size() > suffix.size() &&
         equal_without_case(name.substr(name.size() - suffix.size()), suffix);
}

bool below(std::string_view path, std::string_view prefix) {
  if (!path.starts_with(prefix)) return false;
  return prefix.ends_with('/') || path.size() == prefix.size() || path[prefix.size()] == '/';
}

}  // namespace

bool Condition::holds(const RequestFacts& facts) const {
  switch (kind) {
    case Kind::kHost:
      return name_matches(host_name(facts.host), value);
    case Kind::kPath:
      return target_path(facts.target) == value;
    case Kind::kPathPrefix:
      return below(target_path(facts.target), value);
    case Kind::kHeader:
      return facts.headers != nullptr && facts.headers->header(header) == value;
    case Kind::kSni:
      return name_matches(facts.sni, value);
    case Kind::kAlpn:
      return std::ranges::find(facts.alpn, value) != facts.alpn.end();
  }
  return false;
}

bool Rule::holds(const RequestFacts& facts) const {
  return std::ranges::all_of(conditions, [&](const Condition& c) { return c.holds(facts); });
}

Pool* Router::route(const RequestFacts& facts) const {
  for (const Rule& rule : rules_) {
    if (rule.holds(facts)) return rule.pool;
  }
  return fallback_;
}

}  // namespace fairlead::balance
