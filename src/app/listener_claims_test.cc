#include "app/listener_claims.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace fairlead::app {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr IpAddress kHere = IpAddress::v4(0xC0000201);
constexpr Endpoint kA{kHere, 80};
constexpr Endpoint kB{kHere, 81};
constexpr Endpoint kC{kHere, 82};

class ListenerClaimsTest : public testing::Test {
 protected:
  std::set<Endpoint> steered_;
  ListenerClaims claims_{{.add = [this](const Endpoint& endpoint) -> Result<void> {
                            if (steered_.insert(endpoint).second) return {};
                            return fail(Errc::kAddressInUse);
                          },
                          .remove = [this](const Endpoint& endpoint) -> Result<void> {
                            if (steered_.erase(endpoint) != 0) return {};
                            return fail(Errc::kNoEntry);
                          }}};
};

TEST_F(ListenerClaimsTest, ARetiredAddressIsOursUntilItIsReleased) {
  ASSERT_TRUE(claims_.claim(std::vector{kA, kB}));
  claims_.retire(std::vector{kA});
  EXPECT_THAT(steered_, ElementsAre(kA, kB));
  EXPECT_THAT(claims_.retired(), ElementsAre(kA));
  ASSERT_TRUE(claims_.release(kA));
  EXPECT_THAT(steered_, ElementsAre(kB));
  EXPECT_THAT(claims_.retired(), IsEmpty());
}

TEST_F(ListenerClaimsTest, ARetiredAddressCanBeClaimedAgain) {
  ASSERT_TRUE(claims_.claim(std::vector{kA}));
  claims_.retire(std::vector{kA});
  ASSERT_TRUE(claims_.claim(std::vector{kA}));
  EXPECT_THAT(claims_.retired(), IsEmpty());
  EXPECT_THAT(steered_, ElementsAre(kA));
}

TEST_F(ListenerClaimsTest, WhenOneCantBeClaimedNoneIsInService) {
  ASSERT_TRUE(claims_.claim(std::vector{kA, kB}));
  claims_.retire(std::vector{kA});
  const auto claimed = claims_.claim(std::vector{kA, kC, kB});
  ASSERT_FALSE(claimed);
  EXPECT_EQ(claimed.error().message, "192.0.2.1:81: EADDRINUSE");
  EXPECT_THAT(claims_.retired(), ElementsAre(kA, kC));
}

}  // namespace
}  // namespace fairlead::app
