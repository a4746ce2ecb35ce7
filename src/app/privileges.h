// What a daemon must be allowed to do, asked for before anything is touched.
#pragma once

#include "base/result.h"

namespace fairlead::app {

/// EPERM with a message that names each capability this process lacks: NET_ADMIN (attaching),
/// NET_RAW (packet sockets), BPF (programs and tables).
Result<void> check_privileges();

}  // namespace fairlead::app
