#include "base/random.h"

#include <sys/random.h>

#include "base/check.h"

namespace fairlead {

void fill_secure_random(MutableByteSpan out) {
  while (!out.empty()) {
    ssize_t n = getrandom(out.data(), out.size(), 0);
    CHECK(n > 0);
    out = out.subspan(static_cast<size_t>(n));
  }
}

}  // namespace fairlead
