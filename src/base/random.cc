#include "base/random.h"

#include <sys/random.h>

#include <cerrno>

#include "base/check.h"

namespace fairlead {

void fill_secure_random(MutableByteSpan out) {
  while (!out.empty()) {
    ssize_t n = getrandom(out.data(), out.size(), 0);
    if (n < 0 && errno == EINTR) continue;  // a signal while the kernel's pool was not ready yet
    CHECK(n > 0);
    out = out.subspan(static_cast<size_t>(n));
  }
}

}  // namespace fairlead
