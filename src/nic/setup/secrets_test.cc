#include "nic/setup/secrets.h"

#include <gtest/gtest.h>

#include <cstring>

#include "nic/setup/setup_cookie.h"

namespace fairlead::nic {
namespace {

Time at(int64_t s) { return Time(seconds(s)); }

bool equal(const fl_setup_secrets& a, const fl_setup_secrets& b) {
  return std::memcmp(&a, &b, sizeof a) == 0;
}

/// A handshake whose SYN-ACK was made at one time and with some secrets.
struct Handshake {
  Handshake(const fl_setup_secrets& secrets, Time made) {
    const fl_cookie_claim claim{
        .client_isn = 5, .timestamp = 7, .mss_index = 6, .window_scale = 7, .units = units(made)};
    isn = fl_cookie_of(fl_cookie_hash(&secrets, &tuple, &claim), &claim);
  }
  static uint32_t units(Time time) {
    return fl_setup_time_of(static_cast<uint64_t>(time.time_since_epoch().count())).units;
  }
  fl_setup_verdict check(const fl_setup_secrets& secrets, Time now) const {
    const fl_cookie_answer answer{
        .client_isn = 5, .isn = isn, .timestamp = 7, .units = units(now), .window_scale = 7};
    __u64 hash = 0;
    return fl_cookie_check(&secrets, &tuple, &answer, &hash);
  }
  fl_setup_tuple tuple{};
  uint32_t isn = 0;
};

TEST(SetupSecrets, AreNotAlikeNorTheSameTwice) {
  const SetupSecrets a, b;
  EXPECT_FALSE(equal(a.secrets(), b.secrets()));
  EXPECT_NE(a.secrets().cookie[0].k0, a.secrets().cookie[1].k0);
  EXPECT_NE(a.secrets().cookie[0].k0, a.secrets().cookie[0].k1);
  EXPECT_NE(a.secrets().cookie[0].k0, a.secrets().timestamps.k0);
}

TEST(SetupSecrets, OneIsReplacedInTheSecondHalfOfEachEpoch) {
  SetupSecrets s;
  fl_setup_secrets before = s.secrets();
  EXPECT_FALSE(s.rotate(at(1280 + 63)));
  EXPECT_EQ(s.next_rotation(at(1280)), at(1280 + 64));
  EXPECT_TRUE(s.rotate(at(1280 + 64)));  // epoch 10: the next is an odd one
  EXPECT_EQ(s.secrets().cookie[0].k0, before.cookie[0].k0);
  EXPECT_NE(s.secrets().cookie[1].k0, before.cookie[1].k0);
  EXPECT_EQ(s.secrets().timestamps.k0, before.timestamps.k0);
  before = s.secrets();
  EXPECT_FALSE(s.rotate(at(1280 + 127))) << "once";
  EXPECT_FALSE(s.rotate(at(1408)));
  EXPECT_EQ(s.next_rotation(at(1300)), at(1408 + 64));
  EXPECT_TRUE(s.rotate(s.next_rotation(at(1300))));
  EXPECT_NE(s.secrets().cookie[0].k0, before.cookie[0].k0);
  EXPECT_EQ(s.secrets().cookie[1].k0, before.cookie[1].k0);
}

/// Every second of three epochs, with copies of the secrets that are as late as they may be.
TEST(SetupSecrets, RotationRefusesNoHandshakeWithinItsWindow) {
  SetupSecrets s;
  std::vector<std::pair<Time, fl_setup_secrets>> copies;  // by when they were current
  for (int64_t t = 1280; t < 1280 + 4 * 128; ++t) {
    s.rotate(at(t));
    copies.emplace_back(at(t), s.secrets());
  }
  for (size_t made = 64; made + 60 < copies.size(); ++made) {
    for (const size_t maker_lag : {0u, 63u}) {
      const Handshake handshake(copies[made - maker_lag].second, copies[made].first);
      for (size_t now = made; now <= made + 60; ++now) {
        for (const size_t lag : {0u, 63u}) {
          ASSERT_EQ(handshake.check(copies[now - lag].second, copies[now].first),
                    FL_SETUP_NEW_CONNECTION)
              << "made at " << made << ", now " << now << ", lags " << maker_lag << ' ' << lag;
        }
      }
    }
  }
}

TEST(SetupSecrets, CookieOfTheSecretBeforeIsTakenAndOfTheOneBeforeThatIsNot) {
  SetupSecrets s;
  const Handshake handshake(s.secrets(), at(1280 + 120));  // at the end of epoch 10
  EXPECT_TRUE(s.rotate(at(1280 + 127)));
  EXPECT_EQ(handshake.check(s.secrets(), at(1408 + 50)), FL_SETUP_NEW_CONNECTION);
  EXPECT_TRUE(s.rotate(at(1408 + 100)));
  // Two epochs on its five bits look as young as then.
  EXPECT_EQ(handshake.check(s.secrets(), at(1408 + 128 + 120)), FL_SETUP_FORGED);
  EXPECT_EQ(handshake.check(s.secrets(), at(1280 + 120)), FL_SETUP_FORGED) << "its secret is gone";
}

TEST(SetupSecrets, LateRotationHarmsNobody) {
  SetupSecrets s;
  const fl_setup_secrets before = s.secrets();
  // Nobody came for two epochs and a half: cookies in flight were made with what there is.
  const Handshake handshake(s.secrets(), at(1280 + 2 * 128 + 30));
  EXPECT_FALSE(s.rotate(at(1280 + 2 * 128 + 32)));
  EXPECT_TRUE(equal(s.secrets(), before));
  EXPECT_TRUE(s.rotate(at(1280 + 2 * 128 + 64)));
  EXPECT_EQ(handshake.check(s.secrets(), at(1280 + 2 * 128 + 90)), FL_SETUP_NEW_CONNECTION);
}

}  // namespace
}  // namespace fairlead::nic
