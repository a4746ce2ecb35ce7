#include "service/switch/balance/routing.h"

#include <gtest/gtest.h>

#include <array>
#include <map>
#include <string>

namespace fairlead::balance {
namespace {

using Kind = Condition::Kind;

class Headers : public HeaderLookup {
 public:
  explicit Headers(std::map<std::string, std::string, std::less<>> lines)
      : lines_(std::move(lines)) {}
  std::optional<std::string_view> header(std::string_view name) const override {
    const auto at = lines_.find(name);
    return at == lines_.end() ? std::nullopt : std::optional<std::string_view>(at->second);
  }
  std::optional<std::string_view> cookie(std::string_view) const override { return std::nullopt; }

 private:
  std::map<std::string, std::string, std::less<>> lines_;
};

bool holds(Kind kind, std::string value, const RequestFacts& facts) {
  return Condition{.kind = kind, .value = std::move(value)}.holds(facts);
}
bool host(std::string pattern, std::string_view host) {
  RequestFacts facts;
  facts.host = host;
  return holds(Kind::kHost, std::move(pattern), facts);
}
bool sni(std::string pattern, std::string_view name) {
  RequestFacts facts;
  facts.sni = name;
  return holds(Kind::kSni, std::move(pattern), facts);
}
bool path(std::string value, std::string_view target) {
  RequestFacts facts;
  facts.target = target;
  return holds(Kind::kPath, std::move(value), facts);
}
bool prefix(std::string value, std::string_view target) {
  RequestFacts facts;
  facts.target = target;
  return holds(Kind::kPathPrefix, std::move(value), facts);
}

TEST(Routing, HostsCompareWithoutCaseAndPort) {
  EXPECT_TRUE(host("example.org", "EXAMPLE.org:8080"));
  EXPECT_TRUE(host("Example.Org", "example.org."));
  EXPECT_FALSE(host("example.org", "www.example.org"));
  EXPECT_FALSE(host("example.org", "example.organic"));
  EXPECT_FALSE(host("example.org", ""));
  EXPECT_TRUE(host("[2001:db8::1]", "[2001:DB8::1]:80"));
}

TEST(Routing, AWildcardIsEveryNameBelow) {
  EXPECT_TRUE(host("*.example.org", "www.example.org"));
  EXPECT_TRUE(host("*.example.org", "a.b.EXAMPLE.org:80"));
  EXPECT_FALSE(host("*.example.org", "example.org"));
  EXPECT_FALSE(host("*.example.org", ".example.org"));
  EXPECT_FALSE(host("*.example.org", "badexample.org"));
  EXPECT_FALSE(host("*.example.org", "org"));
}

TEST(Routing, SniComparesAsHostsDo) {
  EXPECT_TRUE(sni("example.org", "Example.org"));
  EXPECT_TRUE(sni("*.example.org", "www.example.org"));
  EXPECT_FALSE(sni("*.example.org", "example.org"));
  EXPECT_FALSE(sni("example.org", ""));
}

TEST(Routing, PathsCompareExactlyAndWithoutTheQuery) {
  EXPECT_TRUE(path("/a", "/a"));
  EXPECT_TRUE(path("/a", "/a?b=/c"));
  EXPECT_TRUE(path("/a", "http://example.org/a"));
  EXPECT_FALSE(path("/a", "/a/"));
  EXPECT_FALSE(path("/a", "/A"));
  EXPECT_FALSE(path("/a", "/%61"));
  EXPECT_FALSE(path("/a", "/x/../a"));
}

TEST(Routing, PrefixesEndAtASegmentsEnd) {
  EXPECT_TRUE(prefix("/api", "/api"));
  EXPECT_TRUE(prefix("/api", "/api/x"));
  EXPECT_TRUE(prefix("/api", "/api?x"));
  EXPECT_FALSE(prefix("/api", "/apis"));
  EXPECT_FALSE(prefix("/api", "/ap"));
  EXPECT_TRUE(prefix("/api/", "/api/x"));
  EXPECT_TRUE(prefix("/api/", "/api/"));
  EXPECT_FALSE(prefix("/api/", "/api"));
  EXPECT_TRUE(prefix("/", "/anything"));
  EXPECT_FALSE(prefix("/", "*"));
}

TEST(Routing, AHeaderHasToBeThereWithThatValue) {
  const Condition beta{.kind = Kind::kHeader, .value = "yes", .header = "X-Beta"};
  RequestFacts facts;
  EXPECT_FALSE(beta.holds(facts));
  const Headers yes({{"X-Beta", "yes"}}), other({{"X-Beta", "Yes"}}), none({});
  facts.headers = &yes;
  EXPECT_TRUE(beta.holds(facts));
  facts.headers = &other;
  EXPECT_FALSE(beta.holds(facts));
  facts.headers = &none;
  EXPECT_FALSE(beta.holds(facts));
}

TEST(Routing, AlpnHasToBeAmongTheOffers) {
  const std::array<std::string_view, 2> offers = {"h2", "http/1.1"};
  RequestFacts facts;
  EXPECT_FALSE(holds(Kind::kAlpn, "h2", facts));
  facts.alpn = offers;
  EXPECT_TRUE(holds(Kind::kAlpn, "h2", facts));
  EXPECT_TRUE(holds(Kind::kAlpn, "http/1.1", facts));
  EXPECT_FALSE(holds(Kind::kAlpn, "http", facts));
}

TEST(Router, TheFirstRuleWhoseConditionsAllHoldWins) {
  Pool api({.name = "api"}, 1);
  Pool site({.name = "site"}, 1);
  Pool fallback({.name = ""}, 1);
  const Condition example{.kind = Kind::kHost, .value = "example.org"};
  const Condition below_api{.kind = Kind::kPathPrefix, .value = "/api"};
  const Router router({{.conditions = {example, below_api}, .pool = &api},
                       {.conditions = {example}, .pool = &site}},
                      &fallback);
  const auto route = [&](std::string_view host, std::string_view target) {
    RequestFacts facts;
    facts.host = host;
    facts.target = target;
    return router.route(facts);
  };
  EXPECT_EQ(route("example.org", "/api/x"), &api);
  EXPECT_EQ(route("example.org", "/x"), &site);
  EXPECT_EQ(route("example.com", "/api/x"), &fallback);
  EXPECT_EQ(route("", ""), &fallback);
  EXPECT_EQ(Router({}, nullptr).route({}), nullptr);
}

}  // namespace
}  // namespace fairlead::balance
