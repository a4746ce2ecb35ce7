#include "service/switch/balance/balancer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <numeric>
#include <optional>
#include <string>
#include <vector>

#include "base/random.h"
#include "service/switch/balance/pool.h"

namespace fairlead::balance {
namespace {

using Algorithm = Schedule::Algorithm;
using HashInput = Schedule::HashInput;

constexpr Algorithm kAllAlgorithms[] = {
    Algorithm::kRoundRobin,        Algorithm::kWeightedRoundRobin,
    Algorithm::kLeastConnections,  Algorithm::kWeightedLeastConnections,
    Algorithm::kPowerOfTwoChoices, Algorithm::kHash,
};

Server::Options server(uint16_t number, Server::Options options = {}) {
  options.endpoint = {.address = IpAddress::v4(0xC6336400u + number), .port = 80};
  return options;
}

// A pool whose servers are called a, b, c, … here; weights as given.
class Servers {
 public:
  Servers(Schedule schedule, std::vector<Server::Options> options, uint64_t seed = 1)
      : pool({.name = "p", .schedule = std::move(schedule), .servers = std::move(options)}, seed) {}
  static Servers weighted(Algorithm algorithm, const std::vector<uint32_t>& weights,
                          uint64_t seed = 1) {
    std::vector<Server::Options> options;
    for (const uint32_t weight : weights) {
      options.push_back(server(static_cast<uint16_t>(options.size()), {.weight = weight}));
    }
    return {Schedule{.algorithm = algorithm}, std::move(options), seed};
  }

  Server& operator[](char name) const { return *pool.servers()[static_cast<size_t>(name - 'a')]; }
  char name(const Server* chosen) const {
    if (chosen == nullptr) return '-';
    const auto at = std::ranges::find(pool.servers(), chosen, &std::unique_ptr<Server>::get);
    return static_cast<char>('a' + (at - pool.servers().begin()));
  }
  char choose(const RequestFacts& facts = {}, std::vector<const Server*> tried = {}) {
    return name(pool.choose(facts, tried));
  }
  std::string choices(int n) {
    std::string out;
    for (int i = 0; i < n; ++i) out += choose();
    return out;
  }

  Pool pool;
};

RequestFacts from(uint32_t source) {
  RequestFacts facts;
  facts.source = IpAddress::v4(source);
  return facts;
}

// Σ (observed - expected)² / expected.
double chi_square(const std::map<char, int>& observed, const std::vector<double>& shares) {
  int n = 0;
  for (const auto& [name, count] : observed) n += count;
  double sum = 0;
  for (size_t i = 0; i < shares.size(); ++i) {
    const auto at = observed.find(static_cast<char>('a' + i));
    const double difference = (at == observed.end() ? 0 : at->second) - n * shares[i];
    sum += difference * difference / (n * shares[i]);
  }
  return sum;
}

TEST(RoundRobin, TakesServersInTurnWhateverTheirWeights) {
  Servers servers = Servers::weighted(Algorithm::kRoundRobin, {1, 5, 2});
  EXPECT_EQ(servers.choices(7), "abcabca");
}

TEST(RoundRobin, GoesOnInTurnAroundAServerThatIsAway) {
  Servers servers = Servers::weighted(Algorithm::kRoundRobin, {1, 1, 1, 1});
  EXPECT_EQ(servers.choices(2), "ab");
  servers['c'].set_admin(AdminState::kDraining);
  EXPECT_EQ(servers.choices(4), "dabd");
  servers['c'].set_admin(AdminState::kEnabled);
  EXPECT_EQ(servers.choices(4), "abcd");
}

TEST(WeightedRoundRobin, MixesSmoothly) {
  // The example of nginx's ngx_http_upstream_round_robin.c: { 5, 1, 1 } gives a a b a c a a.
  Servers servers = Servers::weighted(Algorithm::kWeightedRoundRobin, {5, 1, 1});
  EXPECT_EQ(servers.choices(14), "aabacaaaabacaa");
  Servers equal = Servers::weighted(Algorithm::kWeightedRoundRobin, {4, 4, 4});
  EXPECT_EQ(equal.choices(6), "abcabc");
}

TEST(WeightedRoundRobin, EveryRoundIsExactlyInProportion) {
  for (uint64_t seed = 1; seed <= 50; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Rng rng(seed);
    std::vector<uint32_t> weights;
    for (uint64_t n = 1 + rng.below(20); n > 0; --n) {
      weights.push_back(static_cast<uint32_t>(1 + rng.below(50)));
    }
    Servers servers = Servers::weighted(Algorithm::kWeightedRoundRobin, weights);
    const int round = static_cast<int>(std::accumulate(weights.begin(), weights.end(), 0u));
    for (int i = 0; i < 3; ++i) {
      const std::string choices = servers.choices(round);
      for (size_t s = 0; s < weights.size(); ++s) {
        ASSERT_EQ(std::ranges::count(choices, static_cast<char>('a' + s)), weights[s]);
      }
    }
  }
}

TEST(LeastConnections, TakesTheServerWithTheFewestAndEqualsInTurn) {
  Servers servers = Servers::weighted(Algorithm::kLeastConnections, {1, 9, 1});
  EXPECT_EQ(servers.choices(4), "abca");  // all idle
  std::vector<Server::Connection> open;
  open.emplace_back(servers['a']);
  open.emplace_back(servers['b']);
  EXPECT_EQ(servers.choices(2), "cc");
  open.emplace_back(servers['c']);
  open.emplace_back(servers['c']);
  EXPECT_EQ(servers.choices(4), "abab");
}

// Connections open and close at random. The server chosen never has more than another one.
TEST(LeastConnections, NoServerIsEverChosenThatHasMoreThanAnother) {
  for (const Algorithm algorithm :
       {Algorithm::kLeastConnections, Algorithm::kWeightedLeastConnections}) {
    for (uint64_t seed = 1; seed <= 20; ++seed) {
      SCOPED_TRACE("seed " + std::to_string(seed));
      Rng rng(seed);
      const std::vector<uint32_t> weights = {1, 2, 3, 4, 5};
      Servers servers = Servers::weighted(algorithm, weights);
      std::vector<Server::Connection> open;
      for (int i = 0; i < 500; ++i) {
        if (!open.empty() && rng.chance(0.4)) {
          std::swap(open[rng.below(open.size())], open.back());
          open.pop_back();
          continue;
        }
        Server* chosen = servers.pool.choose({});
        const auto load = [&](const Server& s) {
          return algorithm == Algorithm::kLeastConnections
                     ? s.active()
                     : static_cast<double>(s.active() + 1) / s.weight();
        };
        for (const auto& other : servers.pool.servers()) ASSERT_LE(load(*chosen), load(*other));
        open.emplace_back(*chosen);
      }
    }
  }
}

TEST(WeightedLeastConnections, ConnectionsThatStayAreInProportion) {
  Servers servers = Servers::weighted(Algorithm::kWeightedLeastConnections, {1, 2, 7});
  std::vector<Server::Connection> open;
  for (int i = 0; i < 1000; ++i) open.emplace_back(*servers.pool.choose({}));
  EXPECT_NEAR(servers['a'].active(), 100, 1);
  EXPECT_NEAR(servers['b'].active(), 200, 1);
  EXPECT_NEAR(servers['c'].active(), 700, 1);
}

TEST(PowerOfTwoChoices, IdleEqualsAreChosenEvenly) {
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Servers servers =
        Servers::weighted(Algorithm::kPowerOfTwoChoices, std::vector<uint32_t>(10, 1), seed);
    std::map<char, int> count;
    for (const char name : servers.choices(20'000)) ++count[name];
    // 9 degrees of freedom, p = 0.0001
    EXPECT_LT(chi_square(count, std::vector<double>(10, 0.1)), 33.72);
  }
}

TEST(PowerOfTwoChoices, NeverTakesTheMostLoadedAndKeepsLoadNearTheMean) {
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Servers servers =
        Servers::weighted(Algorithm::kPowerOfTwoChoices, std::vector<uint32_t>(10, 1), seed);
    std::vector<Server::Connection> open;
    for (int i = 0; i < 10'000; ++i) open.emplace_back(*servers.pool.choose({}));
    // Two choices leave a gap of log log n / log 2 + O(1) to the mean; one choice √(n log m).
    for (const auto& s : servers.pool.servers()) EXPECT_NEAR(s->active(), 1000, 8);

    Servers loaded = Servers::weighted(Algorithm::kPowerOfTwoChoices, {1, 1, 1}, seed);
    const Server::Connection one(loaded['b']);
    EXPECT_EQ(loaded.choices(200).find('b'), std::string::npos);
  }
}

TEST(PowerOfTwoChoices, LoadIsInProportionToWeights) {
  Servers servers = Servers::weighted(Algorithm::kPowerOfTwoChoices, {1, 2, 2}, 3);
  std::vector<Server::Connection> open;
  for (int i = 0; i < 5000; ++i) open.emplace_back(*servers.pool.choose({}));
  EXPECT_NEAR(servers['a'].active(), 1000, 20);
  EXPECT_NEAR(servers['b'].active(), 2000, 20);
}

class Headers : public HeaderLookup {
 public:
  std::optional<std::string_view> header(std::string_view name) const override {
    return name == "x-user" ? std::optional<std::string_view>(user) : std::nullopt;
  }
  std::optional<std::string_view> cookie(std::string_view name) const override {
    return name == "session" ? std::optional<std::string_view>(session) : std::nullopt;
  }
  std::string user;
  std::string session;
};

std::vector<Server::Options> equal_servers(uint16_t n) {
  std::vector<Server::Options> options;
  for (uint16_t i = 0; i < n; ++i) options.push_back(server(i));
  return options;
}

TEST(Hash, EqualSourcesMeetTheSameServerAndManySpreadByWeight) {
  Servers servers = Servers::weighted(Algorithm::kHash, {1, 2, 3, 4});
  std::map<char, int> count;
  for (uint32_t source = 0; source < 20'000; ++source) {
    const char chosen = servers.choose(from(0x0A000000u + source));
    ASSERT_EQ(servers.choose(from(0x0A000000u + source)), chosen);
    ++count[chosen];
  }
  // 3 degrees of freedom, p = 0.001
  EXPECT_LT(chi_square(count, {0.1, 0.2, 0.3, 0.4}), 16.27);
}

TEST(Hash, UsesWhatIsConfiguredAndNothingElse) {
  Headers headers;
  struct Case {
    HashInput input;
    const char* name;
    std::string* value;
  };
  std::string target;
  for (const Case& c :
       {Case{HashInput::kUri, "", &target}, Case{HashInput::kHeader, "x-user", &headers.user},
        Case{HashInput::kCookie, "session", &headers.session}}) {
    Servers servers({.algorithm = Algorithm::kHash, .hash_input = c.input, .hash_name = c.name},
                    equal_servers(8));
    std::map<char, int> count;
    for (uint32_t i = 0; i < 800; ++i) {
      *c.value = "/k" + std::to_string(i);
      RequestFacts facts = from(i);
      facts.headers = &headers;
      facts.target = target;
      const char chosen = servers.choose(facts);
      facts.source = IpAddress::v4(~i);
      EXPECT_EQ(servers.choose(facts), chosen);
      ++count[chosen];
    }
    EXPECT_EQ(count.size(), 8u);
  }
}

TEST(Hash, OfAUriLeavesTheQueryOut) {
  Servers servers({.algorithm = Algorithm::kHash, .hash_input = HashInput::kUri}, equal_servers(8));
  for (uint32_t i = 0; i < 50; ++i) {
    RequestFacts plain = from(i), query = from(i);
    const std::string path = "/k" + std::to_string(i);
    const std::string with_query = path + "?x=1";
    plain.target = path;
    query.target = with_query;
    EXPECT_EQ(servers.choose(plain), servers.choose(query));
  }
}

TEST(Hash, OfARequestWithoutTheInputIsThatOfItsSource) {
  Servers by_source({.algorithm = Algorithm::kHash}, equal_servers(8));
  const Headers headers;
  for (const HashInput input : {HashInput::kUri, HashInput::kHeader, HashInput::kCookie}) {
    Servers servers({.algorithm = Algorithm::kHash, .hash_input = input, .hash_name = "absent"},
                    equal_servers(8));
    for (uint32_t i = 0; i < 100; ++i) {
      RequestFacts facts = from(i);
      EXPECT_EQ(servers.choose(facts), by_source.choose(from(i)));
      facts.headers = &headers;
      EXPECT_EQ(servers.choose(facts), by_source.choose(from(i)));
    }
  }
}

TEST(Hash, WhenAServerGoesDownOnlyItsShareAndLittleMoreMovesAndReturnsWithIt) {
  Servers servers({.algorithm = Algorithm::kHash}, equal_servers(10));
  std::string before;
  std::string without;
  std::string after;
  constexpr uint32_t kSources = 10'000;
  for (uint32_t i = 0; i < kSources; ++i) before += servers.choose(from(i));
  for (int i = 0; i < 3; ++i) servers['d'].report_health(false);
  for (uint32_t i = 0; i < kSources; ++i) without += servers.choose(from(i));
  EXPECT_EQ(without.find('d'), std::string::npos);
  uint32_t moved = 0;
  for (uint32_t i = 0; i < kSources; ++i) moved += before[i] != without[i] ? 1 : 0;
  EXPECT_LE(moved, kSources * 15 / 100);
  for (int i = 0; i < 2; ++i) servers['d'].report_health(true);
  for (uint32_t i = 0; i < kSources; ++i) after += servers.choose(from(i));
  EXPECT_EQ(after, before);
}

TEST(Hash, AServerThatIsFullOrWasTriedIsSkippedAndNobodyElseMoves) {
  std::vector<Server::Options> options = equal_servers(5);
  options[1].max_connections = 1;
  Servers servers({.algorithm = Algorithm::kHash}, options);
  std::string before;
  for (uint32_t i = 0; i < 2000; ++i) before += servers.choose(from(i));
  const Server::Connection one(servers['b']);
  for (uint32_t i = 0; i < 2000; ++i) {
    const char now = servers.choose(from(i));
    ASSERT_NE(now, 'b');
    if (before[i] != 'b') {
      ASSERT_EQ(now, before[i]);
    }
    const char second = servers.choose(from(i), {&servers[now]});
    ASSERT_NE(second, now);
    ASSERT_NE(second, '-');
    ASSERT_EQ(servers.choose(from(i), {&servers[now]}), second);
  }
}

TEST(Balancer, BackupsServeOnlyWhileNoPrimaryCan) {
  for (const Algorithm algorithm : kAllAlgorithms) {
    Servers servers({.algorithm = algorithm},
                    {server(0, {.max_connections = 1}), server(1), server(2, {.backup = true}),
                     server(3, {.backup = true})});
    EXPECT_EQ(servers.choices(50).find_first_of("cd-"), std::string::npos);
    servers['b'].set_admin(AdminState::kDisabled);
    EXPECT_EQ(servers.choices(3), "aaa");
    {
      const Server::Connection one(servers['a']);
      EXPECT_EQ(servers.choices(50).find_first_not_of("cd"), std::string::npos);
      EXPECT_EQ(servers.choose({}, {&servers['c'], &servers['d']}), '-');
    }
    EXPECT_EQ(servers.choices(3), "aaa");
    EXPECT_NE(std::string("cd").find(servers.choose({}, {&servers['a']})), std::string::npos);
  }
}

TEST(Balancer, WithoutACandidateChoosesNone) {
  for (const Algorithm algorithm : kAllAlgorithms) {
    EXPECT_EQ(Servers({.algorithm = algorithm}, {}).choose(), '-');
    Servers servers({.algorithm = algorithm}, {server(0), server(1)});
    EXPECT_EQ(servers.choose({}, {&servers['b'], &servers['a']}), '-');
    servers['a'].set_admin(AdminState::kDraining);
    for (int i = 0; i < 3; ++i) servers['b'].report_health(false);
    EXPECT_EQ(servers.choices(3), "---");
  }
}

// Whatever happens to servers, what is chosen may be chosen, and none only when none may.
TEST(Balancer, OnlyCandidatesAreEverChosen) {
  for (const Algorithm algorithm : kAllAlgorithms) {
    for (uint64_t seed = 1; seed <= 5; ++seed) {
      SCOPED_TRACE("seed " + std::to_string(seed));
      Rng rng(seed);
      std::vector<Server::Options> options;
      for (uint16_t i = 0; i < 8; ++i) {
        options.push_back(server(i, {.weight = static_cast<uint32_t>(1 + rng.below(9)),
                                     .max_connections = static_cast<uint32_t>(rng.below(4)),
                                     .backup = rng.chance(0.3),
                                     .health = {.rise = 1, .fall = 1}}));
      }
      Servers servers({.algorithm = algorithm}, options, seed);
      std::vector<Server::Connection> open;
      for (int step = 0; step < 200; ++step) {
        Server& changed = *servers.pool.servers()[rng.below(8)];
        changed.set_admin(static_cast<AdminState>(rng.below(3)));
        changed.report_health(rng.chance(0.7));
        const Server* tried[] = {servers.pool.servers()[rng.below(8)].get()};
        const auto may = [&](const Server& s) {
          return s.available() && !s.full() && &s != tried[0];
        };
        const auto primary_may = [&](const auto& s) { return !s->backup() && may(*s); };
        const bool any_primary = std::ranges::any_of(servers.pool.servers(), primary_may);
        const bool any =
            std::ranges::any_of(servers.pool.servers(), [&](const auto& s) { return may(*s); });
        Server* chosen = servers.pool.choose(from(static_cast<uint32_t>(step)), tried);
        ASSERT_EQ(chosen != nullptr, any);
        if (chosen == nullptr) continue;
        ASSERT_TRUE(may(*chosen));
        ASSERT_EQ(chosen->backup(), !any_primary);
        if (rng.chance(0.5)) open.emplace_back(*chosen);
        if (open.size() > 6) open.erase(open.begin());
      }
    }
  }
}

TEST(Pool, FindsItsServersByName) {
  const Servers servers = Servers::weighted(Algorithm::kRoundRobin, {1, 1});
  EXPECT_EQ(servers.pool.find("198.51.100.1:80"), &servers['b']);
  EXPECT_EQ(servers.pool.find("198.51.100.2:80"), nullptr);
}

}  // namespace
}  // namespace fairlead::balance
