#include "nic/setup/secrets.h"

#include "base/random.h"
#include "nic/setup/setup_cookie.h"

namespace fairlead::nic {
namespace {

constexpr Duration kUnit = nanoseconds(FL_COOKIE_UNIT);
constexpr Duration kEpoch = FL_COOKIE_EPOCH * kUnit;
/// Into the epoch: no cookie of the one before is young enough.
constexpr Duration kReplaceAfter = (FL_COOKIE_WINDOW + 1) * kUnit;

int64_t epoch_at(Time now) { return now.time_since_epoch() / kEpoch; }

void fill(fl_sip_key& key) { fill_secure_random({reinterpret_cast<uint8_t*>(&key), sizeof key}); }

}  // namespace

SetupSecrets::SetupSecrets() {
  fill(secrets_.cookie[0]);
  fill(secrets_.cookie[1]);
  fill(secrets_.timestamps);
}

bool SetupSecrets::rotate(Time now) {
  const int64_t epoch = epoch_at(now);
  const Duration into_epoch = now.time_since_epoch() - epoch * kEpoch;
  if (replaced_in_ == epoch || into_epoch < kReplaceAfter) return false;
  fill(secrets_.cookie[(epoch + 1) & 1]);
  replaced_in_ = epoch;
  return true;
}

Time SetupSecrets::next_rotation(Time now) const {
  const int64_t epoch = epoch_at(now);
  return Time((replaced_in_ == epoch ? epoch + 1 : epoch) * kEpoch + kReplaceAfter);
}

}  // namespace fairlead::nic
