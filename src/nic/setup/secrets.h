// SetupSecrets: the secrets of SYN cookies and when they change (setup_cookie.h).
//
//     epoch        e                                e + 1
//                  |──────────────┬─────────────────|──────────────
//     slot e       makes cookies  :                 confirms        : becomes e + 2's
//     slot e + 1   confirms e - 1 : is replaced     makes cookies
//                                 ^ rotate() has from here to the end of the epoch: 64 s
//
// One owner; everyone else (shards, kernel programs) works with a copy of secrets(), which may be
// as late as those 64 s. If rotate() is later than that, the secret of two epochs ago makes cookies
// once more; that is no harm, for the hash covers the time.
#pragma once

#include <optional>

#include "base/time.h"
#include "nic/setup/setup_tables.h"

namespace fairlead::nic {

class SetupSecrets {
 public:
  /// New ones, from the kernel.
  SetupSecrets();
  /// Those that SYN-ACKs still under way were made with.
  explicit SetupSecrets(const fl_setup_secrets& secrets) : secrets_(secrets) {}

  const fl_setup_secrets& secrets() const { return secrets_; }
  /// Replaces the next epoch's secret when it is time and has not been done. True: done, copies of
  /// secrets() are out of date.
  bool rotate(Time now);
  /// When to call rotate() next.
  Time next_rotation(Time now) const;

 private:
  fl_setup_secrets secrets_{};
  std::optional<int64_t> replaced_in_;  // the epoch in which that was last done
};

}  // namespace fairlead::nic
